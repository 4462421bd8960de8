/**
 * Transposed convolutions over NHWC views with any image, row and pixel strides, read through a border of zeros.
 * The range is rows of the output: batch * outputHeight.
 */

import type { Tensor } from "../../../runtime/format/tensor.ts";
import { addDims, type Dim, divideDims, maximumDim, multiplyDims, subtractDims } from "../../graph/dimension.ts";
import type { BoundStep, Buffer, Family, Halo, View } from "../contract.ts";
import { keyOf } from "../expression/memo.ts";
import type { ConvTransposeProblem } from "../problem.ts";
import { weightPanelBytes, weightScratchBytes } from "../tile/block-layout.ts";
import { epilogueForm, isEpilogue } from "../tile/finish.ts";
import { panelWidth } from "../tile/multiply.ts";
import { quad } from "../tile/wgsl.ts";
import { addressWord, integerWord, operandWords } from "../tile/words.ts";
import { packConvTranspose, transposeExtents } from "./pack.ts";
import { type ConvTransposeVariant, convTransposeVariants } from "./variants.ts";
import { type ConvTransposeShape, emitConvTranspose, type TransposedAxis } from "./wasm.ts";
import { convTransposeWgsl } from "./wgsl.ts";

/** Bytes of output that a block of rows may hold while the panels pass over it. */
const blockBytes = 256 * 1024;

const greatestCommonDivisor = (a: number, b: number): number => (b === 0 ? a : greatestCommonDivisor(b, a % b));

function axesOf(problem: ConvTransposeProblem): readonly [vertical: TransposedAxis, horizontal: TransposedAxis] {
  const axis = (stride: number, dilation: number, pad: number, kernel: number): TransposedAxis => {
    const common = greatestCommonDivisor(stride, dilation);
    return { stride, dilation, pad, kernel, tapStep: stride / common, inputStep: dilation / common };
  };
  return [
    axis(problem.strideHeight, problem.dilationHeight, problem.padTop, problem.kernelHeight),
    axis(problem.strideWidth, problem.dilationWidth, problem.padLeft, problem.kernelWidth),
  ];
}

/** The furthest inputs that outputs are gathered from, before and behind the image. */
function haloOf(problem: ConvTransposeProblem): Halo {
  const [vertical, horizontal] = axesOf(problem);
  const before = ({ stride, dilation, pad, kernel }: TransposedAxis): number =>
    Math.max(0, Math.floor(((kernel - 1) * dilation - pad) / stride));
  const behind = ({ stride, dilation, pad, kernel }: TransposedAxis, output: Dim, input: Dim): number => {
    const last = subtractDims(divideDims(addDims(output, pad - 1), stride), addDims(input, -1));
    return Math.max(0, typeof last === "number" ? last : Math.ceil(((kernel - 1) * dilation) / stride) + 1);
  };
  return {
    top: before(vertical),
    left: before(horizontal),
    bottom: behind(vertical, problem.outputHeight, problem.inputHeight),
    right: behind(horizontal, problem.outputWidth, problem.inputWidth),
    value: 0,
  };
}

export const convTransposeFamily: Family<ConvTransposeProblem, ConvTransposeVariant> = {
  name: "conv-transpose",
  variants: convTransposeVariants,
  strided: true,
  accepts: (_, problem) =>
    isEpilogue(problem.epilogue, problem.epilogueOperands) && (!problem.blocks || problem.groups === 1),
  work(variant, problem, extent) {
    const { depth } = transposeExtents(problem, panelWidth(variant));
    const tiles = tilesOf(variant, problem, extent) * variant.rows * panelWidth(variant);
    return (tiles * depth) / (problem.strideHeight * problem.strideWidth);
  },
  overheads(variant, problem, extent) {
    const tiles = tilesOf(variant, problem, extent);
    const { kernelHeight, kernelWidth, strideHeight, strideWidth } = problem;
    return { tiles, runs: tiles * Math.ceil(kernelHeight / strideHeight) * Math.ceil(kernelWidth / strideWidth) };
  },
  halo: (problem, index) => (index === 0 ? haloOf(problem) : undefined),
  packedOperands: () => [1, 2],
  packKey: (variant, problem) => `${panelWidth(variant)} ${problem.groups} ${problem.storage}`,
  pack: (variant, problem, [weights, bias], [storage]) =>
    packConvTranspose(problem, panelWidth(variant), weights as Tensor, bias, storage),
  scratchBytes: (variant, problem) =>
    weightScratchBytes(problem, panelWidth(variant), transposeExtents(problem, panelWidth(variant)).depth),
  bind: (variant, problem, [input, , , ...operands], outputs, packed, scratch) =>
    bindConvTranspose(
      variant,
      problem,
      input as View,
      operands as readonly View[],
      outputs[0] as View,
      packed as Buffer,
      scratch,
    ),
};

