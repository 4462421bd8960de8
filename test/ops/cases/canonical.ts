/** Cases of the canonical operators, and the ONNX nodes that compute the same: leafcutter.X on [N, H, W, C] is X on [N, C, H, W]. */
import { dimsAttribute, expressionAttribute } from "../../../compiler/graph/attribute.ts";
import { binary, constant, input } from "../../../runtime/format/expression.ts";
import { tensorOf } from "../../../runtime/format/tensor.ts";
import type { OperatorCase } from "../case.ts";
import { attributesOf, random } from "./window.ts";

/** relu(accumulator + operand 1) and relu(accumulator). */
const residual = expressionAttribute(binary("maximum", binary("add", input(0), input(1)), constant(0)));
const relu = expressionAttribute(binary("maximum", input(0), constant(0)));

const conv = (
  name: string,
  x: readonly number[],
  w: readonly number[],
  attributes: Parameters<typeof attributesOf>[0],
  extra: Partial<OperatorCase> = {},
): OperatorCase => ({
  name,
  op: "leafcutter.Conv",
  version: 1,
  inputs: [random(x, 1), random(w, 2), random([w[0] ?? 1], 3)],
  attributes: attributesOf(attributes),
  ...extra,
});

const rotary = (name: string, x: readonly number[], table: readonly number[], interleaved: number): OperatorCase => ({
  name,
  op: "leafcutter.RotaryEmbedding",
  version: 1,
  inputs: [random(x, 1), random(table, 2), random(table, 3)],
  attributes: attributesOf({ interleaved }),
});

export const canonicalCases: readonly OperatorCase[] = [
  conv("dense", [1, 5, 6, 3], [4, 3, 3, 3], { pads: [1, 1, 1, 1] }),
  conv("strided and dilated", [2, 8, 9, 3], [4, 3, 3, 2], { pads: [0, 1, 2, 0], strides: [2, 3], dilations: [2, 1] }),
  conv("grouped", [1, 5, 6, 4], [6, 2, 3, 3], { group: 2, pads: [1, 1, 1, 1] }),
  conv("depthwise with two filters a channel", [1, 6, 6, 4], [8, 1, 3, 3], {
    group: 4,
    pads: [1, 1, 1, 1],
    strides: [2, 2],
  }),
  conv(
    "residual epilogue",
    [1, 4, 4, 3],
    [2, 3, 3, 3],
    {},
    {
      inputs: [random([1, 4, 4, 3], 1), random([2, 3, 3, 3], 2), undefined, random([1, 2, 2, 2], 5)],
      attributes: { epilogue: residual },
    },
  ),
  {
    name: "transposed",
    op: "leafcutter.ConvTranspose",
    version: 1,
    inputs: [random([1, 4, 3, 3], 1), random([3, 2, 3, 3], 2), random([2], 3)],
    attributes: {
      ...attributesOf({ strides: [2, 2], pads: [1, 0, 0, 1] }),
      outputShape: dimsAttribute([9, 6]),
      epilogue: relu,
    },
  },
  {
    name: "transposed, grouped",
    op: "leafcutter.ConvTranspose",
    version: 1,
    inputs: [random([2, 3, 4, 4], 1), random([4, 1, 2, 3], 2)],
    attributes: {
      ...attributesOf({ strides: [2, 1], pads: [0, 1, 0, 1], group: 2 }),
      outputShape: dimsAttribute([6, 4]),
    },
  },
  ...(["max", "average", "lp"] as const).map(
    (mode): OperatorCase => ({
      name: mode,
      op: "leafcutter.Pool",
      version: 1,
      inputs: [random([2, 6, 7, 3], 6)],
      attributes: {
        ...attributesOf({ mode, kernelShape: [3, 2], strides: [2, 2], pads: [1, 0, 1, 1], p: 2 }),
        outputShape: dimsAttribute([3, 4]),
      },
    }),
  ),
  ...(["int8", "uint8"] as const).map(
    (dtype): OperatorCase => ({
      name: `max of ${dtype}`,
      op: "leafcutter.Pool",
      version: 1,
      inputs: [
        tensorOf(
          dtype,
          [1, 5, 6, 9],
          Array.from({ length: 270 }, (_, index) => ((index * 37) % 256) - (dtype === "int8" ? 128 : 0)),
        ),
      ],
      attributes: {
        ...attributesOf({ mode: "max", kernelShape: [3, 2], strides: [2, 2], pads: [1, 0, 1, 1] }),
        outputShape: dimsAttribute([3, 3]),
      },
    }),
  ),
  {
    name: "average with padding counted",
    op: "leafcutter.Pool",
    version: 1,
    inputs: [random([1, 5, 5, 2], 6)],
    attributes: {
      ...attributesOf({
        mode: "average",
        kernelShape: [3, 3],
        strides: [2, 2],
        pads: [1, 1, 1, 1],
        countIncludePad: 1,
      }),
      outputShape: dimsAttribute([3, 3]),
      epilogue: relu,
    },
  },
  ...[
    { name: "shared matrix", a: [2, 3, 5], b: [5, 9], transposeB: 0 },
    { name: "shared transposed matrix", a: [4, 5], b: [7, 5], transposeB: 1 },
    { name: "batches, ragged panel", a: [2, 3, 4, 5], b: [2, 3, 5, 9], transposeB: 0 },
    { name: "batches, whole panels, transposed", a: [3, 4, 5], b: [3, 16, 5], transposeB: 1 },
    { name: "one B for all batches", a: [3, 4, 5], b: [1, 5, 6], transposeB: 0 },
    { name: "A broadcasts", a: [1, 4, 5], b: [3, 5, 6], transposeB: 0 },
    { name: "partly broadcast B", a: [2, 3, 4, 5], b: [3, 5, 6], transposeB: 0 },
  ].map(
    ({ name, a, b, transposeB }): OperatorCase => ({
      name,
      op: "leafcutter.MatMul",
      version: 1,
      inputs: [random(a, 7), random(b, 8), random([(transposeB ? b.at(-2) : b.at(-1)) ?? 1], 9)],
      attributes: { ...attributesOf({ transposeB }), epilogue: relu },
    }),
  ),
  rotary("halves, an angle a pair", [2, 3, 4, 8], [3, 1, 4], 0),
  rotary("halves, an angle an element, a ragged width", [1, 2, 3, 6], [1, 2, 1, 6], 0),
  rotary("neighbours, an angle a pair", [2, 3, 4, 8], [2, 1, 4, 4], 1),
  rotary("neighbours, an angle an element", [3, 10], [3, 10], 1),
];
