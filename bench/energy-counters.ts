/**
 * Energy counters of the machine, which count everything that runs on it: the processor's by powercap (Linux) or powermetrics
 * (macOS), an NVIDIA card's by nvidia-smi for what runs on WebGPU.
 */
import type { EnergyCounters } from "./energy-counter.ts";
import { firstThatExists, onPath } from "./executable.ts";
import { openNvidia, openPowermetrics } from "./power-samples.ts";
import { openPowercap, powercap } from "./powercap.ts";

export interface CounterOptions {
  /** Folder of the powercap domains. */
  readonly powercap?: string;
  /** Whether the work is done by a graphics card. */
  readonly graphics?: boolean;
}

/** Throws counters-unreadable, which says which and what to do. */
export async function openCounters(options: CounterOptions = {}): Promise<EnergyCounters> {
  const opened: EnergyCounters[] = [];
  const [powermetrics, nvidia] = ["powermetrics", "nvidia-smi"].map((name) => firstThatExists(onPath([name])));
  let reason: unknown;
  try {
    const isMac = powermetrics !== undefined && options.powercap === undefined;
    opened.push(await (isMac ? openPowermetrics(powermetrics) : openPowercap(options.powercap ?? powercap)));
  } catch (error) {
    reason = error;
  }
  if (options.graphics && nvidia !== undefined) {
    try {
      opened.push(await openNvidia(nvidia));
    } catch (error) {
      reason ??= error;
    }
  }
  if (opened.length > 0) return sumOf(opened);
  throw reason;
}

function sumOf(counters: readonly EnergyCounters[]): EnergyCounters {
  const [only, ...others] = counters;
  if (only !== undefined && others.length === 0) return only;
  return {
    source: counters.map(({ source }) => source).join(" + "),
    leastSeconds: Math.max(...counters.map(({ leastSeconds }) => leastSeconds)),
    read: async () => {
      const readings = await Promise.all(counters.map((counter) => counter.read()));
      const milliseconds = readings.reduce((sum, reading) => sum + reading.milliseconds, 0) / readings.length;
      return { joules: readings.reduce((sum, reading) => sum + reading.joules, 0), milliseconds };
    },
    close: () => {
      for (const counter of counters) counter.close();
    },
  };
}
