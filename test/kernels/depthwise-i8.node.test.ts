/** Integer depthwise convolutions against plain loops, bit for bit: shapes, strides, views, epilogues and split ranges. */
import { describe, expect, test } from "vitest";
import type { Buffer, Halo, View } from "../../compiler/kernels/contract.ts";
import { integerDepthwiseFamily } from "../../compiler/kernels/depthwise-i8/family.ts";
import type { IntegerDepthwiseProblem } from "../../compiler/kernels/problem.ts";
import { broadcastView, haloBytes, haloView } from "../../compiler/plan/view.ts";
import { binary, cast, constant, type Expression, input, unary } from "../../runtime/format/expression.ts";
import { type Tensor, zeros } from "../../runtime/format/tensor.ts";
import { evaluateElementwise } from "../../runtime/reference/expression.ts";
import { tensorOfNumbers } from "../../runtime/reference/numbers.ts";
import { targets } from "./product.ts";
import { runSteps } from "./run.ts";
import { collect, denseBuffer, gappedBuffer, noise, scatter, sizeOf } from "./tensors.ts";
import { type Window, windowFields } from "./window.ts";

type Type = "float32" | "int32" | "int8" | "uint8";

interface Case extends Window {
  readonly channels: number;
  readonly multiplier?: number;
  readonly input?: "int8" | "uint8";
  readonly padValue?: number;
  readonly bias?: boolean;
  readonly epilogue?: Expression;
  readonly operands?: readonly (readonly [Type, readonly number[]])[];
  readonly output?: Type;
  /** Elements between the pixels of input and output. */
  readonly gap?: number;
}

const around = [1, 1, 1, 1] as const;
const scaled = binary("multiply", cast("float32", input(0)), input(1));
const clamped = (value: Expression, zero: number, low: number, high: number): Expression =>
  binary(
    "minimum",
    binary("maximum", binary("add", unary("round", value), constant(zero)), constant(low)),
    constant(high),
  );
const toUint8 = cast("uint8", clamped(scaled, 5, 0, 255));
const toInt8 = cast("int8", clamped(scaled, -3, -128, 127));
const residual = cast(
  "int8",
  clamped(binary("add", scaled, binary("multiply", cast("float32", input(2)), constant(0.75))), 0, -128, 127),
);
const scales = (channels: number) => ["float32", [channels]] as const;

