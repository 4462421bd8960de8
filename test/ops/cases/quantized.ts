/** Cases of the quantised operators of ONNX and com.microsoft, on random operands and on the values where rounding decides. */
import { floatAttribute } from "../../../compiler/graph/attribute.ts";
import type { Attributes } from "../../../compiler/graph/graph.ts";
import type { DType } from "../../../runtime/format/dtype.ts";
import type { Tensor } from "../../../runtime/format/tensor.ts";
import { tensorOfNumbers } from "../../../runtime/reference/numbers.ts";
import { noise, sizeOf } from "../../kernels/tensors.ts";
import type { OperatorCase } from "../case.ts";
import { randomIntegers, scales } from "./integer-product.ts";
import { attributesOf, random } from "./window.ts";

export interface QuantizedCase extends OperatorCase {
  /** How far onnxruntime, which sums or rounds in another order, may be away: steps of integers, or a relative error. 0 unless given. */
  readonly slack?: number;
  /** Why onnxruntime-web is no oracle for this form. */
  readonly withoutOracle?: string;
}

const float = (value: number): Tensor => tensorOfNumbers("float32", [], [value]);
const of = (dtype: DType, value: number): Tensor => tensorOfNumbers(dtype, [], [value]);
const spread = (shape: readonly number[], seed: number, size: number): Tensor =>
  tensorOfNumbers(
    "float32",
    shape,
    noise(sizeOf(shape), seed).map((value) => value * size),
  );

/** Multiples of half a step: every tie, both signs, beyond both ends. */
const ties = (step: number): Tensor =>
  tensorOfNumbers(
    "float32",
    [2, 300],
    Array.from({ length: 600 }, (_, i) => (i - 300) * step * 0.5),
  );

const one = (
  op: string,
  version: number,
  name: string,
  inputs: OperatorCase["inputs"],
  attributes: Attributes = {},
  extra: Pick<QuantizedCase, "slack" | "withoutOracle" | "outputCount"> = {},
): QuantizedCase => ({ op, version, name, inputs, attributes, ...extra });

const microsoft = (op: string, ...rest: [string, OperatorCase["inputs"], Attributes?, Parameters<typeof one>[5]?]) =>
  one(`com.microsoft.${op}`, 1, ...rest);

const linear: readonly QuantizedCase[] = [
  ...(["int8", "uint8"] as const).flatMap((dtype): QuantizedCase[] => [
    one("QuantizeLinear", 13, `ties to ${dtype}`, [ties(0.25), float(0.25), of(dtype, 3)]),
    one("QuantizeLinear", 13, `random to ${dtype}`, [spread([3, 50], 1, 40), float(0.37), of(dtype, 11)]),
    one(
      "QuantizeLinear",
      13,
      `per axis to ${dtype}`,
      [spread([2, 3, 5], 2, 40), scales(3, 0.3, 3), randomIntegers(dtype, [3], 4)],
      attributesOf({ axis: 1 }),
    ),
    one(
      "QuantizeLinear",
      21,
      `blocked to ${dtype}`,
      [spread([4, 10], 2, 40), { ...scales(12, 0.3, 3), shape: [4, 3] }, randomIntegers(dtype, [4, 3], 4)],
      attributesOf({ axis: -1, block_size: 4 }),
    ),
    one("DequantizeLinear", 13, `${dtype}`, [randomIntegers(dtype, [7, 9], 5), float(0.0173), of(dtype, -5 & 127)]),
    one(
      "DequantizeLinear",
      13,
      `per axis of ${dtype}`,
      [randomIntegers(dtype, [3, 4, 5], 5), scales(4, 0.02, 6), randomIntegers(dtype, [4], 7)],
      attributesOf({ axis: -2 }),
    ),
    one(
      "DequantizeLinear",
      21,
      `blocks of ${dtype}`,
      [randomIntegers(dtype, [6, 5], 5), { ...scales(10, 0.02, 6), shape: [2, 5] }],
      attributesOf({ axis: 0, block_size: 3 }),
    ),
  ]),
  one("QuantizeLinear", 13, "no zero point", [spread([40], 1, 100), float(0.7)]),
  one("QuantizeLinear", 21, "output_dtype int8", [spread([40], 1, 100), float(0.7)], attributesOf({ output_dtype: 3 })),
  one("QuantizeLinear", 13, "a scale of rank 1 and x of rank 0", [float(1.9), scales(1, 0.3, 2)]),
  one("QuantizeLinear", 21, "to int16", [spread([40], 1, 9000), float(0.21), of("int16", -100)]),
  one("QuantizeLinear", 21, "to uint16", [spread([40], 1, 9000), float(0.21), of("uint16", 1000)]),
  one("DequantizeLinear", 13, "int32", [randomIntegers("int32", [3, 8], 9), float(0.00137)]),
  one("DequantizeLinear", 21, "uint16", [tensorOfNumbers("uint16", [3], [0, 999, 65535]), float(0.01)]),
  microsoft("QuantizeLinear", "uint8", [spread([3, 50], 1, 40), float(0.37), of("uint8", 11)]),
  microsoft(
    "DequantizeLinear",
    "per axis",
    [randomIntegers("int8", [3, 4, 5], 5), scales(4, 0.02, 6), randomIntegers("int8", [4], 7)],
    attributesOf({ axis: 1 }),
  ),
  ...[
    { name: "both signs", x: spread([3, 50], 3, 7) },
    { name: "positive", x: tensorOfNumbers("float32", [4], [1, 2.5, 3.75, 9]) },
    { name: "negative", x: tensorOfNumbers("float32", [4], [-1, -2.5, -3.75, -9]) },
    { name: "zeros", x: tensorOfNumbers("float32", [4], [0, 0, 0, 0]) },
  ].map(({ name, x }) => one("DynamicQuantizeLinear", 11, name, [x], {}, { outputCount: 3 })),
];

