/**
 * Energy coefficients of this machine: workloads that differ in what they do, each between two readings of the counters,
 * and the non-negative coefficients that explain them best (tier B). Without counters, the published table (tier C).
 */
import { type EnergyCoefficients, publishedEnergy } from "../compiler/budget/energy.ts";
import { nonnegativeLeastSquares } from "../compiler/budget/nonnegative-least-squares.ts";
import { LeafcutterError } from "../runtime/format/diagnostic.ts";
import { type EnergyCounters, unreadable } from "./energy-counter.ts";
import { type CounterOptions, openCounters } from "./energy-counters.ts";
import { estimateText } from "./energy-of-runs.ts";
import { repeat } from "./measure/repeat.ts";

/** What a workload did: seconds, and counts of what costs energy. */
export interface EnergySample {
  readonly seconds: number;
  readonly joules: number;
  readonly float32: number;
  readonly int8: number;
  readonly other: number;
  /** Bytes by level, as `levels` names them. */
  readonly bytes: readonly number[];
  readonly launches: number;
}

export const levels = [
  { name: "second cache", capacity: 512 * 1024 },
  { name: "last cache", capacity: 8 * 1024 * 1024 },
  { name: "memory", capacity: Number.MAX_SAFE_INTEGER },
] as const;

/** Counts are in units of 10^9, so that coefficients are nanojoules and columns comparable. */
const unit = 1e-9;

export function coefficientsOf(samples: readonly EnergySample[], source: string): EnergyCoefficients {
  const rows = samples.map(({ seconds, float32, int8, other, bytes, launches }) =>
    [seconds / unit, float32, int8, other, ...bytes, launches].map((count) => count * unit),
  );
  const joules = samples.map((sample) => sample.joules);
  const [watts = 0, ...picojoules] = nonnegativeLeastSquares(rows, joules).map((value, i) =>
    i === 0 ? value : value * unit * 1e12,
  );
  const [float32 = 0, int8 = 0, other = 0, ...rest] = picojoules;
  const errors = rows.map((row, i) => {
    const predicted = row.reduce(
      (sum, count, k) => sum + count * (k === 0 ? watts : (picojoules[k - 1] as number) / (unit * 1e12)),
      0,
    );
    return Math.max(predicted / (joules[i] as number), (joules[i] as number) / Math.max(1e-12, predicted));
  });
  return {
    tier: "B",
    source,
    band: Number(Math.max(1.05, ...errors).toPrecision(3)),
    idleWatts: watts,
    operations: { float32, int8, other },
    levels: levels.map(({ name, capacity }, i) => ({ name, capacity, perByte: rest[i] ?? 0 })),
    launch: rest[levels.length] ?? 0,
  };
}

/** One workload of a known amount of work a call. */
export interface EnergyWorkload extends Omit<EnergySample, "seconds" | "joules"> {
  call(): void;
}

const secondsEach = 1;

/** `print` says why when counters cannot be read. */
export async function measureEnergy(
  workloads: readonly EnergyWorkload[],
  print: (line: string) => void,
  options: CounterOptions = {},
): Promise<EnergyCoefficients> {
  let counters: EnergyCounters | undefined;
  try {
    counters = await openCounters(options);
    return coefficientsOf(
      await measureWorkloads(workloads, counters),
      `${counters.source} around synthetic workloads in Node`,
    );
  } catch (error) {
    if (!(error instanceof LeafcutterError) || error.code !== "counters-unreadable") throw error;
    print(estimateText(error, publishedEnergy));
    return publishedEnergy;
  } finally {
    counters?.close();
  }
}

async function measureWorkloads(
  workloads: readonly EnergyWorkload[],
  counters: EnergyCounters,
): Promise<readonly EnergySample[]> {
  const samples: EnergySample[] = [];
  for (const workload of workloads) {
    const before = await counters.read();
    const calls = await repeat(async () => workload.call())(1000 * Math.max(secondsEach, counters.leastSeconds));
    const after = await counters.read();
    const joules = after.joules - before.joules;
    if (joules <= 0) throw unreadable(counters.source, "counters that do not move", "Virtual machines may show such.");
    samples.push({
      seconds: (after.milliseconds - before.milliseconds) / 1000,
      joules,
      float32: calls * workload.float32,
      int8: calls * workload.int8,
      other: calls * workload.other,
      bytes: workload.bytes.map((bytes) => calls * bytes),
      launches: calls * workload.launches,
    });
  }
  return samples;
}
