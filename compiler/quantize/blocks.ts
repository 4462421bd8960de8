/** Four-bit rounding of a weight matrix in blocks, each block's scale and zero chosen for the least error in itself. */
import { nf4Code } from "../graph/nf4.ts";
import { type CodeKind, fitBlock, nearestCode, nearestStep } from "./fit-block.ts";
import type { InputStatistics } from "./input-statistics.ts";
import type { BlockSize } from "./scheme.ts";
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

export const codeOf = ({ kind, zeros }: BlockForm): CodeKind => (kind === "int4" && !zeros ? "int4 symmetric" : kind);

/** Columns [start, end) of each block of a row. */
export function blocksOfRow(
  { columns, line }: WeightMatrix,
  blockSize: number,
): readonly (readonly [number, number])[] {
  const blocks: [number, number][] = [];
  for (let lineStart = 0; lineStart < columns; lineStart += line) {
    for (let start = lineStart; start < lineStart + line; start += blockSize) {
      blocks.push([start, Math.min(start + blockSize, lineStart + line)]);
    }
  }
  return blocks;
}

/** Errors count by the mean square of the input they are multiplied by, where that is known. undefined: out of float16's range. */
export function roundToBlocks(
  matrix: WeightMatrix,
  form: BlockForm,
  statistics?: InputStatistics,
): RoundedBlocks | undefined {
  const { rows, columns, data } = matrix;
  const code = codeOf(form);
  const blocks = blocksOfRow(matrix, form.blockSize);
  const values = new Float32Array(data.length);
  const scales = new Float32Array(rows * blocks.length);
  const zeros = code === "int4" ? new Uint8Array(scales.length) : undefined;
  for (let row = 0; row < rows; row++) {
    const weights = data.subarray(row * columns, (row + 1) * columns);
    for (const [block, [start, end]] of blocks.entries()) {
      const fit = fitBlock(weights, statistics?.meanSquares, start, end, code);
      if (!fit) return undefined;
      const { scale, zero } = fit;
      scales[row * blocks.length + block] = scale;
      if (zeros) zeros[row * blocks.length + block] = zero;
      for (let column = start; column < end; column++) {
        const value = (weights[column] as number) / scale;
        const level = code === "nf4" ? (nf4Code[nearestCode(value)] as number) : nearestStep(value, zero);
        values[row * columns + column] = Math.fround(scale * level) + 0;
      }
    }
  }
  return { values, scales, zeros };
}