const [u8, i8] = ["uint8", "int8"] as const;

const products: readonly QuantizedCase[] = [
  one("MatMulInteger", 10, "no zero points", [randomIntegers(u8, [3, 7], 1), randomIntegers(i8, [7, 5], 2)]),
  one("MatMulInteger", 10, "zero points", [
    randomIntegers(u8, [2, 3, 7], 1),
    randomIntegers(u8, [7, 5], 2),
    of(u8, 129),
    of(u8, 120),
  ]),
  one("MatMulInteger", 10, "zero points of columns", [
    randomIntegers(u8, [3, 7], 1),
    randomIntegers(i8, [7, 5], 2),
    of(u8, 3),
    randomIntegers(i8, [5], 4),
  ]),
  one(
    "MatMulInteger",
    10,
    "zero points of rows",
    [randomIntegers(i8, [3, 7], 1), randomIntegers(i8, [7, 5], 2), randomIntegers(i8, [3], 4)],
    {},
    { withoutOracle: "onnxruntime takes one zero point for A" },
  ),
  one(
    "ConvInteger",
    10,
    "padded and strided",
    [randomIntegers(u8, [2, 3, 7, 6], 1), randomIntegers(u8, [4, 3, 3, 3], 2), of(u8, 77), of(u8, 130)],
    attributesOf({ pads: [1, 0, 1, 2], strides: [2, 1] }),
  ),
  one(
    "ConvInteger",
    10,
    "grouped, dilated",
    [randomIntegers(u8, [1, 4, 9, 9], 1), randomIntegers(u8, [4, 2, 3, 3], 2), of(u8, 5)],
    attributesOf({ group: 2, dilations: [2, 2] }),
  ),
  one(
    "ConvInteger",
    10,
    "weights of int8, padded at the end",
    [randomIntegers(u8, [2, 3, 7, 6], 1), randomIntegers(i8, [4, 3, 3, 3], 2), of(u8, 77)],
    attributesOf({ auto_pad: "SAME_UPPER", strides: [2, 1] }),
  ),
  one(
    "ConvInteger",
    10,
    "along one axis, depthwise",
    [randomIntegers(u8, [1, 4, 11], 1), randomIntegers(i8, [4, 1, 3], 2), of(u8, 200)],
    attributesOf({ group: 4, pads: [2, 1] }),
  ),
  one(
    "ConvInteger",
    10,
    "a zero point for each filter",
    [randomIntegers(u8, [1, 2, 6, 6], 1), randomIntegers(i8, [3, 2, 2, 2], 2), of(u8, 100), randomIntegers(i8, [3], 4)],
    {},
    { withoutOracle: "onnxruntime takes one zero point for the weights" },
  ),
  ...([u8, i8] as const).flatMap((dtype): QuantizedCase[] => [
    one("QLinearMatMul", 10, `${dtype}`, [
      randomIntegers(dtype, [2, 4, 9], 1),
      float(0.013),
      of(dtype, 20),
      randomIntegers(i8, [9, 6], 2),
      float(0.021),
      of(i8, 0),
      float(1.7),
      of(dtype, 9),
    ]),
    one("QLinearMatMul", 10, `${dtype} by a scale for each column`, [
      randomIntegers(dtype, [4, 9], 1),
      float(0.013),
      of(dtype, 20),
      randomIntegers(i8, [9, 6], 2),
      scales(6, 0.02, 3),
      tensorOfNumbers(i8, [6], [0, 0, 0, 0, 0, 0]),
      float(1.7),
      of(dtype, 9),
    ]),
    one(
      "QLinearConv",
      10,
      `${dtype}, bias and scales of filters`,
      [
        randomIntegers(dtype, [1, 4, 7, 7], 1),
        float(0.02),
        of(dtype, 17),
        randomIntegers(i8, [6, 2, 3, 3], 2),
        scales(6, 0.01, 3),
        tensorOfNumbers(i8, [6], [0, 0, 0, 0, 0, 0]),
        float(0.2),
        of(dtype, 40),
        randomIntegers("int32", [6], 5),
      ],
      attributesOf({ group: 2, pads: [1, 1, 1, 1], strides: [2, 1] }),
    ),
  ]),
  one(
    "QLinearConv",
    10,
    "depthwise, weights with a zero point",
    [
      randomIntegers(u8, [2, 3, 6, 5], 1),
      float(0.02),
      of(u8, 128),
      randomIntegers(u8, [3, 1, 3, 3], 2),
      float(0.011),
      of(u8, 127),
      float(0.3),
      of(u8, 128),
    ],
    attributesOf({ group: 3, pads: [1, 1, 1, 1] }),
  ),
  ...[
    { name: "uint8", result: [float(2.1), of(u8, 7)], transB: 0 },
    { name: "float32, B transposed", result: [], transB: 1 },
  ].map(({ name, result, transB }) =>
    microsoft(
      "QGemm",
      name,
      [
        randomIntegers(u8, [5, 8], 1),
        float(0.03),
        of(u8, 100),
        randomIntegers(i8, transB ? [4, 8] : [8, 4], 2),
        scales(4, 0.02, 3),
        tensorOfNumbers(i8, [4], [0, 0, 0, 0]),
        randomIntegers("int32", [4], 4),
        ...result,
      ],
      { ...attributesOf({ transB }), alpha: floatAttribute(1.5) },
      name === "uint8" ? {} : { slack: 1e-6 },
    ),
  ),
  microsoft(
    "MatMulIntegerToFloat",
    "scales of columns, zero points, bias",
    [
      randomIntegers(u8, [2, 3, 9], 1),
      randomIntegers(i8, [9, 5], 2),
      float(0.02),
      scales(5, 0.01, 3),
      of(u8, 130),
      randomIntegers(i8, [5], 6),
      random([5], 4),
    ],
    {},
    { slack: 1e-5 },
  ),
  microsoft(
    "DynamicQuantizeMatMul",
    "scales of columns, bias",
    [random([2, 3, 9], 1), randomIntegers(i8, [9, 5], 2), scales(5, 0.01, 3), undefined, random([5], 4)],
    {},
    { slack: 1e-5 },
  ),
  ...[
    { name: "symmetric", zeros: undefined },
    { name: "asymmetric", zeros: randomIntegers(u8, [5, 2], 8) },
  ].map(({ name, zeros }) =>
    microsoft(
      "MatMulNBits",
      `${name}, a ragged last block`,
      [random([2, 3, 40], 1), randomIntegers(u8, [5, 3, 8], 2), { ...scales(15, 0.1, 3), shape: [5, 3] }, zeros].slice(
        0,
        zeros ? 4 : 3,
      ),
      attributesOf({ K: 40, N: 5, bits: 4, block_size: 16 }),
      { slack: 1e-5 },
    ),
  ),
];

