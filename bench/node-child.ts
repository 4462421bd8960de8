/**
 * The process in which the engines are measured in Node: takes one order from its parent, answers once, and ends.
 * Peers are Node's own builds of the same versions.
 */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, sep } from "node:path";
import type { InferenceSession } from "onnxruntime-web";
import type { RunEnergy } from "../compiler/budget/energy.ts";
import { type Backend, load } from "../runtime/index.ts";
import { type CounterOptions, openCounters } from "./energy-counters.ts";
import { measureRuns } from "./energy-of-runs.ts";
import { type Feature, measureFeatures } from "./measure/features.ts";
import { fetchBytes, type Importers, type Job, type JobResult, openAlone, runJob } from "./measure/job.ts";
import { type KernelTimes, measureKernels, measureProfile, type ProfileTimes } from "./measure/kernel-bench.ts";
import { type MatvecTime, measureMatvec } from "./measure/matvec.ts";
import { repeat } from "./measure/repeat.ts";
import { sessionFeatures } from "./measure/session-features.ts";
import { optionalPackage } from "./optional-package.ts";
import { oneOperatorModel } from "./page/one-operator-model.ts";
import { createSession, feedsOf, type OnnxruntimeModule, outputsOf } from "./page/onnxruntime.ts";
import { importTfjs, openTfjs, type TfjsModule } from "./page/tfjs.ts";
import { fetchTensors, runOn, type Visit, type VisitQuery } from "./page/visit.ts";
import { measureRoof, type Roof } from "./roof.ts";
import { roundOf } from "./state.ts";

export type Order =
  | { readonly kind: "job"; readonly job: Job }
  | { readonly kind: "energy"; readonly job: Job; readonly counters: CounterOptions }
  | { readonly kind: "roof" }
  | { readonly kind: "features"; readonly package: string }
  | { readonly kind: "kernels"; readonly families: readonly string[] }
  | { readonly kind: "matvec" }
  | { readonly kind: "profile"; readonly models: string }
  | { readonly kind: "visit"; readonly query: VisitQuery };

export type Answer =
  | { readonly kind: "job"; readonly result: JobResult }
  | { readonly kind: "energy"; readonly energy: RunEnergy }
  | { readonly kind: "roof"; readonly roof: Roof }
  | { readonly kind: "features"; readonly features: readonly Feature[] }
  | { readonly kind: "kernels"; readonly times: KernelTimes }
  | { readonly kind: "matvec"; readonly times: readonly MatvecTime[] }
  | { readonly kind: "profile"; readonly times: ProfileTimes }
  | { readonly kind: "visit"; readonly visit: Visit; readonly peakBytes: number | null }
  | { readonly kind: "failed"; readonly reason: string };

let onnxruntimeThreads: number | undefined;

/** In Node the module is one in a process, and its number of threads that of its first session. */
async function importOnnxruntime(threads = 1): Promise<OnnxruntimeModule> {
  onnxruntimeThreads ??= threads;
  if (threads !== onnxruntimeThreads)
    throw new Error(
      `a process of Node has it on ${onnxruntimeThreads} threads alone: measure ${threads} in another run`,
    );
  const ort = await optionalPackage("onnxruntime-web", () => import("onnxruntime-web"));
  ort.env.wasm.numThreads = threads;
  return ort;
}

async function peakBytes(): Promise<number | null> {
  const status = await readFile("/proc/self/status", "utf8").catch(() => "");
  const kilobytes = /^VmHWM:\s+(\d+) kB/m.exec(status)?.[1];
  return kilobytes === undefined ? null : Number(kilobytes) * 1024;
}

async function visitLeafcutter(query: VisitQuery): Promise<Visit> {
  const { package: location = "", backend = "auto", inputs: address = "" } = query;
  const given = fetchTensors(address);
  let readyMs: number | null = null;
  const session = await load(location, {
    backend: backend as Backend,
    threads: 1,
    onProgress: ({ phase }) => {
      if (phase === "ready") readyMs ??= performance.now();
    },
  });
  const run = roundOf(session, await given);
  await run();
  const firstOutputMs = performance.now();
  return { readyMs, firstOutputMs, roundTripMs: await runOn(query, run) };
}

