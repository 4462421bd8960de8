/** Schedules of integer convolutions: pixels by output channels of one tile. */
import type { Variant } from "../contract.ts";

export interface IntegerConvVariant extends Variant {
  /** Output pixels of a tile. */
  readonly rows: number;
  /** Vectors of four output channels of a tile, and of a weight panel. */
  readonly vectors: number;
  /** Whether 3x3 windows go through Winograd's transform, on panels of the direct form. */
  readonly winograd?: true;
  /** Whether the range is panels, each streamed once for the only pixel of a 1x1 window. */
  readonly overPanels?: true;
}

export const integerConvVariants: readonly IntegerConvVariant[] = [
  { name: "4x8", rows: 4, vectors: 2 },
  { name: "2x16", rows: 2, vectors: 4 },
  { name: "8x4", rows: 8, vectors: 1 },
  { name: "winograd", rows: 4, vectors: 2, winograd: true },
  { name: "vector 1", rows: 1, vectors: 2, overPanels: true },
];
