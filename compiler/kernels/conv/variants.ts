/** Schedules of dense convolutions: pixels by output channels of one tile. */
import type { Variant } from "../contract.ts";

export interface ConvVariant extends Variant {
  /** Output pixels of a tile. */
  readonly rows: number;
  /** Vectors of four output channels of a tile, and of a weight panel. */
  readonly vectors: number;
}

export const convVariants: readonly ConvVariant[] = [{ name: "6x8", rows: 6, vectors: 2 }];
