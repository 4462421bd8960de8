/** LRN: x / (bias + alpha / size * sum of squares over `size` neighbouring channels)^beta. */
import { elementCount } from "../format/tensor.ts";
import { inputOf, numberOf, textOf } from "./call.ts";
import { numbersOf, tensorOfNumbers } from "./numbers.ts";
import type { Reference } from "./reference.ts";

export const localResponseNormalization: Reference = (call) => {
  const x = inputOf(call, 0);
  const values = numbersOf(x);
  const size = numberOf(call, "size", 1);
  const alpha = numberOf(call, "alpha", 1e-4);
  const beta = numberOf(call, "beta", 0.75);
  const bias = numberOf(call, "bias", 1);
  const last = textOf(call, "layout", "NCHW") === "NHWC";
  const inner = last ? 1 : elementCount(x.shape.slice(2));
  const channels = (last ? x.shape[x.shape.length - 1] : x.shape[1]) ?? 1;
  const [before, after] = [Math.floor((size - 1) / 2), Math.ceil((size - 1) / 2)];
  const result = Float64Array.from(values, (value: number, i) => {
    const channel = Math.floor(i / inner) % channels;
    let sum = 0;
    for (let c = Math.max(0, channel - before); c <= Math.min(channels - 1, channel + after); c++)
      sum += values[i + (c - channel) * inner]! ** 2;
    return value / (bias + (alpha / size) * sum) ** beta;
  });
  return [tensorOfNumbers(x.dtype, x.shape, result)];
};
