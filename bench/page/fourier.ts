/** The discrete Fourier transform of a power of two of complex numbers, in place, by decimation in time. */
export class Fourier {
  readonly #size: number;
  readonly #cosines: Float64Array;
  readonly #sines: Float64Array;
  readonly #reversed: Uint32Array;

  constructor(size: number) {
    const bits = Math.log2(size);
    const angles = Array.from({ length: size / 2 }, (_, index) => (-2 * Math.PI * index) / size);
    this.#size = size;
    this.#cosines = Float64Array.from(angles, Math.cos);
    this.#sines = Float64Array.from(angles, Math.sin);
    this.#reversed = Uint32Array.from({ length: size }, (_, index) => {
      let reversed = 0;
      for (let bit = 0; bit < bits; bit++) reversed |= ((index >> bit) & 1) << (bits - 1 - bit);
      return reversed;
    });
  }

  /** X[k] = sum x[n] exp(-2 pi i n k / size). */
  forward(real: Float64Array, imaginary: Float64Array): void {
    for (let index = 0; index < this.#size; index++) {
      const other = this.#reversed[index] ?? 0;
      if (other <= index) continue;
      [real[index], real[other]] = [real[other] ?? 0, real[index] ?? 0];
      [imaginary[index], imaginary[other]] = [imaginary[other] ?? 0, imaginary[index] ?? 0];
    }
    for (let half = 1; half < this.#size; half *= 2) {
      const step = this.#size / (2 * half);
      for (let block = 0; block < this.#size; block += 2 * half) {
        for (let index = 0; index < half; index++) this.#butterfly(real, imaginary, block + index, half, index * step);
      }
    }
  }

  /** x[n] = 1/size sum X[k] exp(2 pi i n k / size). */
  inverse(real: Float64Array, imaginary: Float64Array): void {
    this.forward(imaginary, real);
    for (let index = 0; index < this.#size; index++) {
      real[index] = (real[index] ?? 0) / this.#size;
      imaginary[index] = (imaginary[index] ?? 0) / this.#size;
    }
  }

  #butterfly(real: Float64Array, imaginary: Float64Array, upper: number, half: number, turn: number): void {
    const lower = upper + half;
    const [cosine, sine] = [this.#cosines[turn] ?? 0, this.#sines[turn] ?? 0];
    const [x, y] = [real[lower] ?? 0, imaginary[lower] ?? 0];
    const [turnedReal, turnedImaginary] = [x * cosine - y * sine, x * sine + y * cosine];
    const [upperReal, upperImaginary] = [real[upper] ?? 0, imaginary[upper] ?? 0];
    real[lower] = upperReal - turnedReal;
    imaginary[lower] = upperImaginary - turnedImaginary;
    real[upper] = upperReal + turnedReal;
    imaginary[upper] = upperImaginary + turnedImaginary;
  }
}