const cases: Readonly<Record<string, Case>> = {
  "3x3": { size: [7, 9], channels: 16, kernel: [3, 3], pads: around },
  "3x3 of signed input with a zero point": {
    size: [7, 9],
    channels: 16,
    kernel: [3, 3],
    pads: around,
    input: "int8",
    padValue: -7,
    epilogue: toInt8,
    operands: [scales(16)],
    output: "int8",
  },
  "requantised to uint8, ragged channels": {
    size: [6, 8],
    channels: 19,
    kernel: [3, 3],
    pads: around,
    padValue: 128,
    epilogue: toUint8,
    operands: [scales(19)],
    output: "uint8",
  },
  "stride 2": {
    size: [9, 11],
    channels: 24,
    kernel: [3, 3],
    pads: around,
    stride: 2,
    epilogue: toUint8,
    operands: [scales(24)],
    output: "uint8",
  },
  "few channels, narrow": {
    size: [4, 3],
    channels: 3,
    kernel: [3, 3],
    pads: around,
    padValue: 9,
    epilogue: toInt8,
    operands: [scales(3)],
    output: "int8",
  },
  "narrow image": { size: [4, 3], channels: 8, kernel: [3, 3], pads: around },
  "batch without bias": { batch: 2, size: [5, 5], channels: 9, kernel: [3, 3], pads: around, bias: false },
  "5x5": { size: [9, 8], channels: 8, kernel: [5, 5], pads: [2, 2, 2, 2], padValue: 3 },
  "5x5, stride 2": { size: [9, 8], channels: 8, kernel: [5, 5], pads: [2, 2, 2, 2], stride: 2, input: "int8" },
  "4x4": { size: [8, 9], channels: 8, kernel: [4, 4], pads: [1, 1, 2, 2] },
  "2x6": { size: [8, 16], channels: 8, kernel: [2, 6] },
  "long row": { size: [1, 20], channels: 8, kernel: [1, 7], pads: [0, 3, 0, 3], padValue: 4 },
  column: { size: [12, 1], channels: 10, kernel: [7, 1], pads: [3, 0, 3, 0] },
  "1x1": { size: [3, 6], channels: 10, kernel: [1, 1] },
  dilation: { size: [9, 9], channels: 8, kernel: [3, 3], dilation: 2, pads: [2, 2, 2, 2], input: "int8" },
  "dilation and stride": {
    size: [11, 21],
    channels: 8,
    kernel: [3, 3],
    dilation: 2,
    stride: 3,
    pads: [2, 2, 2, 2],
  },
  "multiplier of three": {
    size: [5, 6],
    channels: 4,
    multiplier: 3,
    kernel: [3, 3],
    pads: around,
    padValue: 1,
    epilogue: toInt8,
    operands: [scales(12)],
    output: "int8",
  },
  "gaps between pixels": {
    size: [5, 6],
    channels: 8,
    kernel: [3, 3],
    gap: 3,
    epilogue: toInt8,
    operands: [scales(8)],
    output: "int8",
  },
  "residual of int8": {
    size: [5, 6],
    channels: 12,
    kernel: [3, 3],
    pads: around,
    epilogue: residual,
    operands: [scales(12), ["int8", [1, 5, 6, 12]]],
    output: "int8",
  },
  "one value per pixel, to float32": {
    size: [5, 6],
    channels: 12,
    kernel: [3, 3],
    pads: around,
    epilogue: binary("add", scaled, cast("float32", input(2))),
    operands: [scales(12), ["uint8", [1, 5, 6, 1]]],
    output: "float32",
  },
  "one scale": {
    size: [5, 6],
    channels: 12,
    kernel: [3, 3],
    epilogue: toInt8,
    operands: [["float32", [1]]],
    output: "int8",
  },
  "one scale, few channels": {
    size: [5, 6],
    channels: 5,
    kernel: [3, 3],
    epilogue: toInt8,
    operands: [["float32", [1]]],
    output: "int8",
  },
  "sigmoid of the sum": {
    size: [5, 6],
    channels: 8,
    kernel: [3, 3],
    epilogue: cast("uint8", clamped(binary("multiply", unary("sigmoid", scaled), constant(255)), 0, 0, 255)),
    operands: [scales(8)],
    output: "uint8",
  },
};

/** Integers of `dtype` over its whole range, or small floats. */
function random(dtype: Type, shape: readonly number[], seed: number): Tensor {
  const ranges = { int8: [-128, 127], uint8: [0, 255], int32: [-20000, 20000], float32: [0, 0] } as const;
  const [low, high] = ranges[dtype];
  return tensorOfNumbers(
    dtype,
    shape,
    Float64Array.from(noise(sizeOf(shape), seed), (value) =>
      dtype === "float32" ? value * 0.01 : Math.round(low + ((value + 2) / 4) * (high - low)),
    ),
  );
}

/** The accumulators by the definition. */
function definition(problem: IntegerDepthwiseProblem, x: Tensor, w: Tensor, bias: Tensor | undefined): Tensor {
  const { inputHeight, inputWidth, inputChannels, outputChannels, kernelHeight, kernelWidth, padValue } = problem;
  const [batch, height, width] = [problem.batch, problem.outputHeight, problem.outputWidth] as [number, number, number];
  const shape = [batch, height, width, outputChannels];
  const sums: number[] = [];
  for (let n = 0; n < batch; n++)
    for (let oy = 0; oy < height; oy++)
      for (let ox = 0; ox < width; ox++)
        for (let o = 0; o < outputChannels; o++) {
          let sum = Number(bias?.data[o] ?? 0);
          for (let ky = 0; ky < kernelHeight; ky++)
            for (let kx = 0; kx < kernelWidth; kx++) {
              const y = oy * problem.strideHeight - problem.padTop + ky * problem.dilationHeight;
              const column = ox * problem.strideWidth - problem.padLeft + kx * problem.dilationWidth;
              const isInside = y >= 0 && y < Number(inputHeight) && column >= 0 && column < Number(inputWidth);
              const channel = Math.floor((o * inputChannels) / outputChannels);
              const at = ((n * Number(inputHeight) + y) * Number(inputWidth) + column) * inputChannels + channel;
              const value = isInside ? Number(x.data[at]) : padValue;
              sum += value * Number(w.data[(o * kernelHeight + ky) * kernelWidth + kx]);
            }
          sums.push(sum);
        }
  return tensorOfNumbers("int32", shape, Float64Array.from(sums));
}

