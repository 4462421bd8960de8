/** Binding of the integer products (tile/product-i8.ts): geometry, scratch and record of one step. */
import { byteSize } from "../../../runtime/format/dtype.ts";
import {
  addDims,
  ceilDivideDims,
  type Dim,
  divideDims,
  maximumDim,
  minimumDim,
  multiplyDims,
  sameDim,
  subtractDims,
} from "../../graph/dimension.ts";
import type { BoundStep, Buffer, View } from "../contract.ts";
import { keyOf } from "../expression/memo.ts";
import type { IntegerConvProblem } from "../problem.ts";
import { finishOperand } from "./finish-i8.ts";
import { fewSteps, panelWidth, type TileShape } from "./multiply.ts";
import { bytePanelBytes, pairPanelBytes, pairsOf, type Runs } from "./panel-i8.ts";
import { emitIntegerProduct, type IntegerShape } from "./product-i8.ts";
import { integerProductWgsl } from "./product-i8-wgsl.ts";
import { integerWinogradCounts, winogradBlockOf } from "./winograd-block-i8.ts";
import { emitIntegerWinograd } from "./winograd-i8.ts";
import { addressWord, integerWord } from "./words.ts";

/** The window of a product, as of IntegerConvProblem. */
export type IntegerWindow = Omit<IntegerConvProblem, "family" | "inputHeight" | "inputWidth" | "padValue">;

/** Tiles of a schedule, and how they are gone through. */
export interface IntegerSchedule extends TileShape {
  /** As IntegerShape.overPanels. */
  readonly overPanels?: boolean;
  /** Whether 3x3 windows go through Winograd's transform, on panels of the direct form. */
  readonly winograd?: boolean;
}

/** Bytes of widened input and accumulators that a block of rows may fill, beside the panel passing over it. */
const blockBytes = 256 * 1024;

const alignedUp = (bytes: Dim): Dim => multiplyDims(ceilDivideDims(bytes, 64), 64);

/** How the k of a column fall into runs: taps of a kernel row are one where they are neighbours in scratch. */
export function runsOf(
  window: Pick<IntegerWindow, "groups" | "inputChannels" | "kernelHeight" | "kernelWidth" | "dilationWidth">,
): Runs & { readonly merged: boolean } {
  const { groups, inputChannels, kernelHeight, kernelWidth, dilationWidth } = window;
  const channels = inputChannels / groups;
  const merged = kernelWidth === 1 || (groups === 1 && dilationWidth === 1);
  return {
    merged,
    runs: merged ? kernelHeight : kernelHeight * kernelWidth,
    length: merged ? kernelWidth * channels : channels,
  };
}

/** Rows, columns and scratch of a block of output rows; rows of a kernel of one row, and columns of one column, are read strided. */
function blockOf(tile: TileShape, window: IntegerWindow) {
  const { kernelHeight, kernelWidth, strideHeight, strideWidth, dilationHeight, dilationWidth, outputWidth } = window;
  const rowAdvance = kernelHeight === 1 ? 1 : strideHeight;
  const columnAdvance = kernelWidth === 1 ? 1 : strideWidth;
  const rowReach = (kernelHeight - 1) * dilationHeight + 1;
  const columns = addDims(multiplyDims(addDims(outputWidth, -1), columnAdvance), (kernelWidth - 1) * dilationWidth + 1);
  const wideRow = multiplyDims(columns, window.inputChannels * 2);
  const width = panelWidth(tile);
  const sumsRow = multiplyDims(outputWidth, width * 4);
  const bytesPerRow = addDims(multiplyDims(wideRow, rowAdvance), sumsRow);
  const rows = minimumDim(window.outputHeight, maximumDim(1, divideDims(blockBytes, bytesPerRow)));
  const panel = alignedUp(pairPanelBytes(width, runsOf(window)));
  const sums = alignedUp(addDims(multiplyDims(rows, sumsRow), tile.rows * width * 4));
  const wide = multiplyDims(addDims(multiplyDims(addDims(rows, -1), rowAdvance), rowReach), wideRow);
  // Rows and columns of symbolic extents would each be taken at their largest.
  const bound = addDims(
    maximumDim(blockBytes, bytesPerRow),
    multiplyDims(wideRow, rowReach),
    tile.rows * width * 4 + 64,
  );
  const bytes = typeof bytesPerRow === "number" ? addDims(sums, wide) : bound;
  return {
    rows,
    rowAdvance,
    columnAdvance,
    rowReach,
    columns,
    wideRow,
    sumsAt: panel,
    wideAt: addDims(panel, sums),
    // The last pair of a run may reach behind it.
    bytes: addDims(panel, bytes, 64),
  };
}

export const integerScratchBytes = (tile: IntegerSchedule, window: IntegerWindow): Dim =>
  tile.winograd ? winogradBlockOf(window).bytes : blockOf(tile, window).bytes;

