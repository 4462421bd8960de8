/** Sums of x_i x_j over rows of an activation: the second moments that make rounding errors of weights up for each other. */

/** Wider inputs would need more memory and time than the gain is worth. */
export const widestMoments = 2048;
/** Products summed per call at most; of more rows, evenly spaced ones are taken. */
const mostProducts = 7e7;

export class MomentSums {
  readonly #size: number;
  /** Upper triangle, row-major. */
  readonly #sums: Float64Array;
  #rows = 0;

  constructor(size: number) {
    this.#size = size;
    this.#sums = new Float64Array(size * size);
  }

  /** Rows of `size` values each. */
  add(data: Float32Array): void {
    const size = this.#size;
    const sums = this.#sums;
    const rows = Math.floor(data.length / size);
    const taken = Math.min(rows, Math.max(1, Math.floor(mostProducts / (size * size))));
    for (let number = 0; number < taken; number++) {
      const start = Math.floor((number * rows) / taken) * size;
      for (let i = 0; i < size; i++) {
        const left = data[start + i] as number;
        if (left === 0) continue;
        const at = i * size;
        for (let j = i; j < size; j++) sums[at + j] = (sums[at + j] as number) + left * (data[start + j] as number);
      }
    }
    this.#rows += taken;
  }

  /** The upper triangle, row-major without gaps, in single precision, which halves what is sent and kept. */
  finish(): { readonly triangle: Float32Array; readonly triangleRows: Float64Array } {
    const size = this.#size;
    const triangle = new Float32Array((size * (size + 1)) / 2);
    for (let i = 0, at = 0; i < size; at += size - i, i++)
      triangle.set(this.#sums.subarray(i * size + i, (i + 1) * size), at);
    return { triangle, triangleRows: Float64Array.of(this.#rows) };
  }
}

/** Means over `rows` rows, the whole matrix, of the upper triangle of sums. */
export function momentMeans(triangle: Float64Array, rows: number, size: number): Float64Array {
  const means = new Float64Array(size * size);
  for (let i = 0, at = 0; i < size; i++) {
    for (let j = i; j < size; j++, at++) {
      const mean = (triangle[at] as number) / Math.max(1, rows);
      means[i * size + j] = mean;
      means[j * size + i] = mean;
    }
  }
  return means;
}