function setUp(one: Case) {
  const { size, channels, multiplier = 1, kernel } = one;
  const outputChannels = channels * multiplier;
  const problem: IntegerDepthwiseProblem = {
    family: "depthwise-i8",
    ...windowFields(one),
    inputChannels: channels,
    outputChannels,
    padValue: one.padValue ?? 0,
    inputType: one.input ?? "uint8",
    inputBits: 8,
    epilogue: one.epilogue,
    operandTypes: (one.operands ?? []).map(([dtype]) => dtype),
    outputType: one.output ?? "int32",
  };
  const x = random(problem.inputType, [one.batch ?? 1, ...size, channels], 1);
  const weights = random("int8", [outputChannels, 1, ...kernel], 2);
  const bias = one.bias === false ? undefined : random("int32", [outputChannels], 3);
  const operands = (one.operands ?? []).map(([dtype, shape], k) => random(dtype, shape, 4 + k));
  const sums = definition(problem, x, weights, bias);
  const expected = one.epilogue ? evaluateElementwise(one.epilogue, [sums, ...operands]) : sums;
  return { problem, x, weights, bias, operands, expected };
}

/** The input inside its border, everything around it the padding value, with a gap behind every pixel. */
function borderedInput(problem: IntegerDepthwiseProblem, shape: readonly number[], gap: number): View {
  const halo = integerDepthwiseFamily.halo?.(problem, 0) as Halo;
  const wide = [...shape.slice(0, 3), (shape[3] as number) + gap];
  const buffer: Buffer = {
    kind: "input",
    name: "x",
    dtype: problem.inputType,
    bytes: haloBytes(problem.inputType, wide, halo),
  };
  return { ...haloView(buffer, problem.inputType, wide, halo), shape };
}

describe.each(targets)("$name", (target) => {
  test.each(Object.entries(cases))("%s", (_, one) => {
    const { problem, x, weights, bias, operands, expected } = setUp(one);
    const [variant, ...others] = integerDepthwiseFamily.variants.filter((one) =>
      integerDepthwiseFamily.accepts(one, problem),
    );
    if (!variant || others.length > 0) throw new Error("not one variant for each kernel");
    const gap = one.gap ?? 0;
    const initial = new Map<Buffer, Uint8Array>();
    const source = borderedInput(problem, x.shape, gap);
    const border = new Uint8Array(source.buffer.bytes as number).fill(problem.padValue & 0xff);
    initial.set(source.buffer, scatter(source, x, border));
    const { bytes } = integerDepthwiseFamily.pack!(variant, problem, [weights, bias], [undefined, undefined]);
    const packed: Buffer = { kind: "weight", name: "packed", dtype: "uint8", bytes: bytes.length };
    initial.set(packed, bytes);
    const views = operands.map((operand, k) => {
      const view = denseBuffer(`operand ${k}`, operand.dtype, operand.shape);
      initial.set(view.buffer, scatter(view, operand));
      return broadcastView(view, expected.shape);
    });
    const output = gappedBuffer("output", problem.outputType, expected.shape, [0, 0, gap, 0]);
    const before = scatter(output, zeros(problem.outputType, expected.shape));
    initial.set(output.buffer, before);
    const step = integerDepthwiseFamily.bind(
      variant,
      problem,
      [source, undefined, undefined, ...views],
      [output],
      packed,
      undefined,
    );
    for (const parts of [1, 3]) {
      const after = runSteps([step], { initial, target, parts }).get(output.buffer) as Uint8Array;
      expect(Array.from(collect(output, after).data as Int32Array)).toEqual(Array.from(expected.data as Int32Array));
      // What lies between the pixels is as it was.
      const zeroed = scatter(output, zeros(problem.outputType, expected.shape), after);
      expect(zeroed).toEqual(before);
    }
  });
});
