/** Convolutions of 8-bit integers: every form of window, view, epilogue and operand. */
import type { IntegerConvProblem } from "../../compiler/kernels/problem.ts";
import { binary, cast, constant, type Expression, input, unary } from "../../runtime/format/expression.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import { tensorOfNumbers } from "../../runtime/reference/numbers.ts";
import { type IntegerCase, type IntegerLayout, integers } from "./integer-product.ts";
import { noise } from "./tensors.ts";
import { type Window, windowFields } from "./window.ts";

/** saturate(round(value) + zero). */
export const quantized = (value: Expression, zero: number, dtype: "int8" | "uint8"): Expression => {
  const shifted = binary("add", unary("round", value), constant(zero));
  const [low, high] = dtype === "int8" ? [-128, 127] : [0, 255];
  return cast(dtype, binary("minimum", binary("maximum", shifted, constant(low)), constant(high)));
};

export const scaled = binary("multiply", cast("float32", input(0)), input(1));
const silu = binary("multiply", scaled, unary("sigmoid", scaled));
const residual = (index: number): Expression => binary("multiply", cast("float32", input(index)), constant(0.11));

export const scalesOf = (count: number): Tensor =>
  tensorOfNumbers(
    "float32",
    [count],
    noise(count, 9).map((value) => 0.001 * (1 + value / 4)),
  );

interface Convolution extends Window, IntegerLayout {
  readonly channels: readonly [input: number, output: number];
  readonly groups?: number;
  readonly bias?: boolean;
  readonly input?: "int8" | "uint8";
  readonly bits?: 7;
  readonly padValue?: number;
  readonly output?: IntegerConvProblem["outputType"];
  readonly epilogue?: Expression;
  readonly operands?: readonly Tensor[];
}

export function integerConvCase(form: Convolution): IntegerCase<IntegerConvProblem> {
  const { size, channels, kernel, groups = 1 } = form;
  const fields = windowFields(form);
  const { input: inputType = "uint8", bits = 8, padValue = 3, operands = [], epilogue } = form;
  const tensors = [
    integers(inputType, [fields.batch, ...size, channels[0]], 1, bits),
    integers("int8", [channels[1], channels[0] / groups, ...kernel], 2),
    form.bias === false ? undefined : integers("int32", [channels[1]], 3),
    ...operands,
  ];
  const problem: IntegerConvProblem = {
    family: "conv-i8",
    ...fields,
    inputChannels: channels[0],
    outputChannels: channels[1],
    groups,
    inputType,
    inputBits: bits,
    padValue,
    epilogue,
    operandTypes: operands.map(({ dtype }) => dtype as IntegerConvProblem["outputType"]),
    outputType: form.output ?? (epilogue ? "uint8" : "int32"),
  };
  const { sideChannels, inputSideChannels, outputHalo } = form;
  return {
    problem,
    tensors,
    outputShape: [fields.batch, fields.outputHeight, fields.outputWidth, channels[1]],
    ...(sideChannels === undefined ? {} : { sideChannels }),
    ...(inputSideChannels === undefined ? {} : { inputSideChannels }),
    ...(outputHalo ? { outputHalo } : {}),
  };
}

const same: readonly [number, number, number, number] = [1, 1, 1, 1];
const toUint8 = quantized(scaled, 7, "uint8");
const toInt8 = quantized(scaled, -9, "int8");
/** All weights and inputs at their ends: the largest sums there are. */
const extreme = (item: IntegerCase<IntegerConvProblem>, x: number, w: number): IntegerCase<IntegerConvProblem> => ({
  ...item,
  tensors: item.tensors.map((tensor, index) =>
    tensor && index < 2 ? { ...tensor, data: tensor.data.map(() => (index === 0 ? x : w) as never) as never } : tensor,
  ),
});

