/**
 * Dense and grouped convolutions over NHWC views with any image, row and pixel strides, read through a border of zeros.
 * The range is rows of the output: batch * outputHeight.
 */

import type { Tensor } from "../../../runtime/format/tensor.ts";
import {
  addDims,
  type Dim,
  divideDims,
  maximumDim,
  multiplyDims,
  sameDim,
  subtractDims,
} from "../../graph/dimension.ts";
import type { BoundStep, Buffer, Family, View } from "../contract.ts";
import { keyOf } from "../expression/memo.ts";
import type { ConvProblem } from "../problem.ts";
import { weightPanelBytes, weightScratchBytes } from "../tile/block-layout.ts";
import { epilogueForm, isAligned, isEpilogue } from "../tile/finish.ts";
import { panelWidth } from "../tile/multiply.ts";
import { panelBytes } from "../tile/panel.ts";
import { quad } from "../tile/wgsl.ts";
import { windowHalo, windowWords } from "../tile/window.ts";
import { integerWord, operandWords } from "../tile/words.ts";
import { convExtents, packConv } from "./pack.ts";
import type { ConvShape } from "./shape.ts";
import { type ConvVariant, convVariants } from "./variants.ts";
import { emitConv } from "./wasm.ts";
import { convWgsl } from "./wgsl.ts";
import { emitWinograd } from "./winograd.ts";
import { winogradBlock } from "./winograd-block.ts";

/** Part of the second cache that a block of rows and the panel passing over it may fill, and the least for the rows. */
const cacheBytes = 384 * 1024;
const leastBlockBytes = 96 * 1024;

export const convFamily: Family<ConvProblem, ConvVariant> = {
  name: "conv",
  variants: convVariants,
  strided: true,
  accepts: (variant, problem) =>
    isEpilogue(problem.epilogue, problem.epilogueOperands) && (!variant.winograd || hasWinograd(problem)),
  work(variant, problem, extent) {
    if (variant.winograd) return winogradCounts(problem, extent).work;
    const { depth } = convExtents(problem, panelWidth(variant));
    return tilesOf(variant, problem, extent) * variant.rows * panelWidth(variant) * depth;
  },
  overheads(variant, problem, extent) {
    const { kernelHeight, kernelWidth, groups, dilationWidth, storage } = problem;
    const { depth, panelsPerGroup } = convExtents(problem, panelWidth(variant));
    const widened = storage === "float32" ? 0 : panelsPerGroup * groups * panelWidth(variant) * depth;
    if (variant.winograd) return { ...winogradCounts(problem, extent).overheads, widened };
    const tiles = tilesOf(variant, problem, extent);
    // Neighbouring taps of a row are one run when the channels of all groups are read.
    const runs = kernelHeight * (groups === 1 && dilationWidth === 1 ? 1 : kernelWidth);
    return { tiles, runs: tiles * runs, widened };
  },
  halo: (problem, index) => (index === 0 ? windowHalo(problem) : undefined),
  packedOperands: () => [1, 2],
  packKey: (variant, problem) => `${panelWidth(variant)} ${problem.groups} ${problem.storage}`,
  pack: (variant, problem, [weights, bias], [storage]) =>
    packConv(problem, panelWidth(variant), weights as Tensor, bias, storage),
  scratchBytes: (variant, problem) =>
    variant.winograd
      ? winogradBlock(problem).scratchBytes
      : weightScratchBytes(problem, panelWidth(variant), convExtents(problem, panelWidth(variant)).depth),
  bind: (variant, problem, [input, , , ...operands], outputs, packed, scratch) =>
    bindConv(
      variant,
      problem,
      input as View,
      operands as readonly View[],
      outputs[0] as View,
      packed as Buffer,
      scratch,
    ),
};

/** Whether the transform applies; with fewer channels the transforms would cost more than the products. */
function hasWinograd(problem: ConvProblem): boolean {
  const { kernelHeight, kernelWidth, strideHeight, strideWidth, dilationHeight, dilationWidth } = problem;
  const isSquare = kernelHeight === 3 && kernelWidth === 3 && strideHeight === 1 && strideWidth === 1;
  return (
    isSquare && dilationHeight === 1 && dilationWidth === 1 && problem.groups === 1 && problem.inputChannels % 4 === 0
  );
}

function tilesOf(variant: ConvVariant, problem: ConvProblem, extent: (dim: Dim) => number): number {
  const pixels = extent(problem.batch) * extent(problem.outputHeight) * extent(problem.outputWidth);
  return Math.ceil(pixels / variant.rows) * convExtents(problem, panelWidth(variant)).panelsPerGroup * problem.groups;
}

