/** Copies of elements by strides: what every reference that only moves data is made of. Element types do not matter. */
import { allocate, elementCount, type Tensor } from "../format/tensor.ts";

/** Row-major strides, in elements. */
export function stridesOf(shape: readonly number[]): readonly number[] {
  const strides: number[] = [];
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= shape[axis] as number;
  }
  return strides;
}

/** Visits the flat indices offset + sum of strides * index for every index of `shape`, in row-major order. */
export function eachStrided(
  shape: readonly number[],
  strides: readonly number[],
  offset: number,
  visit: (source: number, flat: number) => void,
): void {
  const index = shape.map(() => 0);
  const count = elementCount(shape);
  let source = offset;
  for (let flat = 0; flat < count; flat++) {
    visit(source, flat);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const next = (index[axis] as number) + 1;
      source += strides[axis] as number;
      index[axis] = next;
      if (next < (shape[axis] as number)) break;
      source -= next * (strides[axis] as number);
      index[axis] = 0;
    }
  }
}

/** The tensor of `shape` whose element at an index is source element offset + sum of strides * index. */
export function strided(source: Tensor, shape: readonly number[], strides: readonly number[], offset = 0): Tensor {
  return picked(source, shape, (visit) => eachStrided(shape, strides, offset, visit));
}

/** A tensor of the source's type whose flat elements are those that `each` names. */
export function picked(
  source: Tensor,
  shape: readonly number[],
  each: (visit: (source: number, flat: number) => void) => void,
): Tensor {
  const data = allocate(source.dtype, elementCount(shape));
  each((from, flat) => {
    data[flat] = source.data[from] as never;
  });
  return { dtype: source.dtype, shape, data };
}

/** The same elements under another shape. */
export const reshaped = (source: Tensor, shape: readonly number[]): Tensor => ({
  dtype: source.dtype,
  shape,
  data: source.data.slice() as never,
});