/** Multiply-adds that are executed, ragged tiles and padded runs included. */
export function integerWork(tile: IntegerSchedule, window: IntegerWindow, extent: (dim: Dim) => number): number {
  if (tile.winograd) return integerWinogradCounts(window, extent).work;
  const { batch, outputHeight, outputWidth, groups, outputChannels } = window;
  const { runs, length } = runsOf(window);
  const pixels = extent(batch) * extent(outputHeight) * extent(outputWidth);
  const panels = groups * Math.ceil(outputChannels / groups / panelWidth(tile));
  return Math.ceil(pixels / tile.rows) * tile.rows * panels * panelWidth(tile) * runs * pairsOf(length) * 2;
}

/** What takes time beside the products. */
export function integerOverheads(
  tile: IntegerSchedule,
  window: IntegerWindow,
  extent: (dim: Dim) => number,
): Readonly<Record<string, number>> {
  if (tile.winograd) return integerWinogradCounts(window, extent).overheads;
  const { batch, outputHeight, outputWidth, groups, outputChannels, strideHeight, strideWidth, inputChannels } = window;
  const pixels = extent(batch) * extent(outputHeight) * extent(outputWidth);
  const panels = groups * Math.ceil(outputChannels / groups / panelWidth(tile));
  const tiles = Math.ceil(pixels / tile.rows) * panels;
  return {
    tiles,
    runs: tiles * runsOf(window).runs,
    outputs: pixels * panels * panelWidth(tile),
    inputs: pixels * strideHeight * strideWidth * inputChannels,
  };
}

/** The input: address of the first tap of the first pixel, and the bytes between images, rows and pixels. */
export interface IntegerInput {
  readonly buffer: Buffer;
  readonly first: Dim;
  readonly image: Dim;
  readonly row: Dim;
  readonly pixel: Dim;
}

/** The output or an operand: bytes between images, rows and pixels; `period`: rows after which an operand starts again. */
export interface IntegerPlane {
  readonly view: View;
  readonly image: Dim;
  readonly row: Dim;
  readonly pixel: Dim;
  readonly period?: Dim;
}

export interface IntegerBinding {
  readonly name: string;
  readonly tile: IntegerSchedule;
  readonly window: IntegerWindow;
  readonly input: IntegerInput;
  readonly output: IntegerPlane;
  readonly operands: readonly IntegerPlane[];
  readonly packed: Buffer;
  readonly scratch: Buffer;
}

