/** Comparison of quantised results: a fused chain may be one step away from the definition, floats a few last places. */
import { isFloat } from "../../runtime/format/dtype.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import { difference } from "./compare.ts";

/** What differs by more than `slack`: steps of an integer type, or a part of the largest float; undefined when nothing does. */
export function stepsApart(actual: Tensor | undefined, expected: Tensor, slack: number): string | undefined {
  if (slack === 0 || isFloat(expected.dtype)) return difference(actual, expected, { absolute: slack, relative: slack });
  if (!actual) return "there is no such output";
  const form = (tensor: Tensor): string => `${tensor.dtype}[${tensor.shape}]`;
  if (form(actual) !== form(expected)) return `expected ${form(expected)}, received ${form(actual)}`;
  for (const [index, value] of expected.data.entries()) {
    const received = actual.data[index];
    if (!(Math.abs(Number(value) - Number(received)) <= slack))
      return `element ${index}: expected ${value}, received ${received}`;
  }
  return undefined;
}
