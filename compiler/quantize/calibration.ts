/** What is known about the activations of a graph, by the name of the value: the result of calibration. */

/** Both ends included; lower <= 0 <= upper, so that zero (and with it padding) is exact. */
export interface ValueRange {
  readonly lower: number;
  readonly upper: number;
}

/** Per index of the last axis: channels of NHWC, columns of a product. */
export interface ChannelStatistics {
  readonly mean: Float64Array;
  /** Mean of the squares. */
  readonly square: Float64Array;
  /** At most 0. */
  readonly lower: Float64Array;
  /** At least 0. */
  readonly upper: Float64Array;
}

export interface Calibration {
  readonly ranges: ReadonlyMap<string, ValueRange>;
  readonly channels: ReadonlyMap<string, ChannelStatistics>;
  /** Mean of x_i x_j over the last axis, row-major, of the inputs of products. */
  readonly moments?: ReadonlyMap<string, Float64Array>;
  /** How it came about, for reports: on how many of what. */
  readonly samples: number;
  readonly source: "samples" | "own text" | "batch norms" | "synthetic inputs";
}

/** How a quantised activation is stored: value = scale * (q - zero), q in 0..2^bits - 1. */
export interface ActivationScale {
  readonly scale: number;
  readonly zero: number;
  readonly bits: 7 | 8;
}

/** Asymmetric: the range is spread over all codes, and 0 falls on one of them. */
export function activationScale({ lower, upper }: ValueRange, bits: 7 | 8): ActivationScale {
  const levels = 2 ** bits - 1;
  const low = Math.min(0, lower);
  const high = Math.max(0, upper);
  const scale = Math.fround((high - low) / levels);
  // Nothing but zeros, or too small for float32.
  if (!(scale > 0)) return { scale: 1, zero: 0, bits };
  return { scale, zero: Math.min(levels, Math.max(0, Math.round(-low / scale))), bits };
}

export const unionOf = (ranges: readonly ValueRange[]): ValueRange => ({
  lower: Math.min(0, ...ranges.map(({ lower }) => lower)),
  upper: Math.max(0, ...ranges.map(({ upper }) => upper)),
});