const blocks: readonly QuantizedCase[] = [
  ...([2, 8] as const).map((bits) =>
    microsoft(
      "MatMulNBits",
      `${bits} bits, zero points`,
      [
        random([3, 64], 1),
        randomIntegers(u8, [5, 2, 4 * bits], 2),
        { ...scales(10, 0.1, 3), shape: [5, 2] },
        randomIntegers(u8, [5, Math.ceil(bits / 4)], 8),
      ],
      attributesOf({ K: 64, N: 5, bits, block_size: 32 }),
      { slack: 1e-5 },
    ),
  ),
  microsoft(
    "MatMulNBits",
    "zero points of float32, a bias",
    [
      random([3, 32], 1),
      randomIntegers(u8, [5, 2, 8], 2),
      { ...scales(10, 0.1, 3), shape: [5, 2] },
      { ...scales(10, 7.5, 4), shape: [5, 2] },
      undefined,
      random([5], 5),
    ],
    attributesOf({ K: 32, N: 5, bits: 4, block_size: 16 }),
    { slack: 1e-5 },
  ),
  microsoft(
    "MatMulNBits",
    "groups in another order",
    [
      random([3, 32], 1),
      randomIntegers(u8, [5, 2, 8], 2),
      { ...scales(10, 0.1, 3), shape: [5, 2] },
      undefined,
      tensorOfNumbers(
        "int32",
        [32],
        Array.from({ length: 32 }, (_, k) => (k * 7) % 2),
      ),
    ],
    attributesOf({ K: 32, N: 5, bits: 4, block_size: 16 }),
    { slack: 1e-5 },
  ),
  ...[
    { name: "bytes of two elements", zeros: undefined },
    { name: "bytes of two elements, zero points", zeros: randomIntegers(u8, [6, 1], 9) },
  ].map(({ name, zeros }) =>
    microsoft(
      "GatherBlockQuantized",
      name,
      [
        randomIntegers(u8, [6, 16], 1),
        tensorOfNumbers("int64", [2, 2], [5, 0, 3, 3]),
        { ...scales(12, 0.1, 3), shape: [6, 2] },
        ...(zeros ? [zeros] : []),
      ],
      attributesOf({ gather_axis: 0, quantize_axis: 1, block_size: 16, bits: 4 }),
      { slack: 1e-6 },
    ),
  ),
];

