/**
 * One model on one host: opens Leafcutter and the peers in this thread, compares what they compute, then times them in
 * turns. The same code runs in a dedicated Worker of a page and in a process of Node; everything comes from the
 * bench's server.
 */
import type { Backend, Stats } from "../../runtime/index.ts";
import { type Agreement, compareOutputs } from "../compare.ts";
import type { EngineName, OpenEngine } from "../page/engine.ts";
import { type OpenLeafcutter, openLeafcutter } from "../page/leafcutter.ts";
import { type OnnxruntimeModule, openOnnxruntime } from "../page/onnxruntime.ts";
import { openTfjs, type TfjsModule } from "../page/tfjs.ts";
import type { OutputSteps } from "../quantisation-steps.ts";
import { decodeTensors, type Tensors } from "../tensor-bundle.ts";
import { interleave } from "./interleave.ts";
import { type Latency, latencyOf, median } from "./statistics.ts";
import { isBoundByWeights, measureWeightStream, type WeightStream } from "./weight-stream.ts";

export type PeerName = Exclude<EngineName, "leafcutter">;

/** Everything is an address below `base`. */
export interface Job {
  readonly base: string;
  /** Absent to measure the peers alone. */
  readonly package?: string;
  readonly backend: Backend;
  readonly model?: string;
  /** model.json of the twin for tfjs. */
  readonly twin?: string;
  readonly peers: readonly PeerName[];
  /** How many threads Leafcutter and onnxruntime-web run on: each is measured on each of these. */
  readonly threads: readonly number[];
  readonly inputs: string;
  /** Outputs that a data set expects. */
  readonly expected?: string;
  /** The package's weights are rounded by intent: its outputs differ, so it has an error but no verdict and no ratio. */
  readonly rounded?: boolean;
  /** How the outputs of a quantised model are graded. */
  readonly steps?: OutputSteps;
  readonly rounds: number;
  readonly budgetMs: number;
}

export interface Importers {
  readonly onnxruntime: (base: string, threads: number) => Promise<OnnxruntimeModule>;
  readonly tfjs: (base: string) => Promise<TfjsModule>;
}

export type EngineResult =
  | { readonly engine: EngineName; readonly threads: number; readonly status: "failed"; readonly reason: string }
  | {
      readonly engine: EngineName;
      readonly threads: number;
      readonly status: "ok" | "wrong";
      /** Why `wrong`. */
      readonly reason?: string;
      readonly variant: string;
      readonly latency: Latency;
      readonly runsPerSample: number;
      readonly maxError: number | null;
      /** Whether the outputs agree with Leafcutter's: only then is there a ratio. */
      readonly agrees: boolean;
    };

export interface JobResult {
  readonly engines: readonly EngineResult[];
  /** Leafcutter's own account of the first number of threads, with a profile of its steps. */
  readonly stats?: Stats;
  /** Of a model that is bound by its weights. */
  readonly weightStream?: WeightStream;
}

export async function fetchBytes(address: string): Promise<Uint8Array> {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address}: HTTP status ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

export interface Judged {
  readonly opened: OpenEngine;
  readonly outputs: Tensors;
  readonly status: "ok" | "wrong";
  readonly reason?: string;
  readonly maxError: number | null;
  readonly agrees: boolean;
}

/**
 * Who is right: a data set's outputs alone decide where there are some; otherwise the peers are the reference, and
 * Leafcutter is wrong where it differs from one of them, unless its weights are rounded by intent.
 */
export function judge(
  candidates: readonly { readonly opened: OpenEngine; readonly outputs: Tensors }[],
  expected: Tensors | undefined,
  rounded: boolean,
  steps?: OutputSteps,
): readonly Judged[] {
  const own = candidates.find(({ opened }) => opened.engine === "leafcutter");
  const pairs = new Map<OpenEngine, Agreement>();
  if (own !== undefined) {
    for (const { opened, outputs } of candidates) {
      if (opened !== own.opened) pairs.set(opened, compareOutputs(own.outputs, outputs, steps));
    }
  }
  return candidates.map(({ opened, outputs }): Judged => {
    const againstData = expected === undefined ? undefined : compareOutputs(outputs, expected, steps);
    const againstPeers = opened === own?.opened && expected === undefined ? [...pairs.values()] : [];
    const comparisons = [...(againstData === undefined ? [] : [againstData]), ...againstPeers];
    const isExcused = rounded && opened === own?.opened;
    const difference = isExcused
      ? undefined
      : comparisons.find((comparison) => comparison.difference !== undefined)?.difference;
    const agrees = pairs.get(opened)?.difference === undefined;
    const maxError =
      comparisons.length === 0
        ? (pairs.get(opened)?.largestError ?? null)
        : Math.max(...comparisons.map((comparison) => comparison.largestError));
    return {
      opened,
      outputs,
      status: difference === undefined ? "ok" : "wrong",
      ...(difference === undefined ? {} : { reason: difference }),
      maxError,
      agrees,
    };
  });
}

