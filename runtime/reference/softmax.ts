/** Softmax and LogSoftmax: along one axis since version 13, before that over all axes from `axis` on, flattened. */
import { elementCount } from "../format/tensor.ts";
import { axisOf, inputOf, numberOf } from "./call.ts";
import { numbersOf, tensorOfNumbers } from "./numbers.ts";
import type { Reference, ReferenceCall } from "./reference.ts";

/** The three extents an axis splits a shape into; flattening versions have no inner one. */
export function rowsOf(call: ReferenceCall): {
  readonly outer: number;
  readonly length: number;
  readonly inner: number;
} {
  const { shape } = inputOf(call, 0);
  const flattens = call.version < 13;
  const given = numberOf(call, "axis", flattens ? 1 : -1);
  // Flattening allows the axis behind the last one.
  const axis = flattens && given === shape.length ? given : axisOf(given, shape.length);
  const outer = elementCount(shape.slice(0, axis));
  if (flattens) return { outer, length: elementCount(shape.slice(axis)), inner: 1 };
  return { outer, length: shape[axis] ?? 1, inner: elementCount(shape.slice(axis + 1)) };
}

function normalised(call: ReferenceCall, finish: (shifted: number, sum: number) => number): ReturnType<Reference> {
  const x = inputOf(call, 0);
  const values = numbersOf(x);
  const { outer, length, inner } = rowsOf(call);
  const result = new Float64Array(values.length);
  for (let o = 0; o < outer; o++)
    for (let i = 0; i < inner; i++) {
      const at = (k: number): number => (o * length + k) * inner + i;
      let largest = Number.NEGATIVE_INFINITY;
      for (let k = 0; k < length; k++) largest = Math.max(largest, values[at(k)]!);
      let sum = 0;
      for (let k = 0; k < length; k++) sum += Math.exp(values[at(k)]! - largest);
      for (let k = 0; k < length; k++) result[at(k)] = finish(values[at(k)]! - largest, sum);
    }
  return [tensorOfNumbers(x.dtype, x.shape, result)];
}

export const softmax: Reference = (call) => normalised(call, (shifted, sum) => Math.exp(shifted) / sum);

export const logSoftmax: Reference = (call) => normalised(call, (shifted, sum) => shifted - Math.log(sum));
