/**
 * Counters made of power that a program prints several times a second: nvidia-smi and macOS's powermetrics. A reading waits for
 * the sample after it and interpolates.
 */
import { createInterface } from "node:readline";
import { type EnergyCounters, unreadable } from "./energy-counter.ts";
import { startGroup } from "./process-tree.ts";

interface PowerProgram {
  readonly path: string;
  readonly source: string;
  readonly arguments: readonly string[];
  readonly sampleSeconds: number;
  /** Watts by what draws them; nothing for lines that say something else. */
  readonly parse: (line: string) => { readonly part: string; readonly watts: number } | undefined;
  readonly advice: string;
}

const windowSamples = 20;
/** A program that says nothing for so long will not. */
const silenceMs = 10_000;

/** Power of one part over time. A sample stands for the time since the one before. */
class PartEnergy {
  readonly #times: number[] = [];
  readonly #joules: number[] = [];

  add(watts: number, at: number): void {
    const before = this.#times.at(-1) ?? at;
    this.#joules.push((this.#joules.at(-1) ?? 0) + (watts * (at - before)) / 1000);
    this.#times.push(at);
  }

  reaches(at: number): boolean {
    return (this.#times.at(-1) ?? Number.NEGATIVE_INFINITY) >= at;
  }

  /** Up to a moment that it reaches. */
  joulesAt(at: number): number {
    const next = this.#times.findIndex((time) => time >= at);
    if (next <= 0) return 0;
    const [from, to] = [this.#times[next - 1] as number, this.#times[next] as number];
    const [low, high] = [this.#joules[next - 1] as number, this.#joules[next] as number];
    return low + ((high - low) * (at - from)) / (to - from);
  }
}

const nvidiaSampleMs = 100;
const powermetricsSampleMs = 200;

/** Cards' own power meters, all cards together. Throws counters-unreadable. */
export const openNvidia = (path: string): Promise<EnergyCounters> =>
  open({
    path,
    source: "graphics cards by nvidia-smi",
    arguments: ["--query-gpu=index,power.draw", "--format=csv,noheader,nounits", `--loop-ms=${nvidiaSampleMs}`],
    sampleSeconds: nvidiaSampleMs / 1000,
    parse: (line) => {
      const [, part = "", watts] = /^\s*(\d+)\s*,\s*([\d.]+)\s*$/.exec(line) ?? [];
      return watts === undefined ? undefined : { part, watts: Number(watts) };
    },
    advice: "The card must have a power meter, and its driver must run.",
  });

/** Processor and graphics of a Mac. Throws counters-unreadable. */
export const openPowermetrics = (path: string): Promise<EnergyCounters> =>
  open({
    path,
    source: "processor and graphics by powermetrics",
    arguments: ["--samplers", "cpu_power,gpu_power", "--sample-rate", `${powermetricsSampleMs}`, "--buffer-size", "1"],
    sampleSeconds: powermetricsSampleMs / 1000,
    parse: (line) => {
      const [, watts, unit] =
        /^\s*(?:Combined Power|Package Power|Intel energy model derived package power)[^:]*:\s*([\d.]+)\s*(m?)W\s*$/.exec(
          line,
        ) ?? [];
      return watts === undefined ? undefined : { part: "all", watts: Number(watts) / (unit === "m" ? 1000 : 1) };
    },
    advice: "powermetrics needs root: run with sudo.",
  });

async function open({
  path,
  source,
  arguments: args,
  sampleSeconds,
  parse,
  advice,
}: PowerProgram): Promise<EnergyCounters> {
  const { child, kill } = startGroup(path, args, { stdio: ["ignore", "pipe", "pipe"] });
  const parts = new Map<string, PartEnergy>();
  let said = "";
  let ended: string | undefined;
  let wake = (): void => undefined;
  const note = (line: string): void => {
    said = `${said}${line}\n`.slice(-300);
  };
  const end = (reason: string): void => {
    ended ??= said.trim() === "" ? reason : `${reason}: ${said.trim().replaceAll("\n", "; ")}`;
    wake();
  };
  if (child.stdout)
    createInterface({ input: child.stdout }).on("line", (line) => {
      const sample = parse(line);
      if (sample === undefined) return note(line);
      const part = parts.get(sample.part) ?? new PartEnergy();
      parts.set(sample.part, part);
      part.add(sample.watts, performance.now());
      wake();
    });
  child.stderr?.on("data", (text: Buffer) => note(text.toString()));
  child.once("error", (error) => end(error.message));
  child.once("close", (code) => end(`it ended with ${code}`));

  const sampled = async (at: number): Promise<void> => {
    const deadline = performance.now() + silenceMs;
    while (parts.size === 0 || [...parts.values()].some((part) => !part.reaches(at))) {
      const left = deadline - performance.now();
      if (ended === undefined && left > 0) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, left);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
        continue;
      }
      kill();
      end("no sample of power in ten seconds");
      throw unreadable(path, ended ?? "", advice);
    }
  };
  const read = async (): Promise<{ readonly joules: number; readonly milliseconds: number }> => {
    const milliseconds = performance.now();
    await sampled(milliseconds);
    return {
      joules: [...parts.values()].reduce((sum, part) => sum + part.joulesAt(milliseconds), 0),
      milliseconds,
    };
  };
  // The first sample only starts the count.
  await read();
  return { source, leastSeconds: windowSamples * sampleSeconds, read, close: kill };
}
