/**
 * QuantizeLinear, DequantizeLinear and DynamicQuantizeLinear: y = saturate(round(x / scale) + zero), ties to even, and
 * (y - zero) * scale back. A scale and a zero point for the whole tensor, for each index of an axis, or for blocks along it.
 */
import { type DType, isFloat } from "../format/dtype.ts";
import { roundHalfEven } from "../format/half.ts";
import { type Tensor, tensorOf } from "../format/tensor.ts";
import { axisOf, inputOf, numberOf, refuse } from "./call.ts";
import { dtypeOfNumber } from "./data-type.ts";
import { numbersOf, tensorOfNumbers } from "./numbers.ts";
import { type QuantizedType, quantizedTypeOf, quantizedTypeOfNumber } from "./quantized-type.ts";
import type { Reference, ReferenceCall } from "./reference.ts";
import { rounding } from "./scalar.ts";

/** saturate(round(value) + zero). */
export const saturated = (value: number, zero: number, { low, high }: QuantizedType): number =>
  Math.max(low, Math.min(high, roundHalfEven(value) + zero));

/** Element of a scale or zero point of shape `shape` that belongs to element `flat` of a tensor of shape `data`. */
export function blockIndex(
  data: readonly number[],
  shape: readonly number[],
  axis: number,
  blockSize: number,
): (flat: number) => number {
  if (shape.length < 2 && shape.every((extent) => extent === 1)) return () => 0;
  const extent = data[axis] ?? 1;
  const inner = data.slice(axis + 1).reduce((a, b) => a * b, 1);
  if (blockSize === 0) return (flat) => Math.floor(flat / inner) % extent;
  const blocks = shape[axis] ?? 1;
  return (flat) => {
    const row = Math.floor(flat / inner);
    const block = Math.floor((row % extent) / blockSize);
    return (Math.floor(row / extent) * blocks + block) * inner + (flat % inner);
  };
}

/** Elements of input `index` (a scale or a zero point) for each element of `x`; zeros when it is absent. */
function parameterOf(call: ReferenceCall, x: Tensor, index: number): (flat: number) => number {
  const tensor = call.inputs[index];
  if (!tensor) return () => 0;
  const values = numbersOf(tensor);
  // Scalars of rank 0 have no axis.
  const axis = x.shape.length === 0 ? 0 : axisOf(numberOf(call, "axis", 1), Math.max(x.shape.length, 2));
  const at = blockIndex(x.shape, tensor.shape, axis, numberOf(call, "block_size", 0));
  return (flat) => values[at(flat)]!;
}

function targetOf(call: ReferenceCall): QuantizedType {
  const number = numberOf(call, "output_dtype", 0);
  const dtype = call.inputs[2]?.dtype ?? "uint8";
  const type = number === 0 ? quantizedTypeOf(dtype) : quantizedTypeOfNumber(number);
  if (!type) return refuse("cannot quantise to this element type", "an integer type of at most 16 bits");
  // Our own attribute: fewer bits than the type has.
  return numberOf(call, "bits", 8) === 7 ? { ...type, high: Math.min(type.high, 127) } : type;
}

/** The type that x is divided in: that of the scale, or attribute precision. */
function precisionOf(call: ReferenceCall): DType {
  const { dtype } = inputOf(call, 1);
  return dtypeOfNumber(numberOf(call, "precision", 0)) ?? (isFloat(dtype) ? dtype : "float32");
}

export const quantizeLinear: Reference = (call) => {
  const x = inputOf(call, 0);
  const target = targetOf(call);
  const round = rounding(precisionOf(call)) as (value: number) => number;
  const [scale, zero] = [parameterOf(call, x, 1), parameterOf(call, x, 2)];
  const values = numbersOf(x);
  const result = Float64Array.from(values, (value, at) =>
    saturated(round(round(value) / round(scale(at))), zero(at), target),
  );
  return [tensorOfNumbers(target.dtype, x.shape, result)];
};

/** The difference is an integer, its product rounded to float32 first when the scale is wider or narrower. */
export const dequantizeLinear: Reference = (call) => {
  const x = inputOf(call, 0);
  const [scale, zero] = [parameterOf(call, x, 1), parameterOf(call, x, 2)];
  const dtype = dtypeOfNumber(numberOf(call, "output_dtype", 0)) ?? inputOf(call, 1).dtype;
  const values = numbersOf(x);
  const result = Float64Array.from(values, (value, at) =>
    Math.fround(Math.fround((value - zero(at)) | 0) * Math.fround(scale(at))),
  );
  return [tensorOfNumbers(dtype, x.shape, result)];
};

/** uint8 over the range of x, which always holds 0; x of zeros alone has the scale 1. */
export const dynamicQuantizeLinear: Reference = (call) => {
  const x = inputOf(call, 0);
  const values = numbersOf(x);
  let [low, high] = [0, 0];
  for (let at = 0; at < values.length; at++) {
    low = Math.min(low, values[at]!);
    high = Math.max(high, values[at]!);
  }
  const target = quantizedTypeOf("uint8")!;
  const scale = high === low ? 1 : Math.fround(Math.fround(high - low) / 255);
  const zero = roundHalfEven(Math.max(0, Math.min(255, Math.fround(0 - Math.fround(low / scale)))));
  const result = Float64Array.from(values, (value) => saturated(Math.fround(value / scale), zero, target));
  return [tensorOfNumbers("uint8", x.shape, result), tensorOf("float32", [], [scale]), tensorOf("uint8", [], [zero])];
};
