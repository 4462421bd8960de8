/** Schedules of integer depthwise convolutions. */
import type { Variant } from "../contract.ts";

export interface IntegerDepthwiseVariant extends Variant {
  /** Neighbouring output pixels of a tile: their windows share loads and the pairing of taps. */
  readonly pixels: number;
  /** Widths of kernels that it is for: wide ones need the registers for their taps. */
  readonly kernelWidths: readonly [least: number, most: number];
}

/** Taps of a kernel row are written out, at most this many; beyond, the row is a loop. */
export const unrolledTaps = 5;

/** Channels of a weight panel, which are taken at a time. */
export const panelChannels = 8;

export const integerDepthwiseVariants: readonly IntegerDepthwiseVariant[] = [
  { name: "4x8", pixels: 4, kernelWidths: [1, 3] },
  { name: "2x8", pixels: 2, kernelWidths: [4, Infinity] },
];
