/** Cases of convolutions and pools: every way to say where the windows are, one to three spatial axes. */
import { integerAttribute, integersAttribute, stringAttribute } from "../../../compiler/graph/attribute.ts";
import type { Attributes } from "../../../compiler/graph/graph.ts";
import type { Tensor } from "../../../runtime/format/tensor.ts";
import { noise, sizeOf, tensor } from "../../kernels/tensors.ts";
import type { OperatorCase } from "../case.ts";

type Plain = Readonly<Record<string, number | string | readonly number[]>>;

export const attributesOf = (plain: Plain): Attributes =>
  Object.fromEntries(
    Object.entries(plain).map(([name, value]) => [
      name,
      typeof value === "number"
        ? integerAttribute(value)
        : typeof value === "string"
          ? stringAttribute(value)
          : integersAttribute(value),
    ]),
  );

export const random = (shape: readonly number[], seed: number): Tensor => tensor(shape, noise(sizeOf(shape), seed));

const convolutions: readonly (readonly [
  x: readonly number[],
  w: readonly number[],
  bias: boolean,
  attributes: Plain,
])[] = [
  [[1, 3, 5, 6], [4, 3, 3, 3], true, { pads: [1, 1, 1, 1] }],
  [[2, 3, 7, 6], [4, 3, 3, 2], false, { pads: [0, 1, 2, 0], strides: [2, 3] }],
  [[1, 4, 8, 9], [6, 2, 3, 3], true, { group: 2, dilations: [2, 1], pads: [2, 1, 2, 1] }],
  [[1, 4, 6, 6], [8, 1, 3, 3], true, { group: 4, pads: [1, 1, 1, 1], strides: [2, 2] }],
  [[1, 2, 5, 6], [3, 2, 2, 4], false, { auto_pad: "SAME_UPPER", strides: [2, 2] }],
  [[1, 2, 5, 6], [3, 2, 2, 4], true, { auto_pad: "SAME_LOWER", strides: [2, 1] }],
  [[1, 2, 5, 6], [3, 2, 3, 3], false, { auto_pad: "VALID", strides: [2, 2] }],
  [[2, 3, 9], [4, 3, 3], true, { pads: [1, 0], strides: [2] }],
  [[1, 2, 4, 5, 3], [3, 2, 2, 3, 2], true, { pads: [1, 1, 0, 0, 1, 1], strides: [1, 2, 1] }],
];

const transposed: readonly (readonly [x: readonly number[], w: readonly number[], bias: boolean, attributes: Plain])[] =
  [
    [[1, 3, 4, 5], [3, 2, 3, 3], true, {}],
    [[2, 3, 4, 3], [3, 2, 3, 2], false, { strides: [2, 3], pads: [1, 0, 0, 1] }],
    [[1, 4, 3, 3], [4, 2, 3, 3], true, { group: 2, strides: [2, 2], pads: [1, 1, 1, 1], output_padding: [1, 1] }],
    [[1, 2, 3, 4], [2, 3, 3, 3], false, { dilations: [2, 1] }],
    [[1, 2, 3, 3], [2, 2, 3, 3], true, { strides: [3, 2], output_shape: [10, 8] }],
    [[1, 2, 3, 3], [2, 2, 3, 3], false, { strides: [2, 2], auto_pad: "SAME_UPPER" }],
    [[1, 2, 5], [2, 3, 4], true, { strides: [2], pads: [1, 1] }],
    [[1, 2, 3, 2, 3], [2, 2, 2, 3, 2], true, { strides: [2, 1, 2], pads: [1, 0, 0, 0, 1, 0] }],
  ];

const weighted = (op: string, version: number, forms: typeof convolutions): readonly OperatorCase[] =>
  forms.map(([x, w, bias, attributes]) => {
    const filters = op === "Conv" ? (w[0] ?? 1) : (w[1] ?? 1) * Number(attributes.group ?? 1);
    return {
      name: `${x.join("x")} by ${w.join("x")} ${JSON.stringify(attributes)}${bias ? " with bias" : ""}`,
      op,
      version,
      inputs: [random(x, 1), random(w, 2), ...(bias ? [random([filters], 3)] : [])],
      attributes: attributesOf(attributes),
    };
  });

const pools: readonly (readonly [op: string, x: readonly number[], attributes: Plain, outputs?: number])[] = [
  ["MaxPool", [1, 2, 6, 7], { kernel_shape: [3, 2], strides: [2, 2], pads: [1, 0, 1, 1] }],
  ["MaxPool", [1, 2, 6, 7], { kernel_shape: [3, 3], strides: [2, 2], ceil_mode: 1 }],
  ["MaxPool", [2, 1, 7, 6], { kernel_shape: [2, 2], dilations: [2, 3] }],
  ["MaxPool", [1, 2, 5, 4], { kernel_shape: [2, 2], strides: [2, 2] }, 2],
  ["MaxPool", [1, 2, 5, 4], { kernel_shape: [2, 2], storage_order: 1 }, 2],
  ["MaxPool", [1, 2, 9], { kernel_shape: [3], auto_pad: "SAME_UPPER", strides: [2] }],
  ["MaxPool", [1, 2, 4, 5, 6], { kernel_shape: [2, 3, 2], pads: [0, 1, 0, 1, 1, 1] }],
  ["AveragePool", [1, 2, 6, 7], { kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [2, 2] }],
  ["AveragePool", [1, 2, 6, 7], { kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [2, 2], count_include_pad: 1 }],
  ["AveragePool", [1, 2, 6, 7], { kernel_shape: [3, 3], strides: [2, 2], ceil_mode: 1 }],
  ["AveragePool", [1, 2, 6, 7], { kernel_shape: [2, 2], dilations: [2, 2], pads: [1, 1, 1, 1] }],
  ["AveragePool", [1, 2, 6, 7], { kernel_shape: [4, 2], auto_pad: "SAME_LOWER" }],
  ["AveragePool", [1, 2, 4, 5, 6], { kernel_shape: [2, 3, 2], pads: [0, 1, 0, 1, 1, 1] }],
  ["LpPool", [1, 2, 6, 7], { kernel_shape: [3, 3], strides: [2, 1], p: 2 }],
  ["LpPool", [1, 2, 6, 7], { kernel_shape: [2, 2], pads: [1, 1, 0, 0], p: 3 }],
  ["GlobalAveragePool", [2, 3, 4, 5], {}],
  ["GlobalMaxPool", [2, 3, 4, 5], {}],
  ["GlobalLpPool", [2, 3, 4, 5], { p: 2 }],
];

export const windowCases: readonly OperatorCase[] = [
  ...weighted("Conv", 11, convolutions),
  ...weighted("ConvTranspose", 11, transposed),
  ...pools.map(
    ([op, x, attributes, outputCount = 1]): OperatorCase => ({
      name: `${x.join("x")} ${JSON.stringify(attributes)} ${outputCount}`,
      op,
      version: op === "AveragePool" && attributes.dilations ? 19 : op === "LpPool" ? 18 : 12,
      inputs: [random(x, 4)],
      attributes: attributesOf(attributes),
      outputCount,
    }),
  ),
];
