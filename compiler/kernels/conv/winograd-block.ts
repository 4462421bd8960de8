/** How much of the output a Winograd convolution works on at a time, and the scratch that this takes. */
import {
  addDims,
  ceilDivideDims,
  type Dim,
  divideDims,
  maximumDim,
  minimumDim,
  multiplyDims,
} from "../../graph/dimension.ts";
import type { ConvProblem } from "../problem.ts";
import { weightScratchBytes } from "../tile/block-layout.ts";
import { cacheBytes, leastTiles, pointGap, points, width } from "../tile/winograd-tiles.ts";

export interface WinogradBlock {
  /** Tiles of 2x2 pixels in a row of the output, and rows of them in an image. */
  readonly tileColumns: Dim;
  readonly tileRows: Dim;
  /** Rows of tiles of a block. */
  readonly rows: Dim;
  /** Byte offsets in the scratch, behind the transformed input at 0. */
  readonly kernels: Dim;
  readonly products: Dim;
  readonly widened: Dim;
  readonly scratchBytes: Dim;
}

export function winogradBlock(problem: ConvProblem): WinogradBlock {
  const { batch, inputChannels, outputHeight, outputWidth } = problem;
  const tileColumns = ceilDivideDims(outputWidth, 2);
  const kernelBytes = points * inputChannels * width * 4;
  const inputBytes = points * inputChannels * 4;
  const productBytes = points * width * 4;
  const tiles = Math.max(leastTiles, Math.floor((cacheBytes - kernelBytes) / (inputBytes + productBytes)));
  const rows = maximumDim(1, divideDims(tiles, tileColumns));
  const tileRows = ceilDivideDims(outputHeight, 2);
  // At least one row, otherwise no more than `tiles`, and never more than there are.
  const most = minimumDim(maximumDim(tiles, tileColumns), multiplyDims(batch, tileRows, tileColumns));
  const gaps = points * pointGap;
  const kernels = addDims(multiplyDims(most, inputBytes), gaps);
  const products = addDims(kernels, kernelBytes + gaps);
  const widened = addDims(products, multiplyDims(most, productBytes), gaps);
  const wide = weightScratchBytes(problem, width, 9 * inputChannels);
  return {
    tileColumns,
    tileRows,
    rows,
    kernels,
    products,
    widened,
    scratchBytes: addDims(widened, wide),
  };
}
