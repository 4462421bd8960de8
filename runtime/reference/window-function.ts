/** Window functions and the mel filter bank: tables that signal models compute from a few numbers. */
import { inputOf, numberOf, refuse } from "./call.ts";
import { dtypeOfNumber } from "./data-type.ts";
import { numbersOf, tensorOfNumbers } from "./numbers.ts";
import type { Reference, ReferenceCall } from "./reference.ts";

const scalarAt = (call: ReferenceCall, index: number): number => Number(numbersOf(inputOf(call, index))[0]);

const outputType = (call: ReferenceCall) =>
  dtypeOfNumber(numberOf(call, "output_datatype", 1)) ?? refuse("the element type is not supported");

/** Sum of a_k cos(2 pi k n / N), the signs alternating; N is one less for a symmetric window. */
const cosineWindow =
  (...coefficients: readonly number[]): Reference =>
  (call) => {
    const size = scalarAt(call, 0);
    const period = numberOf(call, "periodic", 1) !== 0 ? size : size - 1;
    const values = Array.from({ length: size }, (_, n) =>
      coefficients.reduce((sum, a, k) => sum + (k % 2 === 0 ? a : -a) * Math.cos((2 * Math.PI * k * n) / period), 0),
    );
    return [tensorOfNumbers(outputType(call), [size], values)];
  };

export const hannWindow = cosineWindow(0.5, 0.5);
export const hammingWindow = cosineWindow(25 / 46, 21 / 46);
export const blackmanWindow = cosineWindow(0.42, 0.5, 0.08);

/** Triangular filters [dft_length / 2 + 1, bins], evenly spaced on the mel scale. */
export const melWeightMatrix: Reference = (call) => {
  const [bins, length, rate, low, high] = [0, 1, 2, 3, 4].map((index) => scalarAt(call, index)) as [
    number,
    number,
    number,
    number,
    number,
  ];
  const rows = Math.floor(length / 2) + 1;
  const mel = (frequency: number): number => 2595 * Math.log10(1 + frequency / 700);
  const step = (mel(high) - mel(low)) / (bins + 2);
  const edges = Array.from({ length: bins + 2 }, (_, i) => {
    const frequency = 700 * (10 ** ((i * step + mel(low)) / 2595) - 1);
    return Math.floor(((length + 1) * frequency) / rate);
  });
  const result = new Float64Array(rows * bins);
  for (let bin = 0; bin < bins; bin++) {
    const [left, centre, right] = edges.slice(bin, bin + 3) as [number, number, number];
    if (left === centre) result[centre * bins + bin] = 1;
    else for (let row = left; row <= centre; row++) result[row * bins + bin] = (row - left) / (centre - left);
    for (let row = centre; row < right; row++) result[row * bins + bin] = (right - row) / (right - centre);
  }
  return [tensorOfNumbers(outputType(call), [rows, bins], result)];
};