/** Node's peers have no worker of their own: what an application would call is the engine itself. */
async function visitOnnxruntime({ model, inputs: address }: VisitQuery): Promise<Visit> {
  const ort = await importOnnxruntime();
  if (model === undefined || address === undefined) {
    await createSession(ort, oneOperatorModel());
    return { readyMs: performance.now(), firstOutputMs: null, roundTripMs: [] };
  }
  const given = fetchTensors(address);
  const session: InferenceSession = await createSession(ort, await fetchBytes(model));
  const feeds = feedsOf(ort, session.inputNames, await given);
  outputsOf(await session.run(feeds));
  const firstOutputMs = performance.now();
  await runOn({}, () => session.run(feeds));
  return { readyMs: null, firstOutputMs, roundTripMs: [] };
}

/** In Node tfjs reads its modules from disk. */
function importTfjsFromDisk(): Promise<TfjsModule> {
  const main = createRequire(import.meta.url).resolve("@tensorflow/tfjs-backend-wasm");
  return importTfjs(`${dirname(main)}${sep}`);
}

async function visitTfjs({ twin, inputs: address }: VisitQuery): Promise<Visit> {
  const tfjs = await importTfjsFromDisk();
  if (twin === undefined || address === undefined) {
    return { readyMs: performance.now(), firstOutputMs: null, roundTripMs: [] };
  }
  const opened = await openTfjs(tfjs, twin, await fetchTensors(address), undefined);
  await opened.run();
  const firstOutputMs = performance.now();
  await runOn({}, () => opened.run());
  return { readyMs: null, firstOutputMs, roundTripMs: [] };
}

async function visit(query: VisitQuery): Promise<Visit> {
  switch (query.engine) {
    case "leafcutter":
      return visitLeafcutter(query);
    case "onnxruntime-web":
      return visitOnnxruntime(query);
    case "tfjs":
      return visitTfjs(query);
    default: {
      const now = performance.now();
      return { readyMs: now, firstOutputMs: now, roundTripMs: [] };
    }
  }
}

const importers: Importers = {
  onnxruntime: (_, threads) => importOnnxruntime(threads),
  tfjs: importTfjsFromDisk,
};

async function energyOf(job: Job, options: CounterOptions): Promise<RunEnergy> {
  const opened = await openAlone(job, importers);
  const counters = await openCounters({ ...options, graphics: opened.variant === "webgpu" });
  try {
    return await measureRuns(counters, repeat(opened.run));
  } finally {
    counters.close();
    await opened.dispose();
  }
}

async function answer(order: Order): Promise<Answer> {
  switch (order.kind) {
    case "job":
      return {
        kind: "job",
        result: await runJob(order.job, importers),
      };
    case "energy":
      return { kind: "energy", energy: await energyOf(order.job, order.counters) };
    case "roof":
      return { kind: "roof", roof: measureRoof() };
    case "features": {
      const here = await measureFeatures(undefined);
      return { kind: "features", features: [...here, ...(await sessionFeatures(order.package))] };
    }
    case "kernels":
      return { kind: "kernels", times: measureKernels(order.families) };
    case "matvec":
      return { kind: "matvec", times: measureMatvec() };
    case "profile":
      return { kind: "profile", times: await measureProfile(order.models) };
    case "visit":
      return { kind: "visit", visit: await visit(order.query), peakBytes: await peakBytes() };
  }
}

process.once("message", (order: Order) => {
  answer(order)
    .catch(
      (error: unknown): Answer => ({ kind: "failed", reason: error instanceof Error ? error.message : String(error) }),
    )
    .then((result) => {
      process.send?.(result, undefined, undefined, () => process.exit(0));
    });
});
