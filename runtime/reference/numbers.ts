/** Tensors of any element type as plain numbers, and back. 64-bit integers lose what float64 cannot hold. */
import { type DType, isBigInteger } from "../format/dtype.ts";
import { bfloat16ToNumber, float16ToNumber, numberToBfloat16, numberToFloat16 } from "../format/half.ts";
import { type Tensor, tensorOf } from "../format/tensor.ts";

/** The elements in row-major order, not to be written to: the tensor's own array where it already holds numbers. */
export function numbersOf(tensor: Tensor): ArrayLike<number> {
  if (tensor.dtype === "float16") return Float64Array.from(tensor.data as Uint16Array, float16ToNumber);
  if (tensor.dtype === "bfloat16") return Float64Array.from(tensor.data as Uint16Array, bfloat16ToNumber);
  if (isBigInteger(tensor.dtype)) return Float64Array.from(tensor.data as BigInt64Array, Number);
  return tensor.data as ArrayLike<number>;
}

/** A tensor from numbers in row-major order, rounded to `dtype`: floats to nearest even, integers towards zero. */
export function tensorOfNumbers(dtype: DType, shape: readonly number[], values: ArrayLike<number>): Tensor {
  if (dtype === "float16") return { dtype, shape, data: Uint16Array.from(values, numberToFloat16) };
  if (dtype === "bfloat16") return { dtype, shape, data: Uint16Array.from(values, numberToBfloat16) };
  return tensorOf(dtype, shape, isBigInteger(dtype) ? Array.from(values, Math.trunc) : values);
}
