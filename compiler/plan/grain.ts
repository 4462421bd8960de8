/**
 * How finely several threads may divide a step: in parts that take long enough to be worth waiting for one another.
 * Decided at the bounds of the symbols, from the cost table, or from operations and bytes where it knows nothing.
 */
import { undivided } from "../../runtime/format/program.ts";
import type { Dim } from "../graph/dimension.ts";
import type { BoundStep } from "../kernels/contract.ts";

/** Least time of a part: a barrier takes 0.5 µs, and data of another core has to come over. */
const leastNanoseconds = 4000;

/** What is assumed of steps without a measured rate. */
const operationsPerNanosecond = 4;
const bytesPerNanosecond = 8;

export interface Division {
  /** Estimated time of the whole step on one thread. */
  readonly nanoseconds: number;
  /** As KernelStep.grain. */
  readonly grain?: number;
}

/** `measured` is the cost table's word on the step, in nanoseconds. */
export function divisionOf(step: BoundStep, measured: number | undefined, upper: (dim: Dim) => number): Division {
  const range = upper(step.range);
  const estimated = Math.max(upper(step.flops) / operationsPerNanosecond, upper(step.bytes) / bytesPerNanosecond);
  const nanoseconds = measured ?? estimated;
  const { granule = 1 } = step;
  if (granule === 0 || range === 0) return { nanoseconds };
  const iterations = Math.max(1, (leastNanoseconds * range) / Math.max(1, nanoseconds));
  const grain = Math.min(Math.ceil(iterations / granule) * granule, undivided);
  return grain < range ? { nanoseconds, grain } : { nanoseconds };
}
