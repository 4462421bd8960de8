/** Symbolic dims pass through windows, products and reductions: what is inferred for a symbol is what a number gives. */
import { describe, expect, it } from "vitest";
import { integerAttribute, integersAttribute, stringAttribute } from "../../compiler/graph/attribute.ts";
import { type Dim, evaluateDim, substituteDim } from "../../compiler/graph/dimension.ts";
import { FactStore } from "../../compiler/graph/facts.ts";
import type { Attributes, Value } from "../../compiler/graph/graph.ts";
import { inferNode } from "../../compiler/ops/infer.ts";

function shapeOf(op: string, shapes: readonly (readonly Dim[])[], attributes: Attributes): readonly Dim[] {
  const inputs = shapes.map((shape, index): Value => ({ name: `x${index}`, type: { dtype: "float32", shape } }));
  const output: Value = { name: "y", type: { dtype: "float32", shape: [] } };
  const node = { op, version: 13, name: op, sources: [op], inputs, outputs: [output], attributes };
  return inferNode(node, new FactStore()).types[0]?.shape ?? [];
}

const cases: readonly (readonly [op: string, shapes: readonly (readonly Dim[])[], attributes: Attributes])[] = [
  [
    "Conv",
    [
      ["n", 3, "h", 9],
      [4, 3, 3, 3],
    ],
    { strides: integersAttribute([2, 1]), pads: integersAttribute([1, 1, 0, 1]) },
  ],
  [
    "Conv",
    [
      ["n", 3, "h", 9],
      [4, 3, 2, 3],
    ],
    { auto_pad: stringAttribute("SAME_UPPER"), strides: integersAttribute([3, 2]) },
  ],
  [
    "ConvTranspose",
    [
      ["n", 3, "h", 9],
      [3, 4, 3, 3],
    ],
    { strides: integersAttribute([2, 2]), pads: integersAttribute([1, 0, 1, 0]) },
  ],
  [
    "MaxPool",
    [["n", 3, "h", 9]],
    { kernel_shape: integersAttribute([3, 3]), strides: integersAttribute([2, 2]), ceil_mode: integerAttribute(1) },
  ],
  [
    "MatMul",
    [
      ["n", "h", 5],
      [5, 7],
    ],
    {},
  ],
  [
    "MatMul",
    [
      ["n", 1, "h", 5],
      [4, 5, 7],
    ],
    {},
  ],
  ["ReduceMean", [["n", 3, "h", 9]], { axes: integersAttribute([1, -1]), keepdims: integerAttribute(0) }],
  [
    "Einsum",
    [
      ["n", "h", 5],
      ["n", 5, 2],
    ],
    { equation: stringAttribute("bij,bjk->bik") },
  ],
  ["LayerNormalization", [["n", "h", 5], [5]], {}],
];

describe("symbolic extents", () => {
  it.each(cases)("%s of %j", (op, shapes, attributes) => {
    const symbolic = shapeOf(op, shapes, attributes);
    expect(symbolic.some((dim) => typeof dim !== "number")).toBe(true);
    for (const [n, h] of [
      [1, 8],
      [2, 9],
      [3, 10],
      [4, 11],
    ] as const) {
      const bound = new Map([
        ["n", n],
        ["h", h],
      ]);
      const numbers = shapes.map((shape) => shape.map((dim) => substituteDim(dim, (symbol) => bound.get(symbol))));
      expect(symbolic.map((dim) => evaluateDim(dim, bound))).toEqual(shapeOf(op, numbers, attributes));
    }
  });
});
