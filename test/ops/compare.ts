/**
 * Comparison of tensors by |a - b| <= absolute * max|b| + relative * |b| + least; NaN and infinities must stand in the
 * same places; integers are exact.
 */
import type { Tolerance } from "../../compiler/ops/operator.ts";
import { isFloat } from "../../runtime/format/dtype.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import { readerOf } from "../../runtime/reference/element.ts";

export interface Bound extends Tolerance {
  /** Allowed whatever the magnitudes: the rounding of an intermediate value near 1 that cancels. 0 unless given. */
  readonly least?: number;
}

/** What differs first, in words; undefined when nothing does. */
export function difference(actual: Tensor | undefined, expected: Tensor, tolerance: Bound): string | undefined {
  if (!actual) return "there is no such output";
  const form = (tensor: Tensor): string => `${tensor.dtype}[${tensor.shape.join(",")}]`;
  if (form(actual) !== form(expected)) return `expected ${form(expected)}, received ${form(actual)}`;
  if (actual.data.length !== expected.data.length) return `${actual.data.length} elements in ${form(actual)}`;
  const [read, wanted] = [readerOf(actual), readerOf(expected)];
  const exact = !isFloat(expected.dtype);
  let largest = 0;
  for (let i = 0; i < expected.data.length && !exact; i++) {
    const magnitude = Math.abs(Number(wanted(i)));
    if (Number.isFinite(magnitude)) largest = Math.max(largest, magnitude);
  }
  for (let i = 0; i < expected.data.length; i++) {
    const [a, b] = [read(i), wanted(i)];
    if (a === b || (Number.isNaN(a) && Number.isNaN(b))) continue;
    const bound = tolerance.absolute * largest + tolerance.relative * Math.abs(Number(b)) + (tolerance.least ?? 0);
    if (exact || !Number.isFinite(a) || !Number.isFinite(b) || !(Math.abs(Number(a) - Number(b)) <= bound)) {
      return `element ${i} of ${form(expected)}: expected ${b}, received ${a}`;
    }
  }
  return undefined;
}
