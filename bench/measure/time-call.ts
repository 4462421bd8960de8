/** Times a function again and again: after a warm-up, so many calls at a time that the clock can tell. */

export interface Effort {
  readonly warmUpMs: number;
  readonly measureMs: number;
  readonly leastSamples: number;
}

/** Clock steps are 5 µs in an isolated page. */
const shortestSampleMs = 0.5;

/** The value below which that share of the samples lies. */
export function quantileOf(samples: readonly number[], quantile: number): number {
  const sorted = samples.toSorted((left, right) => left - right);
  return sorted[Math.floor(quantile * (sorted.length - 1))] ?? 0;
}

/** Nanoseconds of one call. */
export interface CallTime {
  /** The least. */
  readonly nanoseconds: number;
  /** The median. */
  readonly ordinary: number;
}

export function timeCall(call: () => void, { warmUpMs, measureMs, leastSamples }: Effort): CallTime {
  const start = performance.now();
  let calls = 0;
  for (let elapsed = 0; elapsed < warmUpMs; elapsed = performance.now() - start) {
    call();
    calls++;
  }
  const estimate = (performance.now() - start) / calls;
  const inner = Math.max(1, Math.ceil(shortestSampleMs / estimate));
  const samples: number[] = [];
  const end = performance.now() + measureMs;
  while (samples.length < leastSamples || performance.now() < end) {
    const before = performance.now();
    for (let repeat = 0; repeat < inner; repeat++) call();
    samples.push((performance.now() - before) / inner);
  }
  return { nanoseconds: Math.min(...samples) * 1e6, ordinary: quantileOf(samples, 0.5) * 1e6 };
}
