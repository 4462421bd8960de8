/** Schedules of recurrent layers. */
import type { Variant } from "../contract.ts";

export interface RecurrentVariant extends Variant {
  /** Batch rows that share one pass over a panel; what is left of a batch takes them one by one. */
  readonly rows: number;
}

export const recurrentVariants: readonly RecurrentVariant[] = [
  { name: "1 row", rows: 1 },
  { name: "2 rows", rows: 2 },
  { name: "3 rows", rows: 3 },
];