/** Multiply-adds of the 16 products, and vectors that go through the transforms of input, weights and output. */
function winogradCounts(problem: ConvProblem, extent: (dim: Dim) => number) {
  const { inputChannels, outputChannels, batch } = problem;
  const block = winogradBlock(problem);
  const rows = extent(batch) * extent(block.tileRows);
  const blocks = Math.ceil(rows / extent(block.rows));
  const tiles = Math.ceil((rows * extent(block.tileColumns)) / blocks);
  const panels = Math.ceil(outputChannels / 8);
  const products = Math.ceil(tiles / 6) * 6 * 16 * inputChannels * 8;
  return {
    work: blocks * panels * products,
    overheads: {
      inputs: blocks * tiles * inputChannels,
      kernels: blocks * panels * inputChannels,
      outputs: blocks * panels * tiles,
    },
  };
}

function bindConv(
  variant: ConvVariant,
  problem: ConvProblem,
  input: View,
  operands: readonly View[],
  output: View,
  packed: Buffer,
  scratch: Buffer | undefined,
): BoundStep {
  const width = panelWidth(variant);
  const { channelsPerGroup, filtersPerGroup, depth } = convExtents(problem, width);
  const { kernelHeight, kernelWidth, outputHeight, outputWidth, batch, groups, storage, blocks } = problem;
  const [, inputRow, inputPixel] = input.strides as readonly [Dim, Dim, Dim, Dim];
  const tapBytes = multiplyDims(inputPixel, problem.dilationWidth);
  const runBytes = channelsPerGroup * 4;
  const contiguous = kernelWidth === 1 || sameDim(tapBytes, runBytes);
  const rowBytes = multiplyDims(inputRow, problem.dilationHeight);
  const walked = contiguous ? kernelWidth * runBytes : multiplyDims(tapBytes, kernelWidth);
  const inputRowStep = multiplyDims(inputRow, problem.strideHeight);
  // A panel touches one or two cache lines of every output pixel.
  const touched = multiplyDims(outputWidth, 64);
  const blockBytes = Math.max(leastBlockBytes, cacheBytes - panelBytes("float32", width, depth));
  const block = variant.winograd && winogradBlock(problem);
  const named = [
    ...windowWords(problem, { input, packed, output, scratch }),
    integerWord("run", contiguous ? kernelWidth * channelsPerGroup : channelsPerGroup),
    integerWord("tapJump", subtractDims(tapBytes, runBytes)),
    integerWord("rowJump", subtractDims(rowBytes, walked)),
    integerWord("groups", groups),
    integerWord("groupBytes", runBytes),
    integerWord("filtersPerGroup", filtersPerGroup),
    integerWord("panelBytes", weightPanelBytes(problem, width, depth, channelsPerGroup)),
    integerWord("depth", depth),
    integerWord("channels", channelsPerGroup),
    integerWord(
      "blockRows",
      block ? block.rows : maximumDim(1, divideDims(blockBytes, addDims(inputRowStep, touched))),
    ),
    ...(block
      ? [
          integerWord("tileColumns", block.tileColumns),
          integerWord("tileRows", block.tileRows),
          integerWord("kernels", block.kernels),
          integerWord("products", block.products),
          integerWord("widened", block.widened),
        ]
      : []),
    ...operandWords(operands),
  ];
  const shape: ConvShape = {
    tile: { rows: variant.rows, vectors: variant.vectors },
    storage,
    ...(blocks ? { blocks } : {}),
    epilogue: problem.epilogue,
    form: epilogueForm(problem.epilogue, operands.length, isAligned(output, operands, width)),
    operandChannels: operands.map((view) => (view.strides[3] === 0 ? "single" : "contiguous")),
    contiguous,
    singleRow: kernelHeight === 1,
    names: named.map(([name]) => name),
  };
  const outputs = multiplyDims(batch, outputHeight, outputWidth, problem.outputChannels);
  const inputs = multiplyDims(batch, problem.inputHeight, problem.inputWidth, problem.inputChannels);
  const floats = addDims(inputs, multiplyDims(outputs, 1 + operands.length));
  return {
    kernel: {
      key: `${block ? "winograd" : "conv"} ${keyOf(shape)}`,
      name: `conv ${kernelHeight}x${kernelWidth} ${variant.name} ${storage}`,
      emitWasm: (context) => (block ? emitWinograd(context, shape) : emitConv(context, shape)),
      emitWgsl: () => convWgsl(shape),
    },
    arguments: named.map(([, argument]) => argument),
    range: multiplyDims(batch, block ? block.tileRows : outputHeight),
    flops: multiplyDims(outputs, 2 * depth),
    bytes: addDims(multiplyDims(floats, 4), packed.bytes),
    invocations: multiplyDims(batch, outputHeight, outputWidth, groups, Math.ceil(filtersPerGroup / quad)),
  };
}
