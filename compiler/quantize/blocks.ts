/**
 * Four-bit rounding of a weight matrix in blocks: with the second moments of the input so that the product loses least,
 * otherwise each block for the least error in itself.
 */
import { nf4Code } from "../graph/nf4.ts";
import { RowRounder } from "./feedback.ts";
import { type BlockFit, type CodeKind, fitBlock, nearestCode, nearestStep } from "./fit-block.ts";
import type { InputStatistics } from "./input-statistics.ts";
import type { BlockSize } from "./scheme.ts";
import { prepareMoments } from "./second-moments.ts";
import type { WeightMatrix } from "./weight-matrix.ts";

export interface BlockForm {
  readonly kind: "int4" | "nf4";
  readonly blockSize: BlockSize;
  /** Whether a block has a zero of its own (int4); otherwise it is 8. */
  readonly zeros: boolean;
}

/** In the order of the matrix: values of every element, scales and zeros of every block. */
export interface RoundedBlocks {
  readonly values: Float32Array;
  readonly scales: Float32Array;
  readonly zeros: Uint8Array | undefined;
}

/** First and last (exclusive) column of a block. */
type BlockSpan = readonly [start: number, end: number];

/** undefined where a scale would overflow float16. */
export function roundToBlocks(
  matrix: WeightMatrix,
  form: BlockForm,
  statistics?: InputStatistics,
): RoundedBlocks | undefined {
  const { rows, columns, data } = matrix;
  const code: CodeKind = form.kind === "int4" && !form.zeros ? "int4 symmetric" : form.kind;
  const blocks = blocksOfRow(matrix, form.blockSize);
  const values = new Float32Array(data.length);
  const scales = new Float32Array(rows * blocks.length);
  const zeros = code === "int4" ? new Uint8Array(scales.length) : undefined;
  const rounder = statistics?.moments
    ? new RowRounder(prepareMoments(statistics.moments, columns), code, blocks)
    : new BlockRounder(statistics?.meanSquares, code, blocks);
  for (let row = 0; row < rows; row++) {
    if (!rounder.round(data.subarray(row * columns, (row + 1) * columns))) return undefined;
    for (const [block, [start, end]] of blocks.entries()) {
      const { scale, zero } = rounder.fits[block] as BlockFit;
      scales[row * blocks.length + block] = scale;
      if (zeros) zeros[row * blocks.length + block] = zero;
      for (let column = start; column < end; column++)
        values[row * columns + column] = Math.fround(scale * (rounder.levels[column] as number)) + 0;
    }
  }
  return { values, scales, zeros };
}

function blocksOfRow({ columns, line }: WeightMatrix, blockSize: number): readonly BlockSpan[] {
  const blocks: BlockSpan[] = [];
  for (let lineStart = 0; lineStart < columns; lineStart += line) {
    for (let start = lineStart; start < lineStart + line; start += blockSize) {
      blocks.push([start, Math.min(start + blockSize, lineStart + line)]);
    }
  }
  return blocks;
}

/** As RowRounder, for an input of which at most the mean squares are known. */
class BlockRounder {
  readonly #importance: Float64Array | undefined;
  readonly #code: CodeKind;
  readonly #blocks: readonly BlockSpan[];
  readonly levels: number[] = [];
  readonly fits: BlockFit[] = [];

  constructor(importance: Float64Array | undefined, code: CodeKind, blocks: readonly BlockSpan[]) {
    this.#importance = importance;
    this.#code = code;
    this.#blocks = blocks;
  }

  round(row: Float32Array): boolean {
    for (const [block, [start, end]] of this.#blocks.entries()) {
      const fit = fitBlock(row, this.#importance, start, end, this.#code);
      if (!fit) return false;
      this.fits[block] = fit;
      for (let column = start; column < end; column++) {
        const value = (row[column] as number) / fit.scale;
        this.levels[column] =
          this.#code === "nf4" ? (nf4Code[nearestCode(value)] as number) : nearestStep(value, fit.zero);
      }
    }
    return true;
  }
}
