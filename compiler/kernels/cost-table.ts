/**
 * The cost table: how fast each variant of each family runs on a host, measured by `leafcutter profile`.
 * Part of a device profile, an input of the compile: nothing is timed while compiling.
 */

import { type Expression, mapExpression } from "../../runtime/format/expression.ts";
import type { ElementwiseWork } from "./contract.ts";
import { keyOf } from "./expression/memo.ts";

/** Work (as the family counts it) per nanosecond; or nanoseconds of a unit of "work" and of each overhead that the family counts. */
export type Rate = number | Prices;
export type Prices = Readonly<Record<string, number>>;

export interface CostTable {
  readonly host: string;
  /**
   * By "family/variant storage" ("matmul/6x8 int8", "conv-i8/4x8 7-bit"), where the storage makes a difference, or "family/variant"
   * for the others. Variants without an entry are not chosen while another has one.
   */
  readonly rates: Readonly<Record<string, Rate>>;
  /** Nanoseconds of entering one step. */
  readonly stepOverhead: number;
  /** Absent: a run costs its steps and nothing else. */
  readonly run?: RunCosts;
  /**
   * Bytes per nanosecond that one thread reads from `footprint` bytes which it reads again and again, by rising footprint;
   * the last counts for everything larger. Rates are those of the arithmetic: a step's bytes come on top, at the bandwidth
   * of what a whole run touches.
   */
  readonly bandwidth?: readonly { readonly footprint: number; readonly rate: number }[];
  /** Absent: elementwise code is estimated from its operations and bytes. */
  readonly elementwise?: ElementwiseCosts;
  /** What follows a product while its results are at hand. Absent: nothing. */
  readonly epilogue?: EpilogueCosts;
}

/** What a run costs beside its steps, in nanoseconds. */
export interface RunCosts {
  /** Of a run without inputs and outputs. */
  readonly fixed: number;
  /** Of one input or output, by rising size in bytes: a tensor is checked, copied, and allocated for the caller. */
  readonly input: readonly PortCost[];
  readonly output: readonly PortCost[];
  /** Long runs let other work in now and then: how often, and what that takes. */
  readonly slice: { readonly every: number; readonly nanoseconds: number };
}

export interface PortCost {
  readonly bytes: number;
  readonly nanoseconds: number;
}

/** Elementwise code, its data at hand: nanoseconds. */
export interface ElementwiseCosts {
  /** Of a point that is read and written as float32, and of entering the innermost loop. */
  readonly forms: Readonly<Record<ElementwiseWork["form"], { readonly point: number; readonly row: number }>>;
  /** What an operation adds to a vectorised point, by its name in an expression; others count as "add". */
  readonly operations: Readonly<Record<string, number>>;
}

export interface EpilogueCosts {
  /** An operation of a short epilogue, which is applied to the accumulators: nanoseconds per output. */
  readonly inline: number;
  /** Reading and writing the output again, for any other one. */
  readonly pass: number;
  /** As ElementwiseCosts.operations, in such a pass. */
  readonly operations: Readonly<Record<string, number>>;
  /** The same behind an integer product. */
  readonly integer: Readonly<Record<string, number>>;
}

/** Nanoseconds of the operations of `expression` at one point; what occurs twice is computed once. */
export function operationNanoseconds(expression: Expression, operations: Readonly<Record<string, number>>): number {
  const known = new Set<string>();
  let sum = 0;
  mapExpression(expression, (part) => {
    const key = keyOf(part);
    if (known.has(key)) return part;
    known.add(key);
    if (part.kind === "unary" || part.kind === "binary") sum += operations[part.operation] ?? operations.add ?? 0;
    else if (part.kind === "cast" || part.kind === "select") sum += operations.add ?? 0;
    return part;
  });
  return sum;
}

/** Scalar code does one element where vector code does four. */
const lanes = 4;

/** Nanoseconds of elementwise code of so many points and rows. */
export function elementwiseNanoseconds(
  { form, expression }: Pick<ElementwiseWork, "form" | "expression">,
  points: number,
  rows: number,
  { forms, operations }: ElementwiseCosts,
): number {
  const { point, row } = forms[form];
  const each = operationNanoseconds(expression, operations) * (form === "scalar" ? lanes : 1);
  return rows * row + points * (point + each);
}

/** What a family counts: "work", and its overheads. */
export type Counts = Readonly<Record<string, number>> & { readonly work: number };

/** Nanoseconds that a step takes; undefined when the table does not know the variant. `storage`: of the weights. */
export function costOf(
  table: CostTable,
  family: string,
  variant: string,
  counts: Counts,
  storage?: string,
): number | undefined {
  const name = `${family}/${variant}`;
  const rate = (storage === undefined ? undefined : table.rates[`${name} ${storage}`]) ?? table.rates[name];
  if (rate === undefined) return undefined;
  if (typeof rate === "number") return table.stepOverhead + counts.work / rate;
  return Object.entries(rate).reduce((sum, [count, price]) => sum + price * (counts[count] ?? 0), table.stepOverhead);
}

/** Bytes per nanosecond of what is read again and again from `footprint` bytes; undefined when the table does not say. */
export function bandwidthAt({ bandwidth = [] }: CostTable, footprint: number): number | undefined {
  const points = bandwidth.map(({ footprint, rate }) => ({ at: footprint, value: 1 / rate }));
  const perByte = between(points, footprint, Math.log);
  return perByte === undefined ? undefined : 1 / perByte;
}

/** What a run costs beside its steps, which take `steps` nanoseconds. */
export function runNanoseconds(
  { run }: CostTable,
  inputs: readonly number[],
  outputs: readonly number[],
  steps: number,
): number {
  if (!run) return 0;
  const portsOf = (sizes: readonly number[], costs: readonly PortCost[]): number => {
    const points = costs.map(({ bytes, nanoseconds }) => ({ at: bytes, value: nanoseconds }));
    const last = points.at(-1);
    return sizes.reduce((sum, bytes) => {
      const beyond = last && bytes > last.at ? bytes / last.at : 1;
      return sum + beyond * (between(points, bytes, (size) => size) ?? 0);
    }, 0);
  };
  const slices = Math.floor(steps / run.slice.every);
  return run.fixed + portsOf(inputs, run.input) + portsOf(outputs, run.output) + slices * run.slice.nanoseconds;
}

/** Linear between two points by `scale`, constant outside. */
function between(
  points: readonly { readonly at: number; readonly value: number }[],
  at: number,
  scale: (at: number) => number,
): number | undefined {
  const above = points.findIndex((point) => point.at >= at);
  const [low, high] = [points[above - 1], points[above]];
  if (!high) return points.at(-1)?.value;
  if (!low) return high.value;
  const share = (scale(at) - scale(low.at)) / (scale(high.at) - scale(low.at));
  return low.value + share * (high.value - low.value);
}
