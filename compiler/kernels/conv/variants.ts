/** Schedules of dense convolutions: pixels by output channels of one tile. */
import type { Variant } from "../contract.ts";

export interface ConvVariant extends Variant {
  /** Output pixels of a tile. */
  readonly rows: number;
  /** Vectors of four output channels of a tile, and of a weight panel. */
  readonly vectors: number;
  /** Whether 3x3 windows go through Winograd's transform, on panels of the direct form. */
  readonly winograd?: true;
}

/** 6x8 fills the registers of x86; the others waste less on small images or few channels. */
export const convVariants: readonly ConvVariant[] = [
  { name: "6x8", rows: 6, vectors: 2 },
  { name: "5x8", rows: 5, vectors: 2 },
  { name: "4x8", rows: 4, vectors: 2 },
  { name: "2x16", rows: 2, vectors: 4 },
  { name: "8x4", rows: 8, vectors: 1 },
  { name: "winograd", rows: 6, vectors: 2, winograd: true },
];
