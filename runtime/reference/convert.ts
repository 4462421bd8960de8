/** Operators that carry elements over: Cast, CastLike, BitCast, Identity, Dropout, and `leafcutter.Elementwise`. */
import { byteSize, type DType, isBigInteger, isFloat } from "../format/dtype.ts";
import type { Expression } from "../format/expression.ts";
import { type Tensor, viewOf, zeros } from "../format/tensor.ts";
import { inputOf, numberOf, refuse } from "./call.ts";
import { dtypeOfNumber } from "./data-type.ts";
import { readerOf, type Scalar, writerOf } from "./element.ts";
import { mapNumbers } from "./elementwise.ts";
import { evaluateElementwise } from "./expression.ts";
import { smallTypeOfNumber } from "./quantized-type.ts";
import type { Reference } from "./reference.ts";

const clamp = (value: number, low: number, high: number): number => Math.max(low, Math.min(high, value));

/** Whole part of a float as a bigint within the 64-bit type `to`; NaN gives 0. */
function wholeBig(value: number, to: DType): bigint {
  if (Number.isNaN(value)) return 0n;
  const [low, high] = to === "int64" ? [-(2n ** 63n), 2n ** 63n - 1n] : [0n, 2n ** 64n - 1n];
  if (Math.abs(value) === Infinity) return value > 0 ? high : low;
  const whole = BigInt(Math.trunc(value));
  return whole < low ? low : whole > high ? high : whole;
}

/** Float to integer: the whole part, held within int32 (uint32) before narrower types keep its low bits; NaN gives 0. */
const whole = (value: number, to: DType): number =>
  Number.isNaN(value)
    ? 0
    : Math.trunc(to === "uint32" ? clamp(value, 0, 4294967295) : clamp(value, -2147483648, 2147483647));

/** One element converted; what the integer types cannot hold is set by the array that stores it (low bits). */
function converted(value: Scalar, from: DType, to: DType): Scalar {
  if (to === "bool") return value === 0 || value === 0n ? 0 : 1;
  if (isFloat(to)) return typeof value === "bigint" ? nearestFloat(value, to) : value;
  if (isBigInteger(to)) return isFloat(from) ? wholeBig(value as number, to) : BigInt(value);
  if (isFloat(from)) return whole(value as number, to);
  return Number(typeof value === "bigint" ? BigInt.asIntN(32, value) : value);
}

/** A 64-bit integer rounded once: what rounding to float64 loses decides a tie of the narrower type. */
function nearestFloat(value: bigint, to: DType): number {
  const near = Number(value);
  const lost = value - BigInt(near);
  if (to === "float64" || lost === 0n) return near;
  return near + (lost > 0n ? 1 : -1) * Math.abs(near) * 2 ** -52;
}

export function castTensor(x: Tensor, to: DType): Tensor {
  if (x.dtype === to) return x;
  const result = zeros(to, x.shape);
  const read = readerOf(x);
  const write = writerOf(result);
  for (let i = 0; i < result.data.length; i++) write(i, converted(read(i), x.dtype, to));
  return result;
}

/** A type of two or four bits keeps the low ones of the whole part. */
export const cast: Reference = (call) => {
  const small = smallTypeOfNumber(numberOf(call, "to", 0));
  if (small) {
    const span = small.high - small.low + 1;
    const wrapped = (value: number): number => ((((value - small.low) % span) + span) % span) + small.low;
    return [mapNumbers(castTensor(inputOf(call, 0), "int32"), wrapped, small.dtype)];
  }
  const to = dtypeOfNumber(numberOf(call, "to", 0)) ?? refuse("attribute to names an unsupported element type");
  return [castTensor(inputOf(call, 0), to)];
};

/** The same bytes read as another type of the same size. */
export const bitCast: Reference = (call) => {
  const x = inputOf(call, 0);
  const to = dtypeOfNumber(numberOf(call, "to", 0)) ?? refuse("attribute to names an unsupported element type");
  if (byteSize[to] !== byteSize[x.dtype]) refuse("the element types differ in size", x.dtype, to);
  const bytes = x.data.slice();
  return [{ dtype: to, shape: x.shape, data: viewOf(to, bytes.buffer, bytes.byteOffset, bytes.length) }];
};

export const castLike: Reference = (call) => [castTensor(inputOf(call, 0), inputOf(call, 1).dtype)];

export const identity: Reference = (call) => [inputOf(call, 0)];

/** Inference: the input passes; the mask is all ones (of the input's type before version 10). Training is refused unless the ratio is 0. */
export const dropout: Reference = (call) => {
  const x = inputOf(call, 0);
  const ratio = call.inputs[1] ? Number(call.inputs[1].data[0]) : 0.5;
  if (call.inputs[2]?.data[0] && ratio !== 0) refuse("Dropout in training mode is random", "training_mode false");
  if (call.outputCount < 2) return [x];
  const mask = zeros(call.version < 10 ? x.dtype : "bool", x.shape);
  const write = writerOf(mask);
  for (let i = 0; i < mask.data.length; i++) write(i, isBigInteger(mask.dtype) ? 1n : 1);
  return [x, mask];
};

export const elementwise: Reference = (call) => {
  const expression = call.attributes.expression;
  if (typeof expression !== "object" || !("kind" in expression)) return refuse("attribute expression is missing");
  return [evaluateElementwise(expression as Expression, call.inputs)];
};
