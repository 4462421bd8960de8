/**
 * Operators that move data under symbolic extents: one lowering, run for every value of the symbol, gives what the
 * reference gives for that value; shape arithmetic carries symbols from Shape to Reshape.
 */
import { describe, expect, it } from "vitest";
import { dimsAttribute, integerAttribute, integersAttribute, stringAttribute } from "../../compiler/graph/attribute.ts";
import { addDims, type Dim, divideDims, evaluateDim, multiplyDims } from "../../compiler/graph/dimension.ts";
import { FactStore } from "../../compiler/graph/facts.ts";
import type { Attributes, Node, TensorType, Value } from "../../compiler/graph/graph.ts";
import { interpretNest } from "../../compiler/loop/interpret.ts";
import { referenceAttributes } from "../../compiler/ops/attributes.ts";
import { operatorOf } from "../../compiler/ops/index.ts";
import { inferNode, operatorContext } from "../../compiler/ops/infer.ts";
import type { StepOperand } from "../../compiler/ops/operator.ts";
import { elementCount, type Tensor, tensorOf, zeros } from "../../runtime/format/tensor.ts";

interface Case {
  readonly name: string;
  readonly op: string;
  readonly version?: number;
  /** Shape of a float32 input, or integers that are constant. */
  readonly inputs: readonly (readonly Dim[] | Tensor | undefined)[];
  readonly attributes?: Attributes;
  readonly outputs?: number;
}

const ints = (...values: readonly number[]): Tensor => tensorOf("int64", [values.length], values);
const isTensor = (input: readonly Dim[] | Tensor): input is Tensor => "dtype" in input;
const one = integerAttribute;

const cases: readonly Case[] = [
  { name: "the free extent", op: "Reshape", inputs: [["n", 4, 3], ints(-1, 6)] },
  { name: "a kept extent", op: "Reshape", inputs: [["n", 4, 3], ints(0, -1)] },
  {
    name: "a symbolic target",
    op: "Reshape",
    inputs: [["n", 4, 3]],
    attributes: { shape: dimsAttribute([multiplyDims("n", 2), -1]) },
  },
  { name: "batch kept", op: "Flatten", inputs: [["n", 4, 3]] },
  { name: "front axes", op: "Flatten", inputs: [[2, "n", 3]], attributes: { axis: one(2) } },
  { name: "axes", op: "Transpose", inputs: [["n", 4, 3]], attributes: { perm: integersAttribute([2, 0, 1]) } },
  {
    name: "symbol and number",
    op: "Concat",
    inputs: [
      ["n", 2],
      [3, 2],
    ],
    attributes: { axis: one(0) },
  },
  {
    name: "inner axis",
    op: "Concat",
    inputs: [
      ["n", 2],
      ["n", 1],
    ],
    attributes: { axis: one(1) },
  },
  {
    name: "equal halves",
    op: "Split",
    version: 11,
    inputs: [[multiplyDims("n", 2), 3]],
    attributes: { axis: one(0) },
    outputs: 2,
  },
  {
    name: "a shorter last part",
    op: "Split",
    version: 18,
    inputs: [["n", 3]],
    attributes: { axis: one(0), num_outputs: one(2) },
    outputs: 2,
  },
  { name: "the last one", op: "Slice", inputs: [["n", 3], ints(-1), ints(2 ** 40)] },
  { name: "all but the ends", op: "Slice", inputs: [[addDims("n", 2), 3], ints(1), ints(-1)] },
  { name: "the first three", op: "Slice", inputs: [["n", 2], ints(0), ints(3)] },
  { name: "backwards in twos", op: "Slice", inputs: [["n", 2], ints(-1), ints(-100), ints(0), ints(-2)] },
  {
    name: "a symbolic end",
    op: "Slice",
    inputs: [[8, 2]],
    attributes: { starts: dimsAttribute([1]), ends: dimsAttribute(["n"]) },
  },
  { name: "new axes", op: "Expand", inputs: [["n", 1]], attributes: { shape: dimsAttribute([2, "n", 3]) } },
  { name: "a symbol that may be 1", op: "Expand", inputs: [["n", 2]], attributes: { shape: dimsAttribute(["n", 2]) } },
  { name: "a number of times", op: "Tile", inputs: [["n", 2]], attributes: { repeats: dimsAttribute([2, "n"]) } },
  { name: "indices", op: "Gather", inputs: [["n", 3], ints(-1, 0)] },
  { name: "evenly spaced indices", op: "Gather", inputs: [["n", 3], ints(2, 0)], attributes: { axis: one(1) } },
  {
    name: "named elements",
    op: "GatherElements",
    inputs: [["n", 3], tensorOf("int64", [1, 2], [2, 0])],
    attributes: { axis: one(1) },
  },
  { name: "border", op: "Pad", inputs: [["n", 3], ints(1, 0, 0, 1)] },
  {
    name: "reflected",
    op: "Pad",
    inputs: [[addDims("n", 1), 3], ints(1, 0, 1, 2)],
    attributes: { mode: stringAttribute("reflect") },
  },
  { name: "blocks", op: "DepthToSpace", inputs: [["n", 4, 2, 3]], attributes: { blocksize: one(2) } },
  { name: "cells", op: "SpaceToDepth", inputs: [["n", 3, 2, multiplyDims("n", 2)]], attributes: { blocksize: one(2) } },
  {
    name: "batch",
    op: "Resize",
    version: 13,
    inputs: [["n", 1, 2, 2], undefined, tensorOf("float32", [4], [1, 1, 2, 2])],
  },
  {
    name: "symbolic width, linear",
    op: "Resize",
    version: 13,
    inputs: [[1, 1, 2, "n"], undefined, tensorOf("float32", [4], [1, 1, 1, 2])],
    attributes: { mode: stringAttribute("linear") },
  },
  {
    name: "symbolic sizes, nearest",
    op: "Resize",
    version: 13,
    inputs: [[1, 1, 2, 3]],
    attributes: { sizes: dimsAttribute([1, 1, multiplyDims("n", 2), 5]) },
  },
  { name: "a symbolic shape", op: "ConstantOfShape", inputs: [], attributes: { shape: dimsAttribute(["n", 2]) } },
  { name: "shifted", op: "Trilu", inputs: [["n", 3], tensorOf("int64", [], [1])] },
  { name: "running sums", op: "CumSum", inputs: [["n", 2], tensorOf("int64", [], [0])] },
  { name: "extents", op: "Shape", inputs: [["n", 2, multiplyDims("n", 3)]] },
  { name: "elements", op: "Size", inputs: [["n", 2, multiplyDims("n", 3)]] },
];

