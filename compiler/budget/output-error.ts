/** How far one run's outputs are from another's: |a - b|^2 / |b|^2 per output, then the mean over outputs. */

import type { Tensor } from "../../runtime/format/tensor.ts";
import { readerOf } from "../../runtime/reference/element.ts";
import type { Sample } from "./tools.ts";

/** The error of an output with another shape, or that is no longer finite where it was. */
const worst = 1e6;

export function outputError(outputs: Sample, expected: Sample): number {
  const names = Object.keys(expected);
  const errors = names.map((name) => tensorError(outputs[name], expected[name] as Tensor));
  return errors.reduce((sum, error) => sum + error, 0) / Math.max(1, names.length);
}

function tensorError(tensor: Tensor | undefined, expected: Tensor): number {
  if (tensor?.data.length !== expected.data.length) return worst;
  const [left, right] = [readerOf(tensor), readerOf(expected)];
  let difference = 0;
  let total = 0;
  for (let i = 0; i < expected.data.length; i++) {
    const [a, b] = [Number(left(i)), Number(right(i))];
    if (!Number.isFinite(b)) continue;
    if (!Number.isFinite(a)) return worst;
    difference += (a - b) ** 2;
    total += b * b;
  }
  if (difference === 0) return 0;
  return total === 0 ? worst : Math.min(worst, difference / total);
}
