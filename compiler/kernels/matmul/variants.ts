/** Schedules of matrix products. */
import type { Variant } from "../contract.ts";

export interface MatmulVariant extends Variant {
  /** Rows of A of a tile. */
  readonly rows: number;
  /** Whether the range is panels of B (for exactly `rows` rows, B streamed once) or rows of A. */
  readonly overPanels: boolean;
  /** Accumulators that consecutive steps of k take in turn. */
  readonly sets: number;
}

/** Output columns of a panel; what a B computed at run time is laid out in. */
export const matmulWidth = 8;

export const matmulVariants: readonly MatmulVariant[] = [
  { name: "6x8", rows: 6, overPanels: false, sets: 1 },
  { name: "4x8", rows: 4, overPanels: false, sets: 1 },
  { name: "vector 1", rows: 1, overPanels: true, sets: 4 },
  { name: "vector 2", rows: 2, overPanels: true, sets: 2 },
  { name: "vector 3", rows: 3, overPanels: true, sets: 2 },
  { name: "vector 4", rows: 4, overPanels: true, sets: 1 },
  { name: "vector 5", rows: 5, overPanels: true, sets: 1 },
];
