/** Reordering and reshaping constants at compile time. */
import { type Tensor, zeros } from "../../runtime/format/tensor.ts";

/** Axis i of the result is axis permutation[i] of `tensor`. */
export function permuted(tensor: Tensor, permutation: readonly number[]): Tensor {
  const shape = permutation.map((axis) => tensor.shape[axis] as number);
  const result = zeros(tensor.dtype, shape);
  const sourceStrides = stridesOf(tensor.shape);
  const strides = permutation.map((axis) => sourceStrides[axis] as number);
  const index = new Array<number>(shape.length).fill(0);
  let source = 0;
  for (let target = 0; target < result.data.length; target++) {
    result.data[target] = tensor.data[source] as never;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      source += strides[axis] as number;
      index[axis] = (index[axis] as number) + 1;
      if ((index[axis] as number) < (shape[axis] as number)) break;
      source -= (shape[axis] as number) * (strides[axis] as number);
      index[axis] = 0;
    }
  }
  return result;
}

function stridesOf(shape: readonly number[]): readonly number[] {
  const strides = new Array<number>(shape.length).fill(1);
  for (let axis = shape.length - 2; axis >= 0; axis--)
    strides[axis] = (strides[axis + 1] as number) * (shape[axis + 1] as number);
  return strides;
}

/** The same elements under another shape. */
export const reshaped = (tensor: Tensor, shape: readonly number[]): Tensor => ({ ...tensor, shape });

/** The shape without its leading ones. */
export function withoutLeadingOnes(shape: readonly number[]): readonly number[] {
  const first = shape.findIndex((dim) => dim !== 1);
  return first < 0 ? [] : shape.slice(first);
}
