/** Operators that read elements at indices given as data: Gather, GatherElements, GatherND. Negative indices count from the end. */
import { elementCount, type Tensor } from "../format/tensor.ts";
import { axisOf, inputOf, numberOf, refuse } from "./call.ts";
import type { Reference } from "./reference.ts";
import { picked, stridesOf } from "./strided.ts";

/** Index i of an index tensor along an axis of `extent`, as 0..extent-1. */
export function indexAt(indices: Tensor, i: number, extent: number): number {
  const index = Number(indices.data[i]);
  const positive = index < 0 ? index + extent : index;
  return positive >= 0 && positive < extent
    ? positive
    : refuse("an index is out of range", `-${extent}..${extent - 1}`, String(index));
}

export const gather: Reference = (call) => {
  const data = inputOf(call, 0);
  const indices = inputOf(call, 1);
  const axis = axisOf(numberOf(call, "axis", 0), data.shape.length);
  const extent = data.shape[axis] as number;
  const outer = elementCount(data.shape.slice(0, axis));
  const inner = elementCount(data.shape.slice(axis + 1));
  const count = indices.data.length;
  const shape = [...data.shape.slice(0, axis), ...indices.shape, ...data.shape.slice(axis + 1)];
  const result = picked(data, shape, (visit) => {
    for (let o = 0; o < outer; o++)
      for (let i = 0; i < count; i++) {
        const from = (o * extent + indexAt(indices, i, extent)) * inner;
        for (let k = 0; k < inner; k++) visit(from + k, (o * count + i) * inner + k);
      }
  });
  return [result];
};

export const gatherElements: Reference = (call) => {
  const data = inputOf(call, 0);
  const indices = inputOf(call, 1);
  const axis = axisOf(numberOf(call, "axis", 0), data.shape.length);
  const strides = stridesOf(data.shape);
  const own = stridesOf(indices.shape);
  const result = picked(data, indices.shape, (visit) => {
    for (let flat = 0; flat < indices.data.length; flat++) {
      let from = 0;
      for (let i = 0; i < indices.shape.length; i++) {
        const position = Math.floor(flat / (own[i] as number)) % (indices.shape[i] as number);
        from += (i === axis ? indexAt(indices, flat, data.shape[axis] as number) : position) * (strides[i] as number);
      }
      visit(from, flat);
    }
  });
  return [result];
};

/** Position in a tensor of `shape` that row `row` of an index tensor [..., length] names within batch `batchIndex` of the first `batch` axes. */
export function rowStart(
  shape: readonly number[],
  indices: Tensor,
  row: number,
  batch: number,
  batchIndex: number,
): number {
  const length = indices.shape.at(-1) ?? 0;
  const strides = stridesOf(shape);
  let start = batch > 0 ? batchIndex * (strides[batch - 1] as number) : 0;
  for (let i = 0; i < length; i++)
    start += indexAt(indices, row * length + i, shape[batch + i] as number) * (strides[batch + i] as number);
  return start;
}

export const gatherND: Reference = (call) => {
  const data = inputOf(call, 0);
  const indices = inputOf(call, 1);
  const batch = numberOf(call, "batch_dims", 0);
  const length = indices.shape.at(-1) ?? 0;
  const block = elementCount(data.shape.slice(batch + length));
  const rows = elementCount(indices.shape.slice(0, -1));
  const perBatch = rows / Math.max(1, elementCount(data.shape.slice(0, batch)));
  const shape = [...indices.shape.slice(0, -1), ...data.shape.slice(batch + length)];
  const result = picked(data, shape, (visit) => {
    for (let row = 0; row < rows; row++) {
      const start = rowStart(data.shape, indices, row, batch, Math.floor(row / perBatch));
      for (let k = 0; k < block; k++) visit(start + k, row * block + k);
    }
  });
  return [result];
};