const forms: Readonly<Record<string, Convolution>> = {
  "3x3": { size: [7, 9], channels: [8, 16], kernel: [3, 3], pads: same },
  "3x3 of int8": { size: [7, 9], channels: [8, 16], kernel: [3, 3], pads: same, input: "int8", padValue: -5 },
  "3x3 to uint8": {
    size: [5, 6],
    channels: [8, 16],
    kernel: [3, 3],
    pads: same,
    epilogue: toUint8,
    operands: [scalesOf(16)],
  },
  "3x3, many panels": {
    size: [12, 13],
    channels: [64, 37],
    kernel: [3, 3],
    pads: same,
    epilogue: toUint8,
    operands: [scalesOf(37)],
  },
  "3x3, one pixel": { size: [1, 1], channels: [16, 8], kernel: [3, 3], pads: same },
  "3x3, two images": { batch: 2, size: [9, 8], channels: [12, 16], kernel: [3, 3], bias: false },
  "3x3, odd channels": { size: [5, 6], channels: [5, 11], kernel: [3, 3], pads: same, input: "int8" },
  "1x1, one channel": { size: [5, 5], channels: [1, 1], kernel: [1, 1] },
  "1x1, ragged": {
    size: [5, 7],
    channels: [13, 21],
    kernel: [1, 1],
    input: "int8",
    output: "int8",
    epilogue: toInt8,
    operands: [scalesOf(21)],
  },
  "1x1, one pixel": { size: [1, 1], channels: [38, 21], kernel: [1, 1], epilogue: toUint8, operands: [scalesOf(21)] },
  "1x1, one pixel of 7 bits": {
    size: [1, 1],
    channels: [36, 16],
    kernel: [1, 1],
    bits: 7,
    inputSideChannels: 3,
    sideChannels: 5,
  },
  "1x1, stride": { size: [7, 8], channels: [12, 16], kernel: [1, 1], stride: 2 },
  "1x1, 19 channels of a wider pixel": { size: [4, 5], channels: [19, 8], kernel: [1, 1], inputSideChannels: 3 },
  stem: {
    size: [16, 18],
    channels: [3, 8],
    kernel: [3, 3],
    stride: 2,
    pads: [0, 0, 1, 1],
    epilogue: toUint8,
    operands: [scalesOf(8)],
  },
  batch: {
    batch: 3,
    size: [4, 3],
    channels: [4, 8],
    kernel: [3, 3],
    pads: same,
    epilogue: toUint8,
    operands: [scalesOf(8)],
  },
  "wide kernel": { size: [8, 8], channels: [2, 8], kernel: [5, 7], pads: [2, 3, 2, 3] },
  column: { size: [9, 1], channels: [6, 10], kernel: [3, 1], pads: [1, 0, 1, 0] },
  row: { size: [1, 9], channels: [6, 10], kernel: [1, 3], pads: [0, 1, 0, 1] },
  "row of a member": { size: [1, 9], channels: [6, 10], kernel: [1, 3], pads: [0, 1, 0, 1], inputSideChannels: 2 },
  dilation: { size: [9, 9], channels: [8, 8], kernel: [3, 3], dilation: 2, pads: [2, 2, 2, 2] },
  "dilation of odd channels": {
    size: [9, 9],
    channels: [3, 8],
    kernel: [3, 2],
    dilation: 2,
    stride: 2,
    pads: [2, 2, 2, 2],
  },
  groups: {
    size: [5, 6],
    channels: [12, 20],
    kernel: [3, 3],
    groups: 4,
    pads: same,
    epilogue: toUint8,
    operands: [scalesOf(20)],
  },
  "groups of a pixel": { size: [5, 6], channels: [12, 20], kernel: [1, 1], groups: 2 },
  "member of a concatenation": {
    size: [5, 6],
    channels: [8, 12],
    kernel: [3, 3],
    pads: same,
    sideChannels: 3,
    inputSideChannels: 5,
    epilogue: toUint8,
    operands: [scalesOf(12)],
  },
  "bordered output": {
    batch: 2,
    size: [5, 6],
    channels: [8, 16],
    kernel: [3, 3],
    pads: same,
    outputHalo: { top: 1, left: 1, bottom: 1, right: 1, value: 9 },
    epilogue: toInt8,
    output: "int8",
    operands: [scalesOf(16)],
  },
  silu: {
    size: [5, 6],
    channels: [8, 19],
    kernel: [3, 3],
    pads: same,
    epilogue: quantized(binary("multiply", silu, constant(30)), 20, "uint8"),
    operands: [scalesOf(19)],
  },
  "to float32": {
    size: [5, 6],
    channels: [8, 19],
    kernel: [1, 1],
    epilogue: scaled,
    output: "float32",
    operands: [scalesOf(19)],
  },
  "residual of uint8": {
    size: [5, 6],
    channels: [8, 19],
    kernel: [1, 1],
    epilogue: quantized(binary("add", scaled, residual(2)), 3, "uint8"),
    operands: [scalesOf(19), integers("uint8", [1, 5, 6, 19], 5)],
  },
  "residual of int8, whole panels": {
    batch: 2,
    size: [5, 6],
    channels: [8, 16],
    kernel: [3, 3],
    pads: same,
    output: "int8",
    epilogue: quantized(binary("add", scaled, residual(2)), 3, "int8"),
    operands: [scalesOf(16), integers("int8", [2, 5, 6, 16], 5)],
  },
  "residual of every image": {
    batch: 2,
    size: [3, 4],
    channels: [8, 16],
    kernel: [1, 1],
    output: "float32",
    epilogue: binary("add", scaled, residual(2)),
    operands: [scalesOf(16), integers("int32", [3, 4, 16], 5)],
  },
  "operand of one value, of one per pixel and of one per image": {
    batch: 2,
    size: [3, 4],
    channels: [8, 11],
    kernel: [1, 1],
    output: "float32",
    epilogue: binary(
      "add",
      binary("add", binary("multiply", cast("float32", input(0)), input(1)), residual(2)),
      residual(3),
    ),
    operands: [scalesOf(1), integers("uint8", [2, 3, 4, 1], 5), integers("int8", [2, 1, 1, 11], 6)],
  },
  "zero point at run time": {
    size: [4, 4],
    channels: [8, 8],
    kernel: [1, 1],
    output: "float32",
    epilogue: cast("float32", binary("subtract", input(0), binary("multiply", cast("int32", input(1)), input(2)))),
    operands: [integers("uint8", [1], 5), integers("int32", [8], 6)],
  },
  "many rows": { size: [40, 200], channels: [32, 8], kernel: [1, 1], epilogue: toUint8, operands: [scalesOf(8)] },
  "7 bits": {
    size: [7, 9],
    channels: [16, 21],
    kernel: [3, 3],
    pads: same,
    bits: 7,
    epilogue: toUint8,
    operands: [scalesOf(21)],
  },
  "7 bits of a member": {
    size: [5, 6],
    channels: [8, 12],
    kernel: [3, 3],
    pads: same,
    bits: 7,
    inputSideChannels: 4,
    sideChannels: 2,
  },
  "7 bits, 1x1": { batch: 2, size: [5, 7], channels: [24, 16], kernel: [1, 1], bits: 7 },
  "7 bits, stride": { size: [8, 9], channels: [8, 8], kernel: [3, 3], stride: 2, pads: same, bits: 7 },
  "7 bits, groups": {
    size: [5, 6],
    channels: [16, 12],
    kernel: [3, 3],
    groups: 2,
    dilation: 2,
    pads: [2, 2, 2, 2],
    bits: 7,
  },
  "7 bits, three channels": { size: [6, 6], channels: [3, 8], kernel: [3, 3], bits: 7 },
  "7 bits of int8": { size: [3, 5], channels: [12, 9], kernel: [1, 3], input: "int8", bits: 7 },
  "more padding than kernel": { size: [3, 3], channels: [4, 8], kernel: [1, 1], pads: [2, 1, 1, 2] },
};

const deep = { size: [3, 3], channels: [512, 8], kernel: [3, 3] } as const;

export const integerConvCases: Readonly<Record<string, IntegerCase<IntegerConvProblem>>> = {
  ...Object.fromEntries(Object.entries(forms).map(([name, form]) => [name, integerConvCase(form)])),
  "255 by -128": extreme(integerConvCase(deep), 255, -128),
  "-128 by -128": extreme(integerConvCase({ ...deep, input: "int8" }), -128, -128),
  "127 by -128, 7 bits": extreme(integerConvCase({ ...deep, bits: 7 }), 127, -128),
  "127 by 127, 7 bits": extreme(integerConvCase({ ...deep, bits: 7 }), 127, 127),
};
