/** Cases of leafcutter.IntegerConv and leafcutter.IntegerMatMul: every form of window and matrix, and the epilogues that passes make. */
import { expressionAttribute } from "../../../compiler/graph/attribute.ts";
import type { DType } from "../../../runtime/format/dtype.ts";
import { binary, cast, constant, type Expression, input, unary } from "../../../runtime/format/expression.ts";
import type { Tensor } from "../../../runtime/format/tensor.ts";
import { tensorOfNumbers } from "../../../runtime/reference/numbers.ts";
import { noise, sizeOf } from "../../kernels/tensors.ts";
import type { OperatorCase } from "../case.ts";
import { attributesOf, random } from "./window.ts";

/** Integers over the whole range of an 8-bit type, both ends included; int32 up to 20000. */
export function randomIntegers(dtype: DType, shape: readonly number[], seed: number): Tensor {
  const [low, high] = { int8: [-128, 127], uint8: [0, 255] }[dtype as string] ?? [-20000, 20000];
  const values = noise(sizeOf(shape), seed).map((value) => Math.floor(((value + 2) / 4) * (high! - low! + 1)) + low!);
  return tensorOfNumbers(dtype, shape, values);
}

/** Scales near `size`, as they stand in models. */
export const scales = (count: number, size: number, seed: number): Tensor =>
  tensorOfNumbers(
    "float32",
    [count],
    noise(count, seed).map((value) => size * (1 + value / 4)),
  );

/** saturate(round(value) + zero). */
const quantized = (value: Expression, zero: number, dtype: "int8" | "uint8"): Expression => {
  const shifted = binary("add", unary("round", value), constant(zero));
  const [low, high] = dtype === "int8" ? [-128, 127] : [0, 255];
  return cast(dtype, binary("minimum", binary("maximum", shifted, constant(low)), constant(high)));
};

const dequantized = binary("multiply", cast("float32", input(0)), input(1));
const requantize = expressionAttribute(quantized(dequantized, 3, "uint8"));
const dequantize = expressionAttribute(dequantized);
/** A residual of int8 with a scale of 0.1 added before requantisation. */
const residual = expressionAttribute(
  quantized(binary("add", dequantized, binary("multiply", cast("float32", input(2)), constant(0.1))), -5, "int8"),
);

const conv = (
  name: string,
  dtype: "int8" | "uint8",
  x: readonly number[],
  w: readonly number[],
  attributes: Parameters<typeof attributesOf>[0],
  extra: Partial<OperatorCase> = {},
): OperatorCase => ({
  name,
  op: "leafcutter.IntegerConv",
  version: 1,
  inputs: [randomIntegers(dtype, x, 1), randomIntegers("int8", w, 2), randomIntegers("int32", [w[0] ?? 1], 3)],
  attributes: attributesOf(attributes),
  ...extra,
});

const matmul = (
  name: string,
  dtype: "int8" | "uint8",
  a: readonly number[],
  b: readonly number[],
  extra: Partial<OperatorCase> = {},
): OperatorCase => ({
  name,
  op: "leafcutter.IntegerMatMul",
  version: 1,
  inputs: [randomIntegers(dtype, a, 4), randomIntegers("int8", b, 5)],
  attributes: {},
  ...extra,
});

export const integerProductCases: readonly OperatorCase[] = [
  conv("sums alone", "int8", [1, 5, 6, 3], [4, 3, 3, 3], { pads: [1, 1, 1, 1] }),
  conv("strided and dilated, zero point in the padding", "uint8", [2, 8, 9, 3], [4, 3, 3, 2], {
    pads: [0, 1, 2, 0],
    strides: [2, 3],
    dilations: [2, 1],
    padValue: 128,
  }),
  conv(
    "grouped, requantised",
    "int8",
    [1, 5, 6, 4],
    [6, 2, 3, 3],
    { group: 2, pads: [1, 1, 1, 1], padValue: -7 },
    {
      inputs: [
        randomIntegers("int8", [1, 5, 6, 4], 1),
        randomIntegers("int8", [6, 2, 3, 3], 2),
        randomIntegers("int32", [6], 3),
        scales(6, 0.002, 4),
      ],
      attributes: { ...attributesOf({ group: 2, pads: [1, 1, 1, 1], padValue: -7 }), epilogue: requantize },
    },
  ),
  conv(
    "depthwise with two filters a channel, dequantised",
    "uint8",
    [1, 6, 6, 4],
    [8, 1, 3, 3],
    {},
    {
      inputs: [
        randomIntegers("uint8", [1, 6, 6, 4], 1),
        randomIntegers("int8", [8, 1, 3, 3], 2),
        undefined,
        scales(8, 0.01, 4),
      ],
      attributes: {
        ...attributesOf({ group: 4, pads: [1, 1, 1, 1], strides: [2, 2], padValue: 9 }),
        epilogue: dequantize,
      },
    },
  ),
  conv(
    "residual of integers",
    "uint8",
    [2, 4, 4, 3],
    [5, 3, 1, 1],
    {},
    {
      inputs: [
        randomIntegers("uint8", [2, 4, 4, 3], 1),
        randomIntegers("int8", [5, 3, 1, 1], 2),
        randomIntegers("int32", [5], 3),
        scales(5, 0.001, 4),
        randomIntegers("int8", [2, 4, 4, 5], 6),
      ],
      attributes: { epilogue: residual },
    },
  ),
  matmul("sums alone", "uint8", [2, 3, 5], [5, 9]),
  matmul("sums beyond 24 bits", "int8", [2, 2000], [2000, 3], {
    inputs: [
      tensorOfNumbers("int8", [2, 2000], new Array<number>(4000).fill(-128)),
      tensorOfNumbers(
        "int8",
        [2000, 3],
        Array.from({ length: 6000 }, (_, i) => (i % 3 === 0 ? -128 : 127)),
      ),
    ],
  }),
  matmul("transposed weights, bias, requantised", "int8", [4, 17], [7, 17], {
    inputs: [
      randomIntegers("int8", [4, 17], 4),
      randomIntegers("int8", [7, 17], 5),
      randomIntegers("int32", [7], 6),
      scales(7, 0.001, 7),
    ],
    attributes: { ...attributesOf({ transposeB: 1 }), epilogue: requantize },
  }),
  matmul("a zero point found in the run", "uint8", [3, 6], [6, 4], {
    inputs: [
      randomIntegers("uint8", [3, 6], 4),
      randomIntegers("int8", [6, 4], 5),
      undefined,
      tensorOfNumbers("float32", [], [0.013]),
      tensorOfNumbers("uint8", [], [117]),
      randomIntegers("int32", [4], 8),
      random([4], 9),
    ],
    attributes: {
      // (sum - zero * column sums) * scale + bias
      epilogue: expressionAttribute(
        binary(
          "add",
          binary(
            "multiply",
            cast("float32", binary("subtract", input(0), binary("multiply", cast("int32", input(2)), input(3)))),
            input(1),
          ),
          input(4),
        ),
      ),
    },
  }),
];
