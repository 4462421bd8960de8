/** Schedules of depthwise convolutions. */
import type { Variant } from "../contract.ts";

export interface DepthwiseVariant extends Variant {
  /** Neighbouring output pixels of a tile: their windows share loads. */
  readonly pixels: number;
  /** Vectors of four channels side by side. */
  readonly vectors: number;
  /** Taps of a kernel row are written out, at most this many; beyond, the row is a loop. */
  readonly unrolledTaps: number;
}

/** Channels of a weight panel. */
export const depthwiseWidth = 4;

export const depthwiseVariants: readonly DepthwiseVariant[] = [{ name: "4x8", pixels: 4, vectors: 2, unrolledTaps: 5 }];
