/** How values are distributed: counts in equal bins. */

export interface Histogram {
  readonly low: number;
  readonly high: number;
  readonly before: readonly number[];
  readonly after: readonly number[];
}

const bins = 48;

/** Of the same tensor before and after rounding, over the range of both. Values that are not finite are not counted. */
export function histogramOf(before: Float32Array, after: Float32Array): Histogram {
  let [low, high] = [Infinity, -Infinity];
  for (const values of [before, after])
    for (const value of values) {
      if (!Number.isFinite(value)) continue;
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  if (low > high) [low, high] = [0, 0];
  const counts = (values: Float32Array): readonly number[] => {
    const result = new Array<number>(bins).fill(0);
    const scale = high > low ? bins / (high - low) : 0;
    for (const value of values) {
      if (!Number.isFinite(value)) continue;
      const bin = Math.min(bins - 1, Math.floor((value - low) * scale));
      result[bin] = (result[bin] as number) + 1;
    }
    return result;
  };
  return { low, high, before: counts(before), after: counts(after) };
}
