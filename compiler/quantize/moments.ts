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

  /** Means, the whole matrix. */
  finish(): Float64Array {
    const size = this.#size;
    const means = new Float64Array(size * size);
    const rows = Math.max(1, this.#rows);
    for (let i = 0; i < size; i++) {
      for (let j = i; j < size; j++) {
        const mean = (this.#sums[i * size + j] as number) / rows;
        means[i * size + j] = mean;
        means[j * size + i] = mean;
      }
    }
    return means;
  }
}
