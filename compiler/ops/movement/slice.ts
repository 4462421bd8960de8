/**
 * Slice: first index and step per axis become an offset and a coefficient. Bounds may be symbolic; they are clamped to
 * the axis by the dimension algebra unless they are inside it for every value of the symbols.
 */
import { slice as reference } from "../../../runtime/reference/rearrange.ts";
import {
  addDims,
  ceilDivideDims,
  type Dim,
  maximumDim,
  minimumDim,
  sameDim,
  subtractDims,
} from "../../graph/dimension.ts";
import { along } from "../../loop/loop.ts";
import { defineOperator, exactTolerance, type OperatorContext } from "../operator.ts";
import { axisOf, copyNest, dimsOf, isAtLeast, nestStep, numbersOf, steps, view } from "./copy.ts";

/** No axis is this long: exporters write such bounds for "to the end". */
const unbounded = 2 ** 31 - 1;

interface Range {
  readonly start: Dim;
  readonly step: number;
  readonly length: Dim;
}

const atLeast = (dim: Dim, low: Dim): Dim =>
  isAtLeast(dim, low) ? dim : isAtLeast(low, dim) ? low : maximumDim(dim, low);
const atMost = (dim: Dim, high: Dim): Dim =>
  isAtLeast(high, dim) ? dim : isAtLeast(dim, high) ? high : minimumDim(dim, high);

/** A bound counted from the front, clamped to low..high. */
function clampBound(bound: Dim, extent: Dim, low: Dim, high: Dim): Dim {
  if (typeof bound === "number" && bound >= unbounded) return high;
  if (typeof bound === "number" && bound <= -unbounded) return low;
  const isNegative = typeof bound === "number" ? bound < 0 : isAtLeast(-1, bound);
  return atMost(atLeast(isNegative ? addDims(bound, extent) : bound, low), high);
}

function rangeOf(start: Dim, end: Dim, step: number, extent: Dim): Range {
  const last = subtractDims(extent, 1);
  const [low, high] = step > 0 ? [0, extent] : [-1, last];
  const first = clampBound(start, extent, 0, step > 0 ? extent : last);
  const stop = clampBound(end, extent, low, high);
  const distance = step > 0 ? subtractDims(stop, first) : subtractDims(first, stop);
  return { start: first, step, length: ceilDivideDims(atLeast(distance, 0), Math.abs(step)) };
}

/** The range taken of every axis. */
function rangesOf(context: OperatorContext): readonly Range[] {
  const { shape } = context.type(0);
  const starts = dimsOf(context, "starts", 1) ?? context.fail("starts is missing");
  const ends = dimsOf(context, "ends", 2) ?? context.fail("ends is missing");
  const axes = numbersOf(context, "axes", 3) ?? starts.map((_, axis) => axis);
  const stepsGiven = numbersOf(context, "steps", 4);
  const ranges = shape.map((length): Range => ({ start: 0, step: 1, length }));
  for (const [i, named] of axes.entries()) {
    const [start, end, step] = [starts[i], ends[i], stepsGiven?.[i] ?? 1];
    if (start === undefined || end === undefined) return context.fail("starts, ends and axes have different lengths");
    if (step === 0) context.fail("a step of a slice is 0");
    const axis = axisOf(context, named, shape.length);
    ranges[axis] = rangeOf(start, end, step, shape[axis] as Dim);
  }
  return ranges;
}

export const slice = defineOperator({
  op: "Slice",
  infer: (context) => [{ dtype: context.type(0).dtype, shape: rangesOf(context).map(({ length }) => length) }],
  elements: (context) => {
    const elements = context.elements(0);
    const [range] = rangesOf(context);
    if (!elements || !range || context.type(0).shape.length !== 1) return undefined;
    const { start, step, length } = range;
    if (typeof start !== "number" || typeof length !== "number") return undefined;
    return Array.from({ length }, (_, i) => elements[start + i * step] as Dim);
  },
  reference,
  lower: (context) => {
    const { dtype, shape } = context.type(0);
    const ranges = rangesOf(context);
    if (
      ranges.every(({ start, step, length }, axis) => start === 0 && step === 1 && sameDim(length, shape[axis] as Dim))
    )
      return view;
    return steps(
      nestStep(
        copyNest(
          dtype,
          ranges.map(({ length }) => length),
          ranges.map(({ start, step }, axis) => along(axis, step, start)),
        ),
      ),
    );
  },
  tolerance: exactTolerance,
});
