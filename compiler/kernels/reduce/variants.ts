/** Schedules of the reduce family. */
import type { Variant } from "../contract.ts";

export interface ReduceVariant extends Variant {
  /** "reduced": along contiguous elements; "inner": neighbouring results side by side. */
  readonly vectorised: "reduced" | "inner";
}

export const reduceVariants: readonly ReduceVariant[] = [
  { name: "rows", vectorised: "reduced" },
  { name: "columns", vectorised: "inner" },
];

/** Results of one iteration of the range when "inner" is vectorised. */
export const columnBlock = 16;
