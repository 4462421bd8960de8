/**
 * Elements of tensors as scalars: number for every type but the 64-bit integers, which are bigint; bool is 0 or 1;
 * float16 and bfloat16 are decoded on reading and rounded to nearest even on writing.
 */
import { bfloat16ToNumber, float16ToNumber, numberToBfloat16, numberToFloat16 } from "../format/half.ts";
import type { Tensor } from "../format/tensor.ts";

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
