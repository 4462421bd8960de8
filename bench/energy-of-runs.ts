/**
 * Energy of one run by counters (tier A): the machine at rest, then windows full of runs, then at rest again. Counters see all
 * that runs on the machine, so what it takes at rest is told apart; nothing else should run meanwhile.
 */
import { type EnergyCoefficients, estimatedEnergy, type RunEnergy } from "../compiler/budget/energy.ts";
import { LeafcutterError } from "../runtime/format/diagnostic.ts";
import type { Session } from "../runtime/index.ts";
import { type EnergyCounters, unreadable } from "./energy-counter.ts";
import { type CounterOptions, openCounters } from "./energy-counters.ts";
import { type RunFor, repeat } from "./measure/repeat.ts";
import { median } from "./measure/statistics.ts";

export interface WindowOptions {
  /** Of a window, at least; counters that are read seldom make it longer. */
  readonly seconds?: number;
  readonly windows?: number;
}

/** Counters themselves are right within a few per cent. */
const leastBand = 1.05;

interface Window {
  readonly joules: number;
  readonly seconds: number;
  readonly runs: number;
}

/** Rejects with counters-unreadable when they go away, or do not move. */
export async function measureRuns(
  counters: EnergyCounters,
  runFor: RunFor,
  { seconds = 1, windows: count = 5 }: WindowOptions = {},
): Promise<RunEnergy> {
  const length = 1000 * Math.max(seconds, counters.leastSeconds);
  const window = async (work: RunFor): Promise<Window> => {
    const before = await counters.read();
    const runs = await work(length);
    const after = await counters.read();
    return {
      joules: after.joules - before.joules,
      seconds: (after.milliseconds - before.milliseconds) / 1000,
      runs,
    };
  };
  const rest: RunFor = async (milliseconds) => {
    await new Promise((resolve) => setTimeout(resolve, milliseconds));
    return 0;
  };
  // Engines leave their baseline code, processors their lowest clock.
  await runFor(length / 2);
  const idle = [await window(rest)];
  const busy: Window[] = [];
  for (let i = 0; i < count; i++) busy.push(await window(runFor));
  idle.push(await window(rest));
  if (busy.some(({ joules }) => joules <= 0))
    throw unreadable(counters.source, "counters that do not move", "Virtual machines may show such.");
  const idleWatts = median(idle.map(({ joules, seconds: time }) => joules / time));
  const each = busy.map(({ joules, runs }) => joules / runs);
  const above = busy.map(({ joules, seconds: time, runs }) => (joules - idleWatts * time) / runs);
  return {
    joules: median(each),
    aboveIdle: Math.max(0, median(above)),
    tier: "A",
    band: Math.max(leastBand, ...each.map((joules) => Math.max(joules / median(each), median(each) / joules))),
    source: counters.source,
  };
}

export interface SessionEnergyOptions extends CounterOptions, WindowOptions {
  /** For an estimate where there are no counters. */
  readonly coefficients: EnergyCoefficients;
}

export interface SessionEnergy {
  readonly energy: RunEnergy;
  /** Why it is only an estimate. */
  readonly reason?: LeafcutterError;
}

/** Energy of `run` of a session in this thread: by counters, else by what its steps do. */
export async function energyOfSession(
  session: Session,
  run: () => Promise<unknown>,
  options: SessionEnergyOptions,
): Promise<SessionEnergy> {
  const { variant } = await session.stats();
  try {
    const counters = await openCounters({ ...options, graphics: variant === "webgpu" });
    try {
      return { energy: await measureRuns(counters, repeat(run), options) };
    } finally {
      counters.close();
    }
  } catch (error) {
    if (!(error instanceof LeafcutterError) || error.code !== "counters-unreadable") throw error;
    await session.stats({ profile: true });
    await run();
    const { steps = [] } = await session.stats();
    return { energy: estimatedEnergy(steps, options.coefficients), reason: error };
  }
}

/** One line: why joules are not measured, which are shown instead, and what to do. */
export function estimateText(reason: LeafcutterError, { tier, source }: EnergyCoefficients): string {
  const { where, received, advice } = reason.diagnostic;
  return `no counters of energy (${where}: ${received}): estimates of tier ${tier} instead, by ${source}. ${advice ?? ""}`.trim();
}
