/**
 * The cost table: how fast each variant of each family runs on a host, measured by `leafcutter profile`.
 * Part of a device profile, an input of the compile: nothing is timed while compiling.
 */

import { type Expression, mapExpression } from "../../runtime/format/expression.ts";
import type { ElementwiseWork } from "./contract.ts";

/** Work (as the family counts it) per nanosecond; where it depends on how much work there is, points by rising work. */
export type Rate = number | readonly { readonly work: number; readonly rate: number }[];

export interface CostTable {
  readonly host: string;
  /**
   * By "family/variant storage" ("matmul/6x8 int8", "conv-i8/4x8 7-bit"), where the storage makes a difference, or "family/variant"
   * for the others. Variants without an entry are not chosen while another has one.
   */
  readonly rates: Readonly<Record<string, Rate>>;
  /** Nanoseconds of entering one step. */
  readonly stepOverhead: number;
  /** Nanoseconds of a run that does nothing: inputs in, outputs out. Default 0. */
  readonly runOverhead?: number;
  /**
   * Bytes per nanosecond that one thread reads from `footprint` bytes which it reads again and again, by rising footprint;
   * the last counts for everything larger. Rates are those of data at hand: a step's bytes come on top, at the bandwidth of
   * what a whole run touches.
   */
  readonly bandwidth?: readonly { readonly footprint: number; readonly rate: number }[];
  /** Absent: elementwise code is estimated from its operations and bytes. */
  readonly elementwise?: ElementwiseCosts;
}

/** Elementwise code whose data lie in the near caches: nanoseconds per point. */
export interface ElementwiseCosts {
  /** A vectorised loop that reads and writes one float32 per point; a loop that is not vectorised; a copy of four bytes. */
  readonly vector: number;
  readonly scalar: number;
  readonly copy: number;
  /** What an operation adds to a vectorised point, by its name in an expression; others count as "add". */
  readonly operations: Readonly<Record<string, number>>;
}

/** Nanoseconds of one point of `expression`. */
export function pointNanoseconds(
  expression: Expression,
  form: ElementwiseWork["form"],
  costs: ElementwiseCosts,
): number {
  if (form === "copy") return costs.copy;
  // Scalar code does one element where vector code does four.
  const lanes = form === "scalar" ? 4 : 1;
  let sum = costs[form];
  mapExpression(expression, (part) => {
    if (part.kind === "unary" || part.kind === "binary")
      sum += lanes * (costs.operations[part.operation] ?? costs.operations.add ?? 0);
    return part;
  });
  return sum;
}

/** Nanoseconds that `work` takes; undefined when the table does not know the variant. `storage`: of the weights. */
export function costOf(
  table: CostTable,
  family: string,
  variant: string,
  work: number,
  storage?: string,
): number | undefined {
  const name = `${family}/${variant}`;
  const rate = (storage === undefined ? undefined : table.rates[`${name} ${storage}`]) ?? table.rates[name];
  return rate === undefined ? undefined : table.stepOverhead + work / rateAt(rate, work);
}

/** Between two points the rate follows the logarithm of the work. */
function rateAt(rate: Rate, work: number): number {
  if (typeof rate === "number") return rate;
  const [first] = rate;
  let below = first ?? { work: 1, rate: 1 };
  for (const point of rate) {
    if (point.work >= work && point.work > below.work) {
      const share = Math.log(Math.max(1, work / below.work)) / Math.log(point.work / below.work);
      return below.rate + share * (point.rate - below.rate);
    }
    below = point;
  }
  return below.rate;
}

/** Bytes per nanosecond of what is read again and again from `footprint` bytes; undefined when the table does not say. */
export function bandwidthAt({ bandwidth = [] }: CostTable, footprint: number): number | undefined {
  return (bandwidth.find((level) => footprint <= level.footprint) ?? bandwidth.at(-1))?.rate;
}