const numberOf = (dim: Dim, n: number): number => evaluateDim(dim, new Map([["n", n]]));

/** A node on `shapes`; tensors are constants of the fact store. */
function nodeOf(
  one: Case,
  resolve: (dim: Dim) => Dim,
): { readonly node: Node; readonly facts: FactStore; readonly values: readonly (Tensor | undefined)[] } {
  const facts = new FactStore();
  const values: (Tensor | undefined)[] = [];
  const inputs = one.inputs.map((input, index): Value | undefined => {
    if (!input) return undefined;
    const type: TensorType = isTensor(input)
      ? { dtype: input.dtype, shape: input.shape }
      : { dtype: "float32", shape: input.map(resolve) };
    const value: Value = { name: `input ${index}`, type };
    if (isTensor(input)) facts.setConstant(value, input);
    values[index] = isTensor(input) ? input : undefined;
    return value;
  });
  const attributes = Object.fromEntries(
    Object.entries(one.attributes ?? {}).map(([name, attribute]) => [
      name,
      attribute.kind === "dims" ? dimsAttribute(attribute.value.map(resolve)) : attribute,
    ]),
  );
  const outputs = Array.from(
    { length: one.outputs ?? 1 },
    (_, index): Value => ({ name: `output ${index}`, type: { dtype: "float32", shape: [] } }),
  );
  return {
    node: { op: one.op, version: one.version ?? 13, name: one.op, sources: [], inputs, outputs, attributes },
    facts,
    values,
  };
}

const counting = (shape: readonly number[]): Tensor =>
  tensorOf(
    "float32",
    shape,
    Array.from({ length: elementCount(shape) }, (_, i) => i + 1),
  );

