/**
 * Elements of tensors as scalars: number for every type but the 64-bit integers, which are bigint; bool is 0 or 1;
 * float16 and bfloat16 are decoded on reading and rounded to nearest even on writing.
 */
import { type DType, isBigInteger } from "../format/dtype.ts";
import { bfloat16ToNumber, float16ToNumber, numberToBfloat16, numberToFloat16 } from "../format/half.ts";
import { type Tensor, tensorOf } from "../format/tensor.ts";

export type Scalar = number | bigint;

/** Reads element i of a tensor. */
export function readerOf(tensor: Tensor): (index: number) => Scalar {
  const data = tensor.data as ArrayLike<Scalar>;
  if (tensor.dtype === "float16") return (index) => float16ToNumber(data[index] as number);
  if (tensor.dtype === "bfloat16") return (index) => bfloat16ToNumber(data[index] as number);
  return (index) => data[index] as Scalar;
}

/** Writes element i of a tensor; the scalar must be of the kind the type holds. Integers wrap around. */
export function writerOf(tensor: Tensor): (index: number, value: Scalar) => void {
  const data = tensor.data as { [index: number]: Scalar };
  if (tensor.dtype === "float16") {
    return (index, value) => {
      data[index] = numberToFloat16(value as number);
    };
  }
  if (tensor.dtype === "bfloat16") {
    return (index, value) => {
      data[index] = numberToBfloat16(value as number);
    };
  }
  return (index, value) => {
    data[index] = value;
  };
}

/** All elements as numbers (64-bit integers lose what float64 cannot hold); the tensor's own array where it already is that. */
export function numbersOf(tensor: Tensor): ArrayLike<number> {
  if (tensor.dtype === "float16") return Float64Array.from(tensor.data as Uint16Array, float16ToNumber);
  if (tensor.dtype === "bfloat16") return Float64Array.from(tensor.data as Uint16Array, bfloat16ToNumber);
  if (isBigInteger(tensor.dtype)) return Float64Array.from(tensor.data as BigInt64Array, Number);
  return tensor.data as ArrayLike<number>;
}

/** A tensor from numbers in element order, rounded to `dtype`: floats to nearest even, integers truncated and wrapped around. */
export function tensorOfNumbers(dtype: DType, shape: readonly number[], values: ArrayLike<number>): Tensor {
  if (dtype === "float16") return { dtype, shape, data: Uint16Array.from(values, numberToFloat16) };
  if (dtype === "bfloat16") return { dtype, shape, data: Uint16Array.from(values, numberToBfloat16) };
  return tensorOf(dtype, shape, isBigInteger(dtype) ? Array.from(values, Math.trunc) : values);
}
