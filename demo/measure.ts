/**
 * Times engines against each other: rounds of a few runs each, taking turns and swapping who goes first, so that
 * whatever else the machine does falls on all of them alike.
 */

export interface Contender {
  /** One run; resolves with the milliseconds that the engine took inside its worker. */
  run(): Promise<number>;
}

export interface Times {
  /** Milliseconds inside the worker. */
  readonly engine: readonly number[];
  /** Milliseconds from the page's call to its answer. */
  readonly roundTrip: readonly number[];
}

export interface MeasureOptions {
  /** Runs of each contender. */
  readonly runs: number;
  readonly signal: AbortSignal;
  /** Called after every round with what there is, in the order of the contenders. */
  onRound(times: readonly Times[]): void;
}

const warmUpMilliseconds = 150;
const warmUpRuns = 4;
const roundMilliseconds = 40;
const longestMilliseconds = 30_000;

async function warmUp({ run }: Contender, signal: AbortSignal): Promise<number> {
  const start = performance.now();
  let last = 0;
  for (let count = 0; count < warmUpRuns || performance.now() - start < warmUpMilliseconds; count++) {
    if (signal.aborted) break;
    last = await run();
    if (performance.now() - start > 20 * warmUpMilliseconds) break;
  }
  return last;
}

/** Ends early, with fewer runs, when `signal` aborts or half a minute is over. */
export async function measure(
  contenders: readonly Contender[],
  { runs, signal, onRound }: MeasureOptions,
): Promise<void> {
  const start = performance.now();
  const takes: number[] = [];
  for (const contender of contenders) takes.push(await warmUp(contender, signal));
  const perRound = Math.max(1, Math.min(20, Math.round(roundMilliseconds / Math.max(0.1, ...takes))));
  const times = contenders.map(() => ({ engine: [] as number[], roundTrip: [] as number[] }));

  for (let round = 0; round * perRound < runs; round++) {
    const turns = contenders.map((contender, index) => ({ contender, own: times[index] }));
    if (round % 2 === 1) turns.reverse();
    for (const { contender, own } of turns) {
      for (let i = 0; i < perRound && (own?.engine.length ?? runs) < runs; i++) {
        if (signal.aborted || performance.now() - start > longestMilliseconds) return;
        const called = performance.now();
        const engine = await contender.run();
        own?.roundTrip.push(performance.now() - called);
        own?.engine.push(engine);
      }
    }
    onRound(times);
  }
}
