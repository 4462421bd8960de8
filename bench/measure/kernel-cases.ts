/** The synthetic problems of `bench kernels`: shapes that models have, for every family. */
import type { PlainStorage, Problem, StoredWeights } from "../../compiler/kernels/problem.ts";
import { binary, cast, constant, type Expression, input, unary } from "../../runtime/format/expression.ts";

export interface KernelCase {
  /** "3x3 64->64 @56". */
  readonly label: string;
  readonly problem: Problem;
  /** Shape of each operand in the problem's order. */
  readonly operands: readonly (readonly number[])[];
  readonly output: readonly number[];
  /** Axis of the weights (operand 1) that int8 has a scale for. */
  readonly scaleAxis: number;
}

const storages: readonly PlainStorage[] = ["float32", "float16", "int8"];
/** Fewest terms of a sum that lie in blocks. */
const leastTerms = 16;

/** How the weights of a product over so many terms may be stored. */
function weightForms(terms: number): readonly StoredWeights[] {
  const plain = storages.map((storage) => ({ storage }));
  const common = { size: 32, scaleType: "float16", bias: true } as const;
  if (terms < leastTerms) return plain;
  return [
    ...plain,
    { storage: "int4", blocks: { ...common, zeros: true } },
    { storage: "nf4", blocks: { ...common, zeros: false } },
  ];
}

interface Convolution {
  readonly kernel: number;
  readonly size: number;
  readonly input: number;
  readonly output: number;
  readonly stride?: number;
}

/** Kernel, padding and extents of a square window that keeps the size (divided by the stride). */
function windowOf({ kernel, size, stride = 1 }: Convolution) {
  const outputSize = Math.ceil(size / stride);
  return {
    batch: 1,
    inputHeight: size,
    inputWidth: size,
    outputHeight: outputSize,
    outputWidth: outputSize,
    kernelHeight: kernel,
    kernelWidth: kernel,
    strideHeight: stride,
    strideWidth: stride,
    dilationHeight: 1,
    dilationWidth: 1,
    padTop: Math.floor((kernel - 1) / 2),
    padLeft: Math.floor((kernel - 1) / 2),
  };
}

const labelOf = ({ kernel, size, input, output, stride = 1 }: Convolution): string =>
  `${kernel}x${kernel} ${input}->${output} @${size}${stride === 1 ? "" : ` /${stride}`}`;

export function conv(shape: Convolution): readonly KernelCase[] {
  const { input, output, kernel, size } = shape;
  const window = windowOf(shape);
  return weightForms(input).map((weights) => ({
    label: `${labelOf(shape)} ${weights.storage}`,
    problem: {
      family: "conv",
      ...window,
      groups: 1,
      inputChannels: input,
      outputChannels: output,
      ...weights,
      epilogue: undefined,
      epilogueOperands: 0,
    },
    operands: [[1, size, size, input], [output, input, kernel, kernel], [output]],
    output: [1, window.outputHeight, window.outputWidth, output],
    scaleAxis: 0,
  }));
}

export function depthwise(shape: Convolution): readonly KernelCase[] {
  const { input, output, kernel, size } = shape;
  const window = windowOf(shape);
  return storages.map((storage) => ({
    label: `${labelOf(shape)} ${storage}`,
    problem: {
      family: "depthwise",
      ...window,
      inputChannels: input,
      outputChannels: output,
      storage,
      epilogue: undefined,
      epilogueOperands: 0,
    },
    operands: [[1, size, size, input], [output, 1, kernel, kernel], [output]],
    output: [1, window.outputHeight, window.outputWidth, output],
    scaleAxis: 0,
  }));
}

/** The sum of an integer product by its channel's scale. */
const scaled = binary("multiply", cast("float32", input(0)), input(1));

/** What follows an integer product: the scaled sum through `map`, rounded and saturated. */
export const requantise = (map: (value: Expression) => Expression): Expression =>
  cast(
    "uint8",
    binary(
      "minimum",
      binary("maximum", binary("add", unary("round", map(scaled)), constant(3)), constant(0)),
      constant(255),
    ),
  );

const integers = {
  inputType: "uint8",
  inputBits: 8,
  padValue: 0,
  epilogue: requantise((value) => value),
  operandTypes: ["float32"],
  outputType: "uint8",
} as const;

export function integerDepthwise(shape: Convolution): KernelCase {
  const { input, output, kernel, size } = shape;
  const window = windowOf(shape);
  return {
    label: labelOf(shape),
    problem: { family: "depthwise-i8", ...window, inputChannels: input, outputChannels: output, ...integers },
    operands: [[1, size, size, input], [output, 1, kernel, kernel], [output], [output]],
    output: [1, window.outputHeight, window.outputWidth, output],
    scaleAxis: 0,
  };
}

/** Both widths of the input: 7 bits are a relaxed dot's. */
const integerBits = [8, 7] as const;

