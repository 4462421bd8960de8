/** Schedules of transposed convolutions: output pixels of one phase by output channels of one tile. */
import type { Variant } from "../contract.ts";
import type { TileShape } from "../tile/multiply.ts";

export interface ConvTransposeVariant extends Variant, TileShape {}

export const convTransposeVariants: readonly ConvTransposeVariant[] = [
  { name: "6x8", rows: 6, vectors: 2 },
  { name: "4x8", rows: 4, vectors: 2 },
];
