/** Schedules of integer matrix products. */
import type { Variant } from "../contract.ts";

export interface IntegerMatmulVariant extends Variant {
  /** Rows of A of a tile. */
  readonly rows: number;
  /** Vectors of four columns of a tile, and of a panel. */
  readonly vectors: number;
}

export const integerMatmulVariants: readonly IntegerMatmulVariant[] = [
  { name: "6x8", rows: 6, vectors: 2 },
  { name: "4x8", rows: 4, vectors: 2 },
];