const binaryInputs = (a: readonly number[], b: readonly number[], dtype: "int8" | "uint8"): OperatorCase["inputs"] => [
  randomIntegers(dtype, a, 1),
  float(0.031),
  of(dtype, 12),
  randomIntegers(dtype, b, 2),
  float(0.017),
  of(dtype, 101),
  float(0.045),
  of(dtype, 55),
];

const unaryInputs = (
  x: readonly number[],
  dtype: "int8" | "uint8",
  from: number,
  to: number,
): OperatorCase["inputs"] => [randomIntegers(dtype, x, 1), float(from), of(dtype, 12), float(to), of(dtype, 3)];

const step = { slack: 1 };

const mapped: readonly QuantizedCase[] = ([u8, i8] as const).flatMap((dtype): QuantizedCase[] => [
  microsoft("QLinearAdd", `${dtype}`, binaryInputs([2, 3, 5], [2, 3, 5], dtype), {}, step),
  microsoft("QLinearAdd", `${dtype}, broadcast`, binaryInputs([2, 3, 5], [3, 1], dtype), {}, step),
  microsoft("QLinearMul", `${dtype}`, binaryInputs([4, 6], [6], dtype), {}, step),
  microsoft("QLinearSigmoid", `${dtype}`, unaryInputs([3, 90], dtype, 0.05, 0.004), {}, step),
  microsoft(
    "QLinearLeakyRelu",
    `${dtype}`,
    unaryInputs([3, 90], dtype, 0.05, 0.04),
    { alpha: floatAttribute(0.1) },
    step,
  ),
  microsoft(
    "QLinearSoftmax",
    `${dtype}`,
    unaryInputs([3, 9], dtype, 0.05, 0.004),
    attributesOf({ axis: -1, opset: 13 }),
    step,
  ),
  microsoft(
    "QLinearAveragePool",
    `${dtype}`,
    unaryInputs([1, 2, 7, 6], dtype, 0.05, 0.04),
    attributesOf({ kernel_shape: [3, 2], strides: [2, 2], pads: [1, 0, 1, 0] }),
    step,
  ),
  microsoft(
    "QLinearAveragePool",
    `${dtype}, channels last`,
    unaryInputs([1, 7, 6, 2], dtype, 0.05, 0.04),
    attributesOf({ kernel_shape: [3, 2], strides: [2, 2], pads: [1, 0, 1, 0], count_include_pad: 1, channels_last: 1 }),
    step,
  ),
  microsoft("QLinearGlobalAveragePool", `${dtype}`, unaryInputs([2, 3, 5, 4], dtype, 0.05, 0.04), {}, step),
  microsoft(
    "QLinearGlobalAveragePool",
    `${dtype}, channels last`,
    unaryInputs([2, 5, 4, 3], dtype, 0.05, 0.04),
    attributesOf({ channels_last: 1 }),
    step,
  ),
  microsoft(
    "QLinearConcat",
    `${dtype}`,
    [
      float(0.04),
      of(dtype, 7),
      ...[0.031, 0.05].flatMap((size, k) => [
        randomIntegers(dtype, [2, 2 + k, 5], k),
        float(size),
        of(dtype, 10 * k + 3),
      ]),
    ],
    attributesOf({ axis: 1 }),
    step,
  ),
]);

export const quantizedCases: readonly QuantizedCase[] = [...linear, ...products, ...blocks, ...mapped];
