/**
 * The Reduce* operators. Axes come as attribute or, in newer versions, as input 1; none means all axes, or
 * no reduction at all when noop_with_empty_axes is set. Integers keep their type: sums wrap, quotients and roots truncate.
 */
import { isBigInteger, isFloat } from "../format/dtype.ts";
import { elementCount, type Tensor, zeros } from "../format/tensor.ts";
import { axisOf, inputOf, integersOf, numberOf } from "./call.ts";
import { readerOf, type Scalar, writerOf } from "./element.ts";
import { tensorOfNumbers } from "./numbers.ts";
import type { Reference, ReferenceCall } from "./reference.ts";
import { rounding } from "./scalar.ts";

/** One way to reduce the elements of a group. */
interface Reduction {
  readonly numbers: (values: readonly number[]) => number;
  readonly integers: (values: readonly bigint[]) => bigint;
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
const bigSum = (values: readonly bigint[]): bigint => values.reduce((a, b) => a + b, 0n);
const magnitude = (value: bigint): bigint => (value < 0n ? -value : value);

/** Through float64, truncated: what integer logarithms and roots give. */
const truncated =
  (numbers: (values: readonly number[]) => number) =>
  (values: readonly bigint[]): bigint => {
    const value = Math.trunc(numbers(values.map(Number)));
    return Number.isFinite(value) ? BigInt(value) : 0n;
  };

const squares = (values: readonly number[]): number => sum(values.map((value) => value * value));

const logSum = (values: readonly number[]): number => Math.log(sum(values));

function logSumExp(values: readonly number[]): number {
  const largest = Math.max(...values);
  if (!Number.isFinite(largest)) return largest;
  return largest + Math.log(sum(values.map((value) => Math.exp(value - largest))));
}

const l2 = (values: readonly number[]): number => Math.sqrt(squares(values));

const extreme = (better: (a: bigint, b: bigint) => boolean) => (values: readonly bigint[]) =>
  values.reduce((a, b) => (better(b, a) ? b : a));

const reductions = {
  ReduceSum: { numbers: sum, integers: bigSum },
  ReduceMean: {
    numbers: (values) => sum(values) / values.length,
    integers: (values) => (values.length === 0 ? 0n : bigSum(values) / BigInt(values.length)),
  },
  ReduceMax: {
    numbers: (values) => values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY),
    integers: extreme((a, b) => a > b),
  },
  ReduceMin: {
    numbers: (values) => values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY),
    integers: extreme((a, b) => a < b),
  },
  ReduceProd: {
    numbers: (values) => values.reduce((a, b) => a * b, 1),
    integers: (values) => values.reduce((a, b) => a * b, 1n),
  },
  ReduceL1: { numbers: (values) => sum(values.map(Math.abs)), integers: (values) => bigSum(values.map(magnitude)) },
  ReduceL2: { numbers: l2, integers: truncated(l2) },
  ReduceLogSum: { numbers: logSum, integers: truncated(logSum) },
  ReduceLogSumExp: { numbers: logSumExp, integers: truncated(logSumExp) },
  ReduceSumSquare: { numbers: squares, integers: (values) => bigSum(values.map((value) => value * value)) },
} satisfies Record<string, Reduction>;

/** The reduced axes in ascending order; undefined when the node copies its input. */
function reducedAxes(call: ReferenceCall, rank: number): readonly number[] | undefined {
  const given = integersOf(call, "axes", 1) ?? [];
  if (given.length > 0) return [...new Set(given.map((axis) => axisOf(axis, rank)))].sort((a, b) => a - b);
  return numberOf(call, "noop_with_empty_axes", 0) === 1 ? undefined : Array.from({ length: rank }, (_, axis) => axis);
}

/** Flat indices of the elements in each group: those that differ only in the coordinates of `axes`. */
export function groupsOf(shape: readonly number[], axes: readonly number[]): readonly number[][] {
  const kept = shape.map((extent, axis) => (axes.includes(axis) ? 1 : extent));
  const groups: number[][] = Array.from({ length: elementCount(kept) }, () => []);
  for (let flat = 0; flat < elementCount(shape); flat++) {
    let group = 0;
    let rest = flat;
    let scale = 1;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const extent = shape[axis]!;
      if (kept[axis] === extent) group += (rest % extent) * scale;
      scale *= kept[axis]!;
      rest = Math.floor(rest / extent);
    }
    groups[group]!.push(flat);
  }
  return groups;
}

/** The shape after reduction. */
export const reducedShape = (shape: readonly number[], axes: readonly number[], keep: boolean): readonly number[] =>
  shape.flatMap((extent, axis) => (axes.includes(axis) ? (keep ? [1] : []) : [extent]));

function reference(reduction: Reduction): Reference {
  return (call) => {
    const x = inputOf(call, 0);
    const axes = reducedAxes(call, x.shape.length);
    const groups = axes ? groupsOf(x.shape, axes) : Array.from({ length: x.data.length }, (_, i) => [i]);
    const shape = axes ? reducedShape(x.shape, axes, numberOf(call, "keepdims", 1) === 1) : x.shape;
    return [reduced(x, shape, groups, reduction)];
  };
}

function reduced(x: Tensor, shape: readonly number[], groups: readonly number[][], reduction: Reduction): Tensor {
  const read = readerOf(x);
  if (isFloat(x.dtype))
    return tensorOfNumbers(
      x.dtype,
      shape,
      groups.map((group) => reduction.numbers(group.map((i) => read(i) as number))),
    );
  const result = zeros(x.dtype, shape);
  const write = writerOf(result);
  groups.forEach((group, index) => {
    const value = reduction.integers(group.map((i) => BigInt(read(i))));
    const wrapped: Scalar = isBigInteger(x.dtype) ? value : Number(BigInt.asIntN(32, value));
    write(index, rounding(x.dtype)(wrapped));
  });
  return result;
}

export const reduceSum = reference(reductions.ReduceSum);
export const reduceMean = reference(reductions.ReduceMean);
export const reduceMax = reference(reductions.ReduceMax);
export const reduceMin = reference(reductions.ReduceMin);
export const reduceProd = reference(reductions.ReduceProd);
export const reduceL1 = reference(reductions.ReduceL1);
export const reduceL2 = reference(reductions.ReduceL2);
export const reduceLogSum = reference(reductions.ReduceLogSum);
export const reduceLogSumExp = reference(reductions.ReduceLogSumExp);
export const reduceSumSquare = reference(reductions.ReduceSumSquare);
