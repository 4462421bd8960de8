/** ArgMax, ArgMin: int64 positions of the largest or smallest elements along an axis; Hardmax: 1 at the first largest element, 0 elsewhere. */
import type { Tensor } from "../format/tensor.ts";
import { axisOf, inputOf, numberOf } from "./call.ts";
import { readerOf, type Scalar } from "./element.ts";
import { tensorOfNumbers } from "./numbers.ts";
import { groupsOf, reducedShape } from "./reduce.ts";
import type { Reference } from "./reference.ts";
import { rowsOf } from "./softmax.ts";

/** Position within `group` of its best element; among equals the first, or the last when `last`. NaN is best. */
function best(x: Tensor, group: readonly number[], better: (a: Scalar, b: Scalar) => boolean, last: boolean): number {
  const read = readerOf(x);
  const isMissing = (value: Scalar): boolean => typeof value === "number" && Number.isNaN(value);
  let position = 0;
  for (let k = 1; k < group.length; k++) {
    const value = read(group[k]!);
    const leader = read(group[position]!);
    if (isMissing(leader)) break;
    if (better(value, leader) || isMissing(value) || (last && value === leader)) position = k;
  }
  return position;
}

const argExtreme =
  (better: (a: Scalar, b: Scalar) => boolean): Reference =>
  (call) => {
    const x = inputOf(call, 0);
    const axis = axisOf(numberOf(call, "axis", 0), x.shape.length);
    const last = numberOf(call, "select_last_index", 0) === 1;
    const positions = groupsOf(x.shape, [axis]).map((group) => best(x, group, better, last));
    return [tensorOfNumbers("int64", reducedShape(x.shape, [axis], numberOf(call, "keepdims", 1) === 1), positions)];
  };

export const argMax = argExtreme((a, b) => a > b);
export const argMin = argExtreme((a, b) => a < b);

export const hardmax: Reference = (call) => {
  const x = inputOf(call, 0);
  const { outer, length, inner } = rowsOf(call);
  const result = new Float64Array(x.data.length);
  for (const group of groupsOf([outer, length, inner], [1])) result[group[best(x, group, (a, b) => a > b, false)]!] = 1;
  return [tensorOfNumbers(x.dtype, x.shape, result)];
};
