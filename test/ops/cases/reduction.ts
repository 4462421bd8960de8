/** Cases of products, reductions and normalisations in the forms that the ONNX suite lacks. */
import { floatAttribute } from "../../../compiler/graph/attribute.ts";
import { tensorOf } from "../../../runtime/format/tensor.ts";
import type { OperatorCase } from "../case.ts";
import { attributesOf, random } from "./window.ts";

const reductions = ["Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "LogSumExp", "SumSquare"];
const axesForms: readonly (readonly number[])[] = [[1], [0, 2], [-1, -2], [0, 1, 2, 3], [0, 3]];

const single = (
  op: string,
  version: number,
  name: string,
  inputs: OperatorCase["inputs"],
  attributes: Parameters<typeof attributesOf>[0],
  floats: Readonly<Record<string, number>> = {},
): OperatorCase => ({
  name,
  op,
  version,
  inputs,
  attributes: {
    ...attributesOf(attributes),
    ...Object.fromEntries(Object.entries(floats).map(([key, value]) => [key, floatAttribute(value)])),
  },
});

export const reductionCases: readonly OperatorCase[] = [
  ...reductions.flatMap((kind) =>
    axesForms.map((axes, index) =>
      single(`Reduce${kind}`, 11, `axes ${axes.join(" ")}`, [random([2, 3, 2, 4], 1)], { axes, keepdims: index % 2 }),
    ),
  ),
  ...["Sum", "Mean", "Max", "Min", "Prod"].map((kind) =>
    single(`Reduce${kind}`, 11, "int32", [tensorOf("int32", [2, 3], [4, -5, 7, 1, 2, -3])], { axes: [1], keepdims: 0 }),
  ),
  ...["ArgMax", "ArgMin"].flatMap((op) =>
    [0, 1, 2].flatMap((axis) =>
      [0, 1].map((last) =>
        single(
          op,
          13,
          `axis ${axis}, last ${last}`,
          [tensorOf("float32", [2, 3, 2], [1, 5, 5, 1, 5, 0, 2, 2, 2, 2, -1, 2])],
          {
            axis,
            select_last_index: last,
            keepdims: last,
          },
        ),
      ),
    ),
  ),
  ...[11, 13].flatMap((version) =>
    ["Softmax", "LogSoftmax", "Hardmax"].flatMap((op) =>
      [0, 1, -1].map((axis) =>
        single(op, version, `version ${version}, axis ${axis}`, [random([2, 3, 4], 2)], { axis }),
      ),
    ),
  ),
  single("MatMul", 13, "vector by matrix", [random([3], 1), random([2, 3, 4], 2)], {}),
  single("MatMul", 13, "matrix by vector", [random([2, 4, 3], 1), random([3], 2)], {}),
  single("MatMul", 13, "broadcast batches", [random([2, 1, 4, 3], 1), random([5, 3, 2], 2)], {}),
  single(
    "Gemm",
    13,
    "all of it",
    [random([3, 4], 1), random([5, 3], 2), random([4, 1], 3)],
    { transA: 1, transB: 1 },
    { alpha: 0.5, beta: 2 },
  ),
  single("Gemm", 13, "without addend", [random([4, 3], 1), random([3, 5], 2)], {}),
  single("LayerNormalization", 17, "two axes", [random([2, 3, 4], 1), random([3, 4], 2), random([3, 4], 3)], {
    axis: 1,
  }),
  single("LayerNormalization", 17, "without shift", [random([2, 3, 4], 1), random([4], 2)], {}, { epsilon: 0.01 }),
  single(
    "InstanceNormalization",
    22,
    "two spatial axes",
    [random([2, 3, 4, 2], 1), random([3], 2), random([3], 3)],
    {},
  ),
  single(
    "BatchNormalization",
    15,
    "two spatial axes",
    [random([2, 3, 4, 2], 1), random([3], 2), random([3], 3), random([3], 4), tensorOf("float32", [3], [1, 2, 0.5])],
    {},
  ),
  single("LRN", 13, "even size", [random([1, 5, 2, 3], 1)], { size: 4 }, { alpha: 0.5, beta: 0.6, bias: 2 }),
  single("LpNormalization", 22, "first axis, p 1", [random([3, 4], 1)], { axis: 0, p: 1 }),
  single("MeanVarianceNormalization", 13, "usual axes", [random([2, 3, 4, 2], 1)], { axes: [0, 2, 3] }),
  ...["ij,jk->ik", "bij,bjk", "ij,ij->", "ij->ji", "bhid,bhjd->bhij"].map((equation) => {
    const extents: Readonly<Record<string, number>> = { i: 3, j: 4, k: 2, b: 2, h: 2, d: 5 };
    const terms = equation.split("->")[0]?.split(",") ?? [];
    const inputs = terms.map((term, index) =>
      random(
        [...term].map((letter) => extents[letter] ?? 1),
        index + 1,
      ),
    );
    return single("Einsum", 12, equation, inputs, { equation });
  }),
];

/** Forms with channels last, which only Leafcutter has, by the ONNX form that must agree. */
export const channelsLastCases: readonly OperatorCase[] = [
  single("InstanceNormalization", 22, "channels last", [random([2, 4, 2, 3], 1), random([3], 2), random([3], 3)], {
    layout: "NHWC",
  }),
  single(
    "GroupNormalization",
    18,
    "channels last, version 18",
    [random([2, 4, 2, 6], 1), random([3], 2), random([3], 3)],
    { layout: "NHWC", num_groups: 3 },
  ),
  single(
    "GroupNormalization",
    21,
    "channels last, version 21",
    [random([2, 4, 2, 6], 1), random([6], 2), random([6], 3)],
    { layout: "NHWC", num_groups: 3 },
  ),
  single("LRN", 13, "channels last", [random([1, 2, 3, 5], 1)], { layout: "NHWC", size: 3 }),
  single(
    "BatchNormalization",
    15,
    "channels last",
    [random([2, 4, 2, 3], 1), random([3], 2), random([3], 3), random([3], 4), tensorOf("float32", [3], [1, 2, 0.5])],
    { layout: "NHWC" },
  ),
];
