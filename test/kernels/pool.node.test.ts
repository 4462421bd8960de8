/** Pooling against its reference: borders, dilation, strides of views, every mode, NaN, cut ranges. */
import { expect, test } from "vitest";
import type { View } from "../../compiler/kernels/contract.ts";
import { poolFamily } from "../../compiler/kernels/pool/family.ts";
import { poolVariants } from "../../compiler/kernels/pool/variants.ts";
import type { PoolProblem } from "../../compiler/kernels/problem.ts";
import { binary, constant, input } from "../../runtime/format/expression.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import { leafcutterPool } from "../../runtime/reference/leafcutter-pool.ts";
import { tensorOfNumbers } from "../../runtime/reference/numbers.ts";
import { runSteps } from "./run.ts";
import { collect, expectClose, gappedBuffer, noise, scatter, sizeOf, tensor } from "./tensors.ts";

interface Case {
  readonly name: string;
  readonly input: readonly [number, number, number, number];
  readonly kernel: readonly [number, number];
  readonly strides?: readonly [number, number];
  readonly dilations?: readonly [number, number];
  readonly pads?: readonly [number, number, number, number];
  readonly dtype?: PoolProblem["dtype"];
  readonly mode?: PoolProblem["mode"];
  readonly p?: number;
  readonly countIncludePad?: boolean;
  readonly output?: readonly [number, number];
  readonly relu?: boolean;
  readonly special?: boolean;
}

const cases: readonly Case[] = [
  { name: "max 3x3 stride 2", input: [2, 9, 11, 13], kernel: [3, 3], strides: [2, 2] },
  { name: "max padded", input: [1, 7, 7, 8], kernel: [3, 3], pads: [1, 1, 1, 1] },
  { name: "max of NaN and infinities", input: [2, 8, 8, 7], kernel: [2, 3], pads: [1, 0, 0, 1], special: true },
  { name: "max dilated", input: [1, 12, 10, 5], kernel: [2, 3], dilations: [3, 2], pads: [2, 1, 2, 3] },
  { name: "max ceil", input: [1, 6, 6, 16], kernel: [3, 3], strides: [2, 2], output: [3, 3] },
  { name: "max 5x5", input: [1, 13, 13, 33], kernel: [5, 5], pads: [2, 2, 2, 2] },
  { name: "average", input: [2, 9, 7, 6], kernel: [3, 2], strides: [2, 1], pads: [1, 1, 1, 0], mode: "average" },
  {
    name: "average with padding",
    input: [1, 9, 7, 12],
    kernel: [3, 3],
    strides: [2, 2],
    pads: [1, 1, 1, 1],
    mode: "average",
    countIncludePad: true,
    output: [5, 5],
  },
  { name: "average of everything", input: [2, 13, 13, 10], kernel: [13, 13], mode: "average" },
  { name: "lp 1", input: [1, 6, 6, 5], kernel: [2, 2], mode: "lp", p: 1 },
  { name: "lp 2", input: [1, 6, 6, 5], kernel: [3, 3], mode: "lp", p: 2, pads: [1, 1, 1, 1] },
  { name: "lp 3", input: [1, 6, 6, 5], kernel: [3, 3], mode: "lp", p: 3 },
  {
    name: "int8, 33 channels",
    input: [2, 9, 11, 33],
    kernel: [3, 3],
    strides: [2, 2],
    pads: [1, 1, 1, 1],
    dtype: "int8",
  },
  { name: "uint8, 16 channels", input: [1, 8, 8, 16], kernel: [2, 2], strides: [2, 2], dtype: "uint8" },
  { name: "uint8, 13 channels, 5x5", input: [1, 9, 9, 13], kernel: [5, 5], pads: [2, 2, 2, 2], dtype: "uint8" },
  {
    name: "int8, 3 channels, dilated",
    input: [1, 9, 9, 3],
    kernel: [2, 3],
    dilations: [3, 2],
    pads: [2, 1, 2, 3],
    dtype: "int8",
  },
  { name: "with an epilogue", input: [1, 6, 6, 9], kernel: [3, 3], relu: true, mode: "average" },
];

const epilogue = binary("maximum", input(0), constant(0));

function problemOf(entry: Case, output: readonly number[]): PoolProblem {
  const [batch, height, width, channels] = entry.input;
  const pads = entry.pads ?? [0, 0, 0, 0];
  return {
    family: "pool",
    dtype: entry.dtype ?? "float32",
    mode: entry.mode ?? "max",
    batch,
    channels,
    inputHeight: height,
    inputWidth: width,
    outputHeight: output[1] ?? 1,
    outputWidth: output[2] ?? 1,
    kernelHeight: entry.kernel[0],
    kernelWidth: entry.kernel[1],
    strideHeight: entry.strides?.[0] ?? 1,
    strideWidth: entry.strides?.[1] ?? 1,
    dilationHeight: entry.dilations?.[0] ?? 1,
    dilationWidth: entry.dilations?.[1] ?? 1,
    padTop: pads[0],
    padLeft: pads[1],
    countIncludePad: entry.countIncludePad ?? false,
    countedHeight: height + pads[0] + pads[2],
    countedWidth: width + pads[1] + pads[3],
    norm: entry.p ?? 2,
    epilogue: entry.relu ? epilogue : undefined,
  };
}

function referenceOf(entry: Case, x: Tensor): Tensor {
  const [y] = leafcutterPool({
    inputs: [x],
    version: 1,
    outputCount: 1,
    attributes: {
      mode: entry.mode ?? "max",
      kernelShape: entry.kernel,
      strides: entry.strides ?? [1, 1],
      dilations: entry.dilations ?? [1, 1],
      pads: entry.pads ?? [0, 0, 0, 0],
      countIncludePad: entry.countIncludePad ? 1 : 0,
      p: entry.p ?? 2,
      ...(entry.output ? { outputShape: entry.output } : {}),
      ...(entry.relu ? { epilogue } : {}),
    },
  });
  return y as Tensor;
}

function run(entry: Case, x: Tensor, output: readonly number[], parts: number, gaps: readonly number[]): Tensor {
  const from: View = gappedBuffer("x", x.dtype, entry.input, gaps, 3);
  const to: View = gappedBuffer("y", x.dtype, output, gaps, 1);
  const step = poolFamily.bind(
    poolVariants[0] as (typeof poolVariants)[number],
    problemOf(entry, output),
    [from],
    [to],
    undefined,
    undefined,
  );
  const result = runSteps([step], { initial: new Map([[from.buffer, scatter(from, x)]]), parts });
  return collect(to, result.get(to.buffer) as Uint8Array);
}

test.each(cases)("$name", (entry) => {
  const values = noise(sizeOf(entry.input));
  if (entry.special) {
    values[20] = Number.NaN;
    values[200] = Number.POSITIVE_INFINITY;
    for (let index = 300; index < 360; index++) values[index] = Number.NEGATIVE_INFINITY;
  }
  const bytes = values.map((value) => Math.round(value * 63) + (entry.dtype === "uint8" ? 128 : 0));
  const x = entry.dtype ? tensorOfNumbers(entry.dtype, entry.input, bytes) : tensor(entry.input, values);
  const expected = referenceOf(entry, x);
  const whole = run(entry, x, expected.shape, 1, [0, 0, 0, 0]);
  expectClose(whole, expected, 2e-6);
  expect(run(entry, x, expected.shape, 3, [5, 7, 2, 0])).toEqual(whole);
});
