/** BatchNormalization for inference: scale, shift, mean and variance per channel; channel axis 1, or the last when layout is NHWC. */
import { elementCount } from "../format/tensor.ts";
import { inputOf, numberOf, refuse, textOf } from "./call.ts";
import { numbersOf, tensorOfNumbers } from "./numbers.ts";
import type { Reference } from "./reference.ts";

export const batchNormalization: Reference = (call) => {
  if (numberOf(call, "training_mode", 0) === 1) refuse("BatchNormalization in training mode is not supported");
  const x = inputOf(call, 0);
  const [scale, shift, mean, variance] = [1, 2, 3, 4].map((index) => numbersOf(inputOf(call, index))) as [
    ArrayLike<number>,
    ArrayLike<number>,
    ArrayLike<number>,
    ArrayLike<number>,
  ];
  const epsilon = numberOf(call, "epsilon", 1e-5);
  const last = textOf(call, "layout", "NCHW") === "NHWC";
  const inner = last ? 1 : elementCount(x.shape.slice(2));
  const channels = (last ? x.shape[x.shape.length - 1] : x.shape[1]) ?? 1;
  const result = Float64Array.from(numbersOf(x), (value, i) => {
    const c = Math.floor(i / inner) % channels;
    return ((value - mean[c]!) / Math.sqrt(variance[c]! + epsilon)) * scale[c]! + shift[c]!;
  });
  return [tensorOfNumbers(x.dtype, x.shape, result)];
};