export function bindIntegerProduct(binding: IntegerBinding): BoundStep {
  const { tile, window, input, output, operands, packed, scratch } = binding;
  const { batch, outputHeight, outputWidth, kernelHeight, kernelWidth, groups, inputChannels, outputChannels } = window;
  const { strideHeight, strideWidth, dilationHeight, dilationWidth, operandTypes, outputType } = window;
  const width = panelWidth(tile);
  const runs = runsOf(window);
  const block = blockOf(tile, window);
  const winograd = tile.winograd ? winogradBlockOf(window) : undefined;
  const overPanels = tile.overPanels ?? false;
  const channels = inputChannels / groups;
  const tapBytes = multiplyDims(input.pixel, dilationWidth);
  const rowBytes = multiplyDims(input.row, dilationHeight);
  const inputStep = multiplyDims(input.pixel, strideWidth);
  const inputRowStep = multiplyDims(input.row, strideHeight);
  const wideTap = inputChannels * 2 * dilationWidth;
  const pairs = pairsOf(runs.length);
  const mergedQuads = kernelWidth === 1 || (groups === 1 && dilationWidth === 1 && sameDim(input.pixel, inputChannels));
  const quadRun = mergedQuads ? kernelWidth * channels : channels;
  const sourceRow = kernelHeight === 1 ? inputRowStep : input.row;
  const sourceColumn = kernelWidth === 1 ? inputStep : input.pixel;
  const rowLength = multiplyDims(block.columns, inputChannels);
  const isDenseRow = sameDim(sourceColumn, inputChannels) || block.columns === 1;
  const follows = ({ row, pixel }: IntegerPlane): boolean =>
    outputHeight === 1 || sameDim(row, multiplyDims(pixel, outputWidth));
  const periodic = operands.some(
    ({ period, row }) => period !== undefined && row !== 0 && !sameDim(period, outputHeight),
  );
  const planes = operands.map(({ view, image, row, pixel, period }, k) => [
    addressWord(`operand${k}`, view, "read"),
    integerWord(`operand${k}Image`, image),
    integerWord(`operand${k}Row`, row),
    integerWord(`operand${k}Pixel`, pixel),
    ...(periodic ? [integerWord(`operand${k}Period`, period ?? outputHeight)] : []),
  ]);
  const named = [
    addressWord("input", { buffer: input.buffer, offset: input.first }, "read"),
    addressWord("weights", { buffer: packed, offset: 0 }, "read"),
    addressWord("output", output.view, "write"),
    addressWord("sums", { buffer: scratch, offset: winograd?.sums ?? block.sumsAt }, "scratch"),
    addressWord("wide", { buffer: scratch, offset: winograd ? 0 : block.wideAt }, "scratch"),
    ...(winograd
      ? [
          addressWord("kernels", { buffer: scratch, offset: winograd.kernels }, "scratch"),
          addressWord("products", { buffer: scratch, offset: winograd.products }, "scratch"),
          integerWord("tileColumns", winograd.tileColumns),
          integerWord("tileRows", winograd.tileRows),
        ]
      : [addressWord("widePanel", { buffer: scratch, offset: 0 }, "scratch")]),
    integerWord("outputHeight", outputHeight),
    integerWord("outputWidth", outputWidth),
    integerWord("blockRows", (winograd ?? block).rows),
    integerWord("inputImage", input.image),
    integerWord("inputRowStep", inputRowStep),
    integerWord("inputStep", inputStep),
    integerWord("outputImage", output.image),
    integerWord("outputRow", output.row),
    integerWord("outputPixel", output.pixel),
    integerWord("kernelHeight", kernelHeight),
    integerWord("kernelWidth", kernelWidth),
    integerWord("groups", groups),
    integerWord("groupBytes", channels),
    integerWord("filtersPerGroup", outputChannels / groups),
    integerWord("panelBytes", bytePanelBytes(width, runs)),
    integerWord("runs", runs.runs),
    integerWord("runPairs", pairs),
    integerWord("channels", inputChannels),
    integerWord("rowAdvance", block.rowAdvance),
    integerWord("rowReach", block.rowReach),
    integerWord("sourceRow", sourceRow),
    integerWord("sourceColumn", sourceColumn),
    integerWord("tapBytes", tapBytes),
    integerWord("rowBytes", rowBytes),
    integerWord("wideColumns", block.columns),
    integerWord("wideRow", block.wideRow),
    integerWord("wideGroup", channels * 2),
    integerWord("wideStep", block.columnAdvance * inputChannels * 2),
    integerWord("wideRowStep", multiplyDims(block.wideRow, block.rowAdvance)),
    integerWord("pairInner", pairs),
    integerWord("pairTapJump", wideTap - pairs * 4),
    integerWord(
      "pairRowJump",
      subtractDims(multiplyDims(block.wideRow, dilationHeight), runs.merged ? pairs * 4 : wideTap * kernelWidth),
    ),
    integerWord("quadInner", Math.floor(quadRun / 4)),
    integerWord("quadTapJump", subtractDims(tapBytes, channels)),
    integerWord("quadRowJump", subtractDims(rowBytes, mergedQuads ? quadRun : multiplyDims(tapBytes, kernelWidth))),
    ...planes.flat(),
  ];
  const shape: IntegerShape = {
    tile: { rows: tile.rows, vectors: tile.vectors },
    overPanels,
    finish: {
      epilogue: window.epilogue,
      operands: operands.map(({ view, pixel }, k) => finishOperand(view, pixel, operandTypes[k] ?? "float32")),
      outputType,
      width,
    },
    inputType: window.inputType,
    quads: window.inputBits === 7 && channels % 4 === 0,
    mergedPairs: runs.merged,
    mergedQuads,
    fewPairs: pairs <= fewSteps ? pairs : undefined,
    singleRow: kernelHeight === 1,
    linearPairs: kernelHeight === 1 && kernelWidth === 1,
    linearQuads: sameDim(inputRowStep, multiplyDims(inputStep, outputWidth)),
    stretch: !isDenseRow ? "pixel" : sameDim(sourceRow, rowLength) ? "block" : "row",
    joined: !winograd && !periodic && [output, ...operands].every(follows),
    periodic,
    names: named.map(([name]) => name),
  };
  const outputs = multiplyDims(batch, outputHeight, outputWidth, outputChannels);
  const depth = kernelHeight * kernelWidth * channels;
  const moved = addDims(
    multiplyDims(batch, window.outputHeight, outputWidth, strideHeight * strideWidth * inputChannels),
    multiplyDims(outputs, byteSize[outputType]),
  );
  return {
    kernel: {
      key: `${winograd ? "integer winograd" : "integer"} ${keyOf(shape)}`,
      name: binding.name,
      emitWasm: (context) => (winograd ? emitIntegerWinograd : emitIntegerProduct)(context, shape),
      emitWgsl: () => integerProductWgsl(shape),
    },
    arguments: named.map(([, argument]) => argument),
    range: overPanels ? Math.ceil(outputChannels / width) : multiplyDims(batch, winograd?.tileRows ?? outputHeight),
    flops: multiplyDims(outputs, 2 * depth),
    bytes: addDims(moved, packed.bytes),
    invocations: outputs,
  };
}
