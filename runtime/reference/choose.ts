/** Operators whose result has as many elements as the data say: NonZero, Compress, Unique; and TopK. */
import { elementCount, type Tensor, tensorOf } from "../format/tensor.ts";
import { axisOf, inputOf, integersOf, numberOf, refuse } from "./call.ts";
import { readerOf, type Scalar } from "./element.ts";
import type { Reference } from "./reference.ts";
import { picked, reshaped, stridesOf } from "./strided.ts";

/** Coordinates of the elements that differ from zero, one row an axis, in row-major order. */
export const nonZero: Reference = (call) => {
  const data = inputOf(call, 0);
  const read = readerOf(data);
  const found: number[] = [];
  for (let flat = 0; flat < data.data.length; flat++) if (Number(read(flat)) !== 0) found.push(flat);
  const strides = stridesOf(data.shape);
  const rows = data.shape.flatMap((extent, axis) =>
    found.map((flat) => Math.floor(flat / (strides[axis] as number)) % extent),
  );
  return [tensorOf("int64", [data.shape.length, found.length], rows)];
};

/** The slices `indices` of an axis, in that order. */
function takeAlong(data: Tensor, axis: number, indices: readonly number[]): Tensor {
  const outer = elementCount(data.shape.slice(0, axis));
  const inner = elementCount(data.shape.slice(axis + 1));
  const extent = data.shape[axis] as number;
  const shape = data.shape.map((own, i) => (i === axis ? indices.length : own));
  return picked(data, shape, (visit) => {
    for (let o = 0; o < outer; o++)
      indices.forEach((index, i) => {
        for (let k = 0; k < inner; k++) visit((o * extent + index) * inner + k, (o * indices.length + i) * inner + k);
      });
  });
}

/** The slices of an axis (of the flattened data without one) whose condition holds. */
export const compress: Reference = (call) => {
  const data = inputOf(call, 0);
  const condition = inputOf(call, 1);
  const named = call.attributes.axis;
  const source = typeof named === "number" ? data : reshaped(data, [data.data.length]);
  const axis = typeof named === "number" ? axisOf(named, data.shape.length) : 0;
  const kept = Array.from(condition.data as ArrayLike<number>, (value, i) => (value ? i : -1)).filter(
    (i) => i >= 0 && i < (source.shape[axis] as number),
  );
  return [takeAlong(source, axis, kept)];
};

/** Ascending, NaN last. */
function compareScalars(left: Scalar, right: Scalar): number {
  const [a, b] = [Number.isNaN(left), Number.isNaN(right)];
  if (a || b) return Number(a) - Number(b);
  return left < right ? -1 : left > right ? 1 : 0;
}

/** Different slices of an axis (or elements), where each first stands, which of them each slice is, and how often. */
export const unique: Reference = (call) => {
  const data = inputOf(call, 0);
  const named = call.attributes.axis;
  const source = typeof named === "number" ? data : reshaped(data, [data.data.length]);
  const axis = typeof named === "number" ? axisOf(named, data.shape.length) : 0;
  const extent = source.shape[axis] as number;
  const inner = elementCount(source.shape.slice(axis + 1));
  const outer = elementCount(source.shape.slice(0, axis));
  const read = readerOf(source);
  const sliceAt = (index: number): readonly Scalar[] =>
    Array.from({ length: outer * inner }, (_, k) =>
      read((Math.floor(k / inner) * extent + index) * inner + (k % inner)),
    );
  const compare = (left: readonly Scalar[], right: readonly Scalar[]): number => {
    const at = left.findIndex((value, k) => compareScalars(value, right[k] as Scalar) !== 0);
    return at < 0 ? 0 : compareScalars(left[at] as Scalar, right[at] as Scalar);
  };
  const slices = Array.from({ length: extent }, (_, i) => sliceAt(i));
  const order = slices
    .map((_, i) => i)
    .sort((a, b) => compare(slices[a] as readonly Scalar[], slices[b] as readonly Scalar[]) || a - b);
  const groups: number[][] = [];
  for (const index of order) {
    const group = groups.at(-1);
    if (group && compare(slices[group[0] as number] as readonly Scalar[], slices[index] as readonly Scalar[]) === 0)
      group.push(index);
    else groups.push([index]);
  }
  if (numberOf(call, "sorted", 1) === 0) groups.sort((a, b) => (a[0] as number) - (b[0] as number));
  const firsts = groups.map((group) => group[0] as number);
  const inverse = new Array<number>(extent).fill(0);
  groups.forEach((group, place) => {
    for (const index of group) inverse[index] = place;
  });
  return [
    takeAlong(source, axis, firsts),
    tensorOf("int64", [firsts.length], firsts),
    tensorOf("int64", [extent], inverse),
    tensorOf(
      "int64",
      [firsts.length],
      groups.map((group) => group.length),
    ),
  ];
};

/** The k largest or smallest along an axis with their indices, best first; equal ones in the order of their indices. */
export const topK: Reference = (call) => {
  const data = inputOf(call, 0);
  const count = integersOf(call, "k", 1)?.[0] ?? refuse("k is missing");
  const axis = axisOf(numberOf(call, "axis", -1), data.shape.length);
  const isLargest = numberOf(call, "largest", 1) !== 0;
  const extent = data.shape[axis] as number;
  if (count > extent) refuse("k is greater than the axis", `at most ${extent}`, String(count));
  const inner = elementCount(data.shape.slice(axis + 1));
  const read = readerOf(data);
  const shape = data.shape.map((own, i) => (i === axis ? count : own));
  const places = new Array<number>(elementCount(shape)).fill(0);
  const values = picked(data, shape, (visit) => {
    for (let start = 0; start < data.data.length; start += extent * inner)
      for (let k = 0; k < inner; k++) {
        const at = (i: number): Scalar => read(start + i * inner + k);
        const order = Array.from({ length: extent }, (_, i) => i).sort((a, b) => {
          const difference = compareScalars(at(a), at(b));
          return (isLargest ? -difference : difference) || a - b;
        });
        for (let i = 0; i < count; i++) {
          const flat = (start / extent) * count + i * inner + k;
          places[flat] = order[i] as number;
          visit(start + (order[i] as number) * inner + k, flat);
        }
      }
  });
  return [values, tensorOf("int64", shape, places)];
};