export function integerConv(shape: Convolution): readonly KernelCase[] {
  const { input, output, kernel, size } = shape;
  const window = windowOf(shape);
  return integerBits.map((inputBits) => ({
    label: `${labelOf(shape)} ${inputBits} bits`,
    problem: {
      family: "conv-i8",
      ...window,
      groups: 1,
      inputChannels: input,
      outputChannels: output,
      ...integers,
      inputBits,
    },
    operands: [[1, size, size, input], [output, input, kernel, kernel], [output], [output]],
    output: [1, window.outputHeight, window.outputWidth, output],
    scaleAxis: 0,
  }));
}

export function integerMatmul(rows: number, inner: number, columns: number): readonly KernelCase[] {
  const { padValue, ...product } = integers;
  return integerBits.map((inputBits) => ({
    label: `${rows}x${inner}x${columns} ${inputBits} bits`,
    problem: { family: "matmul-i8", batch: 1, rows, inner, columns, transposeB: false, ...product, inputBits },
    operands: [[1, rows, inner], [inner, columns], [columns], [columns]],
    output: [1, rows, columns],
    scaleAxis: 1,
  }));
}

/** Doubles the size: kernel 2 or 4, stride 2. */
export function convTranspose({ kernel, size, input, output }: Convolution): readonly KernelCase[] {
  return storages.map((storage) => ({
    label: `${labelOf({ kernel, size, input, output, stride: 2 })} ${storage}`,
    problem: {
      family: "conv-transpose",
      ...windowOf({ kernel, size, input, output, stride: 2 }),
      outputHeight: 2 * size,
      outputWidth: 2 * size,
      padTop: (kernel - 2) / 2,
      padLeft: (kernel - 2) / 2,
      groups: 1,
      inputChannels: input,
      outputChannels: output,
      storage,
      epilogue: undefined,
      epilogueOperands: 0,
    },
    operands: [[1, size, size, input], [input, output, kernel, kernel], [output]],
    output: [1, 2 * size, 2 * size, output],
    scaleAxis: 1,
  }));
}

export function matmul(rows: number, inner: number, columns: number): readonly KernelCase[] {
  return weightForms(inner).map((weights) => ({
    label: `${rows}x${inner}x${columns} ${weights.storage}`,
    problem: {
      family: "matmul",
      batch: 1,
      rows,
      inner,
      columns,
      dynamicB: false,
      batchedB: false,
      transposeB: false,
      ...weights,
      epilogue: undefined,
      epilogueOperands: 0,
    },
    operands: [[1, rows, inner], [inner, columns], [columns]],
    output: [1, rows, columns],
    scaleAxis: 1,
  }));
}

export function pool(mode: "max" | "average", shape: Convolution, dtype: "float32" | "uint8" = "float32"): KernelCase {
  const { input, size } = shape;
  const window = windowOf(shape);
  return {
    label: `${mode} ${labelOf(shape)}${dtype === "float32" ? "" : ` ${dtype}`}`,
    problem: {
      family: "pool",
      dtype,
      ...window,
      mode,
      channels: input,
      countIncludePad: false,
      countedHeight: size,
      countedWidth: size,
      norm: 2,
      epilogue: undefined,
    },
    operands: [[1, size, size, input]],
    output: [1, window.outputHeight, window.outputWidth, input],
    scaleAxis: 0,
  };
}

export const reduce = (outer: number, reduced: number, inner: number): KernelCase => ({
  label: `add ${outer}x${reduced}x${inner}`,
  problem: { family: "reduce", combine: "add", outer, reduced, inner, map: undefined, finish: undefined },
  operands: [[outer, reduced, inner]],
  output: [outer, inner],
  scaleAxis: 0,
});

const dynamicQuantize = (elements: number): KernelCase => ({
  label: `${elements}`,
  problem: { family: "dynamic-quantize", elements },
  operands: [[elements]],
  output: [elements],
  scaleAxis: 0,
});

export const softmax = (outer: number, length: number, inner: number): KernelCase => ({
  label: `${outer}x${length}x${inner}`,
  problem: { family: "softmax", logarithm: false, outer, length, inner },
  operands: [[outer, length, inner]],
  output: [outer, length, inner],
  scaleAxis: 0,
});

export const norm = (outer: number, length: number): KernelCase => ({
  label: `${outer}x${length}`,
  problem: {
    family: "norm",
    outer,
    length,
    centered: true,
    epsilon: 1e-5,
    affine: "element",
    channels: length,
  },
  operands: [[outer, length], [length], [length]],
  output: [outer, length],
  scaleAxis: 0,
});

export const attention = (
  heads: number,
  keyHeads: number,
  queries: number,
  keys: number,
  depth: number,
): KernelCase => ({
  label: `${heads}/${keyHeads} heads, ${queries}x${keys}x${depth}`,
  problem: {
    family: "attention",
    queryLayout: "BSHD",
    keyLayout: "BSHD",
    valueLayout: "BSHD",
    outputLayout: "BSHD",
    batch: 1,
    heads,
    keyHeads,
    queries,
    keys,
    depth,
    valueDepth: depth,
    scale: depth ** -0.5,
    causal: false,
    window: undefined,
    softcap: undefined,
  },
  operands: [
    [1, queries, heads, depth],
    [1, keys, keyHeads, depth],
    [1, keys, keyHeads, depth],
  ],
  output: [1, queries, heads, depth],
  scaleAxis: 0,
});

