/**
 * Times several contenders in turns, so that whatever else the machine does hits all of them: rounds of A B A B…,
 * each a burst of runs of one contender. Warm-up is apart. Every sample is the milliseconds of one run (of the mean of
 * `runsPerSample` when a single run is too short for the clock).
 */

export interface Contender {
  readonly run: () => Promise<unknown>;
}

export interface InterleaveOptions {
  /** Time for all rounds of all contenders; the minimum of samples may exceed it. */
  readonly budgetMs: number;
  readonly rounds: number;
  readonly now?: () => number;
}

export interface Samples {
  readonly milliseconds: readonly number[];
  readonly runsPerSample: number;
}

export const minimumRounds = 5;
export const minimumSamples = 30;
/** Clock steps are 5 µs in an isolated page: a sample is at least twenty. */
const shortestSampleMs = 0.1;
const warmUpMs = 400;
const leastWarmUpRuns = 3;
const mostWarmUpRuns = 100;
const mostSamplesInBurst = 1000;

/** Runs until the engine has left its baseline code; returns the milliseconds of one run at the end. */
async function warmUp({ run }: Contender, now: () => number): Promise<number> {
  const start = now();
  let last = start;
  let estimate = Number.POSITIVE_INFINITY;
  for (let runs = 0; runs < leastWarmUpRuns || (now() - start < warmUpMs && runs < mostWarmUpRuns); runs++) {
    await run();
    const time = now();
    estimate = Math.min(estimate, time - last);
    last = time;
  }
  return Math.max(estimate, 1e-4);
}

/** One list of samples per contender, in their order. */
export async function interleave(
  contenders: readonly Contender[],
  { budgetMs, rounds: wantedRounds, now = () => performance.now() }: InterleaveOptions,
): Promise<readonly Samples[]> {
  const rounds = Math.max(minimumRounds, wantedRounds);
  const plans: {
    readonly run: Contender["run"];
    readonly burst: number;
    readonly inner: number;
    readonly out: number[];
  }[] = [];
  for (const contender of contenders) {
    const estimate = await warmUp(contender, now);
    const inner = Math.max(1, Math.ceil(shortestSampleMs / estimate));
    const affordable = Math.floor(budgetMs / (rounds * contenders.length) / (estimate * inner));
    const burst = Math.min(mostSamplesInBurst, Math.max(Math.ceil(minimumSamples / rounds), affordable));
    plans.push({ run: contender.run, burst, inner, out: [] });
  }
  for (let round = 0; round < rounds; round++) {
    for (const { run, burst, inner, out } of plans) {
      for (let sample = 0; sample < burst; sample++) {
        const start = now();
        for (let repeat = 0; repeat < inner; repeat++) await run();
        out.push((now() - start) / inner);
      }
    }
  }
  return plans.map(({ out, inner }) => ({ milliseconds: out, runsPerSample: inner }));
}
