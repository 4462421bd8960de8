/** Sums of x_i x_j over rows of an activation: the second moments that make rounding errors of weights up for each other. */

/** Wider inputs would need more memory and time than the gain is worth. */
export const widestMoments = 2048;
/** Products summed per call at most; of more rows, evenly spaced ones are taken. */
const mostProducts = 2.4e8;

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
    const rows = Math.floor(data.length / size);
    const taken = Math.min(rows, Math.max(1, Math.floor(mostProducts / (size * size))));
    const startOf = (number: number): number => Math.floor((number * rows) / taken) * size;
    let number = 0;
    for (; number + 3 < taken; number += 4)
      this.#addFour(data, startOf(number), startOf(number + 1), startOf(number + 2), startOf(number + 3));
    for (; number < taken; number++) this.#addOne(data, startOf(number));
    this.#rows += taken;
  }

  /** Four rows at a time: each sum is fetched and stored once for all of them. */
  #addFour(data: Float32Array, first: number, second: number, third: number, fourth: number): void {
    const size = this.#size;
    const sums = this.#sums;
    for (let i = 0; i < size; i++) {
      const a = data[first + i] as number;
      const b = data[second + i] as number;
      const c = data[third + i] as number;
      const d = data[fourth + i] as number;
      const at = i * size;
      for (let j = i; j < size; j++)
        sums[at + j] =
          (sums[at + j] as number) +
          (a * (data[first + j] as number) +
            b * (data[second + j] as number) +
            (c * (data[third + j] as number) + d * (data[fourth + j] as number)));
    }
  }

  #addOne(data: Float32Array, start: number): void {
    const size = this.#size;
    const sums = this.#sums;
    for (let i = 0; i < size; i++) {
      const left = data[start + i] as number;
      const at = i * size;
      for (let j = i; j < size; j++) sums[at + j] = (sums[at + j] as number) + left * (data[start + j] as number);
    }
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
