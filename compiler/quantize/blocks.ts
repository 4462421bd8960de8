/**
 * Four-bit rounding of a weight matrix in blocks: each block's scale (a float16 number) and zero are chosen, then every
 * value goes to the nearest step. undefined where a scale would overflow float16.
 */
import { float16ToNumber, numberToFloat16 } from "../../runtime/format/half.ts";
import { nf4Code } from "../graph/nf4.ts";
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

const symmetricZero = 8;

export function roundToBlocks(matrix: WeightMatrix, form: BlockForm): RoundedBlocks | undefined {
  const { rows, columns, line, data } = matrix;
  const blocksOfLine = Math.ceil(line / form.blockSize);
  const blocks = (rows * columns * blocksOfLine) / line;
  const values = new Float32Array(data.length);
  const scales = new Float32Array(blocks);
  const zeros = form.kind === "int4" && form.zeros ? new Uint8Array(blocks) : undefined;
  for (let block = 0; block < blocks; block++) {
    const lineStart = Math.floor(block / blocksOfLine) * line;
    const start = lineStart + (block % blocksOfLine) * form.blockSize;
    const end = Math.min(start + form.blockSize, lineStart + line);
    let least = 0;
    let most = 0;
    for (let i = start; i < end; i++) {
      least = Math.min(least, data[i] as number);
      most = Math.max(most, data[i] as number);
    }
    const range = zeros ? (most - least) / 15 : Math.max(most, -least) / (form.kind === "int4" ? 7 : 1);
    // A block of zeros (or of values below the smallest float16) keeps no value but needs a scale to divide by.
    const scale = float16ToNumber(numberToFloat16(range)) || 1;
    if (!Number.isFinite(scale)) return undefined;
    const zero = zeros ? Math.max(0, Math.min(15, Math.round(-least / scale))) : symmetricZero;
    scales[block] = scale;
    if (zeros) zeros[block] = zero;
    for (let i = start; i < end; i++) {
      const value = data[i] as number;
      values[i] = form.kind === "int4" ? nearestStep(value, scale, zero) : nearestCode(value, scale);
    }
  }
  return { values, scales, zeros };
}

/** scale * (q - zero) with the q of 0..15 that is nearest to `value`. */
function nearestStep(value: number, scale: number, zero: number): number {
  const q = Math.max(0, Math.min(15, Math.round(value / scale) + zero));
  return Math.fround(scale * (q - zero)) + 0;
}

function nearestCode(value: number, scale: number): number {
  const target = value / scale;
  let best = 0;
  for (const code of nf4Code) if (Math.abs(code - target) < Math.abs(best - target)) best = code;
  return Math.fround(scale * best) + 0;
}