function tilesOf(variant: ConvTransposeVariant, problem: ConvTransposeProblem, extent: (dim: Dim) => number): number {
  const { panelsPerGroup } = transposeExtents(problem, panelWidth(variant));
  const phase = Math.ceil(extent(problem.outputWidth) / problem.strideWidth);
  const inRow = Math.ceil(phase / variant.rows) * problem.strideWidth;
  return extent(problem.batch) * extent(problem.outputHeight) * inRow * panelsPerGroup * problem.groups;
}

function bindConvTranspose(
  variant: ConvTransposeVariant,
  problem: ConvTransposeProblem,
  input: View,
  operands: readonly View[],
  output: View,
  packed: Buffer,
  scratch: Buffer | undefined,
): BoundStep {
  const width = panelWidth(variant);
  const { channelsPerGroup, filtersPerGroup, depth } = transposeExtents(problem, width);
  const { batch, outputHeight, outputWidth, storage, blocks } = problem;
  const [vertical, horizontal] = axesOf(problem);
  const [inputImage, inputRow, inputPixel] = input.strides as readonly [Dim, Dim, Dim, Dim];
  const outputRow = output.strides[1] as Dim;
  const named = [
    addressWord("input", input, "read"),
    addressWord("weights", { buffer: packed, offset: 0 }, "read"),
    addressWord("output", output, "write"),
    ...(scratch ? [addressWord("scratch", { buffer: scratch, offset: 0 }, "scratch")] : []),
    integerWord("outputHeight", outputHeight),
    integerWord("outputWidth", outputWidth),
    integerWord("inputImage", inputImage),
    integerWord("inputRow", inputRow),
    integerWord("inputPixel", inputPixel),
    integerWord("outputImage", output.strides[0] as Dim),
    integerWord("outputRow", outputRow),
    integerWord("outputPixel", output.strides[2] as Dim),
    integerWord("groups", problem.groups),
    integerWord("channels", channelsPerGroup),
    integerWord("groupBytes", channelsPerGroup * 4),
    integerWord("tapBytes", channelsPerGroup * width * 4),
    integerWord("filtersPerGroup", filtersPerGroup),
    integerWord("panelBytes", weightPanelBytes(problem, width, depth, channelsPerGroup)),
    integerWord("depth", depth),
    integerWord("blockRows", maximumDim(1, divideDims(blockBytes, outputRow))),
    ...operandWords(operands),
  ];
  const shape: ConvTransposeShape = {
    tile: { rows: variant.rows, vectors: variant.vectors },
    storage,
    ...(blocks ? { blocks } : {}),
    vertical,
    horizontal,
    epilogue: problem.epilogue,
    form: epilogueForm(problem.epilogue, operands.length),
    operandChannels: operands.map((view) => (view.strides[3] === 0 ? "single" : "contiguous")),
    names: named.map(([name]) => name),
  };
  const outputs = multiplyDims(batch, outputHeight, outputWidth, problem.outputChannels);
  const inputs = multiplyDims(batch, problem.inputHeight, problem.inputWidth, problem.inputChannels);
  const floats = addDims(inputs, multiplyDims(outputs, 1 + operands.length));
  return {
    kernel: {
      key: `conv-transpose ${keyOf(shape)}`,
      name: `conv-transpose ${problem.kernelHeight}x${problem.kernelWidth} ${variant.name} ${storage}`,
      emitWasm: (context) => emitConvTranspose(context, shape),
      emitWgsl: () => convTransposeWgsl(shape),
    },
    arguments: named.map(([, argument]) => argument),
    range: multiplyDims(batch, outputHeight),
    // Scattered form: every input meets every tap.
    flops: multiplyDims(inputs, 2 * problem.kernelHeight * problem.kernelWidth * filtersPerGroup),
    bytes: addDims(multiplyDims(floats, 4), packed.bytes),
    invocations: multiplyDims(batch, outputHeight, outputWidth, problem.groups, Math.ceil(filtersPerGroup / quad)),
  };
}
