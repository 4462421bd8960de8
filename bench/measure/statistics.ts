/** Order statistics of samples. Percentiles interpolate linearly between the two nearest ranks (method 7 of Hyndman and Fan). */

export function percentile(samples: readonly number[], fraction: number): number {
  if (samples.length === 0) throw new RangeError("a percentile needs a sample");
  const sorted = [...samples].sort((left, right) => left - right);
  const rank = (sorted.length - 1) * fraction;
  const low = sorted[Math.floor(rank)] ?? 0;
  const high = sorted[Math.ceil(rank)] ?? low;
  return low + (high - low) * (rank - Math.floor(rank));
}

export const median = (samples: readonly number[]): number => percentile(samples, 0.5);

/** Undefined for no values. */
export function geometricMean(values: readonly number[]): number | undefined {
  if (values.length === 0) return undefined;
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

export interface Latency {
  readonly medianMs: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  /** Runs a second, back to back. */
  readonly throughput: number;
  readonly samples: number;
}

/** What a list of milliseconds a run says. */
export function latencyOf(samples: readonly number[]): Latency {
  const total = samples.reduce((sum, value) => sum + value, 0);
  return {
    medianMs: median(samples),
    p95Ms: percentile(samples, 0.95),
    p99Ms: percentile(samples, 0.99),
    throughput: total > 0 ? (1000 * samples.length) / total : 0,
    samples: samples.length,
  };
}