const sigmoid = unary("sigmoid", input(0));
const tanh = unary("tanh", input(0));

/** A recurrent layer of as many hidden units as inputs; of one step with the products of its input, else without. */
export function recurrent(cell: "lstm" | "gru", time: number, batch: number, size: number): KernelCase {
  const rows = (cell === "lstm" ? 4 : 3) * size;
  const projected = time > 1;
  const inputSize = projected ? rows : size;
  return {
    label: `${cell} ${time}x${batch}x${size}`,
    problem: {
      family: "recurrent",
      cell,
      direction: "forward",
      time,
      batch,
      inputSize,
      hiddenSize: size,
      projected,
      batchFirst: false,
      activations: cell === "lstm" ? [sigmoid, tanh, tanh] : [sigmoid, tanh],
      clip: undefined,
      inputForget: false,
      linearBeforeReset: true,
      peepholes: false,
      outputs: ["Y"],
      inputWeights: { storage: "float32" },
      stateWeights: { storage: "float32" },
    },
    operands: [
      [time, batch, inputSize],
      [rows, size],
      [rows, size],
    ],
    output: [time, 1, batch, size],
    scaleAxis: 0,
  };
}

export const kernelCases: readonly KernelCase[] = [
  ...conv({ kernel: 3, size: 56, input: 64, output: 64 }),
  ...conv({ kernel: 3, size: 28, input: 128, output: 128 }),
  ...conv({ kernel: 3, size: 7, input: 512, output: 512 }),
  ...conv({ kernel: 1, size: 56, input: 64, output: 128 }),
  ...conv({ kernel: 1, size: 56, input: 24, output: 144 }),
  ...conv({ kernel: 1, size: 14, input: 512, output: 512 }),
  ...conv({ kernel: 3, size: 224, input: 3, output: 32, stride: 2 }),
  ...depthwise({ kernel: 3, size: 56, input: 144, output: 144 }),
  ...depthwise({ kernel: 3, size: 56, input: 144, output: 144, stride: 2 }),
  ...depthwise({ kernel: 5, size: 14, input: 576, output: 576 }),
  integerDepthwise({ kernel: 3, size: 56, input: 144, output: 144 }),
  integerDepthwise({ kernel: 3, size: 56, input: 144, output: 144, stride: 2 }),
  integerDepthwise({ kernel: 5, size: 14, input: 576, output: 576 }),
  ...integerConv({ kernel: 3, size: 56, input: 64, output: 64 }),
  ...integerConv({ kernel: 3, size: 7, input: 512, output: 512 }),
  ...integerConv({ kernel: 1, size: 56, input: 64, output: 128 }),
  ...integerConv({ kernel: 1, size: 56, input: 24, output: 144 }),
  ...integerConv({ kernel: 1, size: 14, input: 512, output: 512 }),
  ...integerConv({ kernel: 1, size: 1, input: 576, output: 144 }),
  ...integerConv({ kernel: 3, size: 224, input: 3, output: 32, stride: 2 }),
  ...convTranspose({ kernel: 2, size: 28, input: 64, output: 32 }),
  ...convTranspose({ kernel: 4, size: 28, input: 64, output: 32 }),
  ...[1, 2, 3, 4, 5].flatMap((rows) => matmul(rows, 512, 512)),
  ...matmul(128, 256, 512),
  ...matmul(480, 512, 480),
  ...[1, 2, 3, 4].flatMap((rows) => integerMatmul(rows, 512, 512)),
  ...integerMatmul(128, 256, 512),
  pool("max", { kernel: 3, size: 56, input: 64, output: 64, stride: 2 }),
  pool("max", { kernel: 3, size: 56, input: 64, output: 64, stride: 2 }, "uint8"),
  pool("average", { kernel: 2, size: 56, input: 64, output: 64, stride: 2 }),
  reduce(1024, 256, 1),
  reduce(1, 196, 512),
  dynamicQuantize(512),
  dynamicQuantize(65536),
  softmax(1536, 128, 1),
  softmax(1, 1000, 1),
  softmax(1, 16, 4096),
  norm(128, 192),
  attention(12, 12, 128, 128, 64),
  attention(3, 3, 197, 197, 64),
  attention(3, 3, 49, 49, 32),
  attention(6, 6, 1500, 1500, 64),
  attention(9, 3, 1, 512, 64),

  recurrent("lstm", 1, 1, 128),
  recurrent("lstm", 64, 1, 128),
  recurrent("lstm", 16, 16, 128),
  recurrent("gru", 1, 1, 128),
  recurrent("gru", 16, 33, 64),
];
