/** Schedules of integer matrix products. */
import type { Variant } from "../contract.ts";

export interface IntegerMatmulVariant extends Variant {
  /** Rows of A of a tile. */
  readonly rows: number;
  /** Vectors of four columns of a tile, and of a panel. */
  readonly vectors: number;
  /** Whether the range is panels of B (for exactly `rows` rows, B streamed once) or rows of A. */
  readonly overPanels: boolean;
}

export const integerMatmulVariants: readonly IntegerMatmulVariant[] = [
  { name: "4x8", rows: 4, vectors: 2, overPanels: false },
  { name: "2x16", rows: 2, vectors: 4, overPanels: false },
  { name: "vector 1", rows: 1, vectors: 2, overPanels: true },
  { name: "vector 2", rows: 2, vectors: 2, overPanels: true },
  { name: "vector 3", rows: 3, vectors: 2, overPanels: true },
  { name: "vector 4", rows: 4, vectors: 2, overPanels: true },
];
