/** When integer products go through Winograd's transform, how much of the output at a time, and the scratch of that. */
import {
  addDims,
  ceilDivideDims,
  type Dim,
  divideDims,
  maximumDim,
  minimumDim,
  multiplyDims,
} from "../../graph/dimension.ts";
import type { IntegerConvProblem } from "../problem.ts";
import { cacheBytes, leastTiles, pointGap, points, width } from "./winograd-tiles.ts";

type Window = Omit<IntegerConvProblem, "family" | "inputHeight" | "inputWidth" | "padValue">;

/** Channels are read eight at a time, and four times the sum of a window's products must fit int32. */
export function hasIntegerWinograd(window: Window): boolean {
  const { kernelHeight, kernelWidth, strideHeight, strideWidth, dilationHeight, dilationWidth, groups } = window;
  const isSquare = kernelHeight === 3 && kernelWidth === 3 && strideHeight === 1 && strideWidth === 1;
  const { inputChannels } = window;
  const largest = 9 * inputChannels * 255 * 128;
  const isPlain = dilationHeight === 1 && dilationWidth === 1 && groups === 1;
  return isSquare && isPlain && inputChannels % 8 === 0 && 4 * largest < 2 ** 31;
}

export function winogradBlockOf({ inputChannels, outputHeight, outputWidth }: Window) {
  const tileColumns = ceilDivideDims(outputWidth, 2);
  const tileRows = ceilDivideDims(outputHeight, 2);
  const kernelBytes = points * (inputChannels * width * 2 + pointGap);
  const tileBytes = points * (inputChannels * 2 + width * 4) + 4 * width * 4;
  const tiles = Math.max(leastTiles, Math.floor((cacheBytes - kernelBytes) / tileBytes));
  const rows = minimumDim(tileRows, maximumDim(1, divideDims(tiles, tileColumns)));
  // At least one row, otherwise no more than `tiles`, and never more than there are in an image.
  const most = minimumDim(maximumDim(tiles, tileColumns), multiplyDims(tileRows, tileColumns));
  const gaps = points * pointGap;
  const kernels = addDims(multiplyDims(most, points * inputChannels * 2), gaps);
  const products = addDims(kernels, kernelBytes);
  const sums = addDims(products, multiplyDims(most, points * width * 4), gaps);
  return {
    /** Tiles of 2x2 pixels in a row of the output, and rows of them in an image. */
    tileColumns,
    tileRows,
    /** Rows of tiles of a block. */
    rows,
    /** Byte offsets in the scratch, behind the transformed input at 0. */
    kernels,
    products,
    sums,
    bytes: addDims(sums, multiplyDims(most, 4 * width * 4)),
  };
}

/** Multiply-adds of the products, and what goes through the transforms of input, weights and output. */
export function integerWinogradCounts(window: Window, extent: (dim: Dim) => number) {
  const { inputChannels, outputChannels, batch } = window;
  const block = winogradBlockOf(window);
  const rows = extent(batch) * extent(block.tileRows);
  const blocks = extent(batch) * Math.ceil(extent(block.tileRows) / extent(block.rows));
  const tiles = Math.ceil((rows * extent(block.tileColumns)) / blocks);
  const panels = Math.ceil(outputChannels / width);
  const products = Math.ceil(tiles / 4) * 4 * points * inputChannels * width;
  return {
    work: blocks * panels * products,
    overheads: {
      inputs: blocks * tiles * inputChannels,
      kernels: blocks * panels * inputChannels,
      outputs: blocks * panels * tiles,
    },
  };
}