const profiledRuns = 9;

/** Leafcutter's account of itself; each step's time is the median of several profiled runs. */
async function profileOf({ session, run }: OpenLeafcutter): Promise<Stats> {
  const times: (readonly number[])[] = [];
  await session.stats({ profile: true });
  for (let i = 0; i < profiledRuns; i++) {
    await run();
    times.push((await session.stats()).steps?.map((step) => step.milliseconds) ?? []);
  }
  const stats = await session.stats({ profile: false });
  const { steps } = stats;
  if (steps === undefined) return stats;
  const medians = steps.map((step, index) => ({
    ...step,
    milliseconds: median(times.map((time) => time[index] ?? step.milliseconds)),
  }));
  return { ...stats, steps: medians };
}

interface Opener {
  readonly engine: EngineName;
  readonly threads: number;
  /** `outputs`: what the model computes, for engines that name them otherwise. */
  open(outputs: Tensors | undefined): Promise<OpenEngine>;
}

/** Everything that a job opens, in the order in which it is called. */
function openersOf(job: Job, importers: Importers, inputs: Tensors): readonly Opener[] {
  const { package: location, model, twin, base, backend } = job;
  const each = job.threads.flatMap((threads): readonly Opener[] => {
    const own: Opener = {
      engine: "leafcutter",
      threads,
      open: () => openLeafcutter(location as string, { backend, threads }, inputs),
    };
    const peer: Opener = {
      engine: "onnxruntime-web",
      threads,
      open: async () => {
        const ort = await importers.onnxruntime(base, threads);
        return openOnnxruntime(ort, await fetchBytes(model as string), inputs, threads);
      },
    };
    return [
      ...(location === undefined ? [] : [own]),
      ...(job.peers.includes("onnxruntime-web") && model !== undefined ? [peer] : []),
    ];
  });
  const tfjs: Opener = {
    engine: "tfjs",
    threads: 1,
    open: async (outputs) => openTfjs(await importers.tfjs(base), twin as string, inputs, outputs),
  };
  const isTfjs = job.peers.includes("tfjs") && twin !== undefined && job.threads.includes(1);
  return isTfjs ? [...each, tfjs] : each;
}

/** The one engine of a job that has no other, to be run alone. */
export async function openAlone(job: Job, importers: Importers): Promise<OpenEngine> {
  const inputs = decodeTensors(await fetchBytes(job.inputs));
  const [opener] = openersOf(job, importers, inputs);
  if (opener === undefined) throw new Error("a job without an engine");
  return opener.open(job.expected === undefined ? undefined : decodeTensors(await fetchBytes(job.expected)));
}

const isLeafcutter = (opened: OpenEngine): opened is OpenLeafcutter => opened.engine === "leafcutter";

/** Never rejects because of one engine: an engine that fails has a row that says so. */
export async function runJob(job: Job, importers: Importers): Promise<JobResult> {
  const inputs = decodeTensors(await fetchBytes(job.inputs));
  const expected = job.expected === undefined ? undefined : decodeTensors(await fetchBytes(job.expected));
  const failures: EngineResult[] = [];
  const candidates: { readonly opened: OpenEngine; readonly outputs: Tensors }[] = [];
  for (const { engine, threads, open } of openersOf(job, importers, inputs)) {
    try {
      const opened = await open(expected ?? candidates[0]?.outputs);
      candidates.push({ opened, outputs: await opened.outputs() });
    } catch (error) {
      failures.push({ engine, threads, status: "failed", reason: messageOf(error) });
    }
  }

  const judged = job.threads.flatMap((threads) => {
    const beside = candidates.filter(({ opened }) => opened.threads === threads);
    return judge(beside, expected, job.rounded ?? false, job.steps);
  });
  const samples = await interleave(
    judged.map(({ opened }) => opened),
    { budgetMs: job.budgetMs, rounds: job.rounds },
  );
  const measured = judged.map(({ opened, outputs: _, ...verdict }, index): EngineResult => {
    const { milliseconds = [], runsPerSample = 1 } = samples[index] ?? {};
    return {
      engine: opened.engine,
      threads: opened.threads,
      variant: opened.variant,
      latency: latencyOf(milliseconds),
      runsPerSample,
      ...verdict,
    };
  });
  const leafcutter = candidates.map(({ opened }) => opened).find(isLeafcutter);
  const stats = leafcutter === undefined ? undefined : await profileOf(leafcutter);
  const weightStream =
    leafcutter !== undefined && stats !== undefined && isBoundByWeights(stats)
      ? await measureWeightStream(leafcutter.run, stats.weightBytes)
      : undefined;
  for (const { opened } of candidates) await opened.dispose();
  return {
    engines: [...measured, ...failures],
    ...(stats === undefined ? {} : { stats }),
    ...(weightStream === undefined ? {} : { weightStream }),
  };
}