describe("one lowering for every extent", () => {
  it.each(cases.map((one) => [one.op, one.name, one] as const))("%s: %s", (_, __, one) => {
    const symbolic = nodeOf(one, (dim) => dim);
    const operator = operatorOf(symbolic.node);
    const lowering = operator.lower?.(operatorContext(symbolic.node, symbolic.facts));
    const { types } = inferNode(symbolic.node, symbolic.facts);
    expect(lowering).toBeDefined();
    for (const n of [1, 2, 3, 4]) {
      const bound = nodeOf(one, (dim) => numberOf(dim, n));
      const inputs = bound.node.inputs.map(
        (value, index) => value && (bound.values[index] ?? counting(value.type.shape as readonly number[])),
      );
      const expected = operator.reference({
        inputs,
        attributes: referenceAttributes(bound.node),
        version: bound.node.version,
        outputCount: bound.node.outputs.length,
      });
      expect(types.map(({ shape }) => shape.map((dim) => numberOf(dim, n)))).toEqual(
        expected.map(({ shape }) => shape),
      );
      if (lowering?.kind === "view") {
        expect(expected[0]?.data).toEqual(inputs[0]?.data);
        continue;
      }
      const outputs = expected.map(({ dtype, shape }) => zeros(dtype, shape));
      const tensorAt = ({ kind, index }: StepOperand): Tensor => (kind === "input" ? inputs : outputs)[index] as Tensor;
      for (const step of lowering?.steps ?? []) {
        if (step.kind !== "nest") throw new Error("a family has no business here");
        interpretNest(step.nest, step.operands.map(tensorAt), tensorAt(step.output), new Map([["n", n]]));
      }
      expect(outputs).toEqual(expected);
    }
  });
});

/** Runs shape arithmetic: each line is an operator on earlier lines, given by their places. */
function elementsAfter(
  shape: readonly Dim[],
  lines: readonly (readonly [op: string, inputs: readonly (number | Tensor)[], attributes?: Attributes])[],
): readonly Dim[] | undefined {
  const facts = new FactStore();
  const values: Value[] = [{ name: "x", type: { dtype: "float32", shape } }];
  for (const [op, operands, attributes = {}] of lines) {
    const inputs = operands.map((operand, index): Value => {
      if (typeof operand === "number") return values[operand] as Value;
      const value: Value = { name: `${op} ${index}`, type: { dtype: operand.dtype, shape: operand.shape } };
      facts.setConstant(value, operand);
      return value;
    });
    const output: Value = { name: op, type: { dtype: "int64", shape: [] } };
    const node: Node = {
      op,
      version: 13,
      name: op,
      sources: [],
      inputs,
      outputs: op === "Split" ? [output, output] : [output],
      attributes,
    };
    const { types, elements } = inferNode(node, facts);
    const value: Value = { name: `line ${values.length}`, type: types[0] as TensorType };
    if (elements) facts.setElements(value, elements);
    values.push(value);
  }
  return facts.elements(values.at(-1) as Value);
}

const index = (value: number): Tensor => tensorOf("int64", [], [value]);

describe("shape arithmetic", () => {
  it("Shape, Gather, Unsqueeze, Concat", () => {
    const lines = [
      ["Shape", [0]],
      ["Gather", [1, index(0)]],
      ["Unsqueeze", [2, ints(0)]],
      ["Concat", [3, ints(-1), ints(64)], { axis: one(0) }],
    ] as const;
    expect(elementsAfter(["n", 3, "h", 4], lines)).toEqual(["n", -1, 64]);
  });

  it("Shape, Slice, Squeeze, Div", () => {
    const lines = [
      ["Shape", [0]],
      ["Slice", [1, ints(2), ints(3)]],
      ["Squeeze", [2, ints(0)]],
      ["Div", [3, index(2)]],
    ] as const;
    expect(elementsAfter(["n", 3, "h", 4], lines)).toEqual([divideDims("h", 2)]);
  });

  it("Shape, Split, ConstantOfShape, Mul, Size, Range, Reshape", () => {
    expect(
      elementsAfter(
        ["n", 3],
        [
          ["Shape", [0]],
          ["Split", [1, ints(1, 1)]],
        ],
      ),
    ).toEqual(["n"]);
    const minusOnes = { value: { kind: "tensor", value: ints(-1) } } as const;
    expect(
      elementsAfter(
        [2],
        [
          ["ConstantOfShape", [ints(2)], minusOnes],
          ["Mul", [1, ints(3, -4)]],
        ],
      ),
    ).toEqual([-3, 4]);
    expect(elementsAfter(["n", 3], [["Size", [0]]])).toEqual([multiplyDims("n", 3)]);
    expect(
      elementsAfter(
        [2],
        [
          ["Range", [index(1), index(7), index(2)]],
          ["Reshape", [1, ints(3, 1)]],
        ],
      ),
    ).toEqual([1, 3, 5]);
  });
});
