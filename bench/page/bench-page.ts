/** The page of the warm measurements: one dedicated Worker per call, none left running. */
import { wrap } from "comlink";
import type { Job, JobResult } from "../measure/job.ts";
import type { KernelTimes, ProfileTimes } from "../measure/kernel-bench.ts";
import type { Roof } from "../roof.ts";
import type { BenchWorker } from "./bench-worker.ts";
import type { KernelsWorker } from "./kernels-worker.ts";

export interface BenchPage {
  runJob(job: Job): Promise<JobResult>;
  measureRoof(): Promise<Roof>;
  measureKernels(families: readonly string[]): Promise<KernelTimes>;
  measureProfile(identity: string): Promise<ProfileTimes>;
}

/** Ends the worker when the work is done; rejects when its script does not load. */
async function withWorker<W, T>(worker: Worker, work: (remote: W) => Promise<T>): Promise<T> {
  const failed = new Promise<never>((_, reject) => {
    worker.addEventListener("error", (event) => reject(new Error(event.message || "the bench's worker did not load")));
  });
  try {
    return await Promise.race([work(wrap<W>(worker) as unknown as W), failed]);
  } finally {
    worker.terminate();
  }
}

const benchWorker = (): Worker => new Worker(new URL("./bench-worker.ts", import.meta.url), { type: "module" });
const kernelsWorker = (): Worker => new Worker(new URL("./kernels-worker.ts", import.meta.url), { type: "module" });

const page: BenchPage = {
  runJob: (job) => withWorker<BenchWorker, JobResult>(benchWorker(), (remote) => remote.runJob(job)),
  measureRoof: () => withWorker<BenchWorker, Roof>(benchWorker(), (remote) => remote.measureRoof()),
  measureKernels: (families) =>
    withWorker<KernelsWorker, KernelTimes>(kernelsWorker(), (remote) => remote.measureKernels(families)),
  measureProfile: (identity) =>
    withWorker<KernelsWorker, ProfileTimes>(kernelsWorker(), (remote) => remote.measureProfile(identity)),
};
Object.assign(globalThis, { leafcutterBench: page });
