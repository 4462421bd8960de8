/** The page of the warm measurements: one dedicated Worker per call, none left running. */
import { wrap } from "comlink";
import type { Job, JobResult } from "../measure/job.ts";
import type { KernelTimes, ProfileTimes } from "../measure/kernel-bench.ts";
import type { MatvecTime } from "../measure/matvec.ts";
import type { Roof } from "../roof.ts";
import type { BenchWorker } from "./bench-worker.ts";
import type { KernelsWorker } from "./kernels-worker.ts";

export interface BenchPage {
  runJob(job: Job): Promise<JobResult>;
  measureRoof(): Promise<Roof>;
  measureKernels(families: readonly string[]): Promise<KernelTimes>;
  measureMatvec(): Promise<readonly MatvecTime[]>;
  measureProfile(models: string): Promise<ProfileTimes>;
  /** Opens one engine in a Worker that stays; the variant that runs. */
  openAlone(job: Job): Promise<string>;
  /** Runs it for about so many milliseconds; how often. */
  runFor(milliseconds: number): Promise<number>;
}

let alone: BenchWorker | undefined;

/** Rejects when the script of a worker does not load. */
const failureOf = (worker: Worker): Promise<never> =>
  new Promise((_, reject) => {
    worker.addEventListener("error", (event) => reject(new Error(event.message || "the bench's worker did not load")));
  });

/** Ends the worker when the work is done. */
async function withWorker<W, T>(worker: Worker, work: (remote: W) => Promise<T>): Promise<T> {
  try {
    return await Promise.race([work(wrap<W>(worker) as unknown as W), failureOf(worker)]);
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
  measureMatvec: () =>
    withWorker<KernelsWorker, readonly MatvecTime[]>(kernelsWorker(), (remote) => remote.measureMatvec()),
  measureProfile: (models) =>
    withWorker<KernelsWorker, ProfileTimes>(kernelsWorker(), (remote) => remote.measureProfile(models)),
  openAlone: (job) => {
    const worker = benchWorker();
    alone = wrap<BenchWorker>(worker) as unknown as BenchWorker;
    return Promise.race([alone.openAlone(job), failureOf(worker)]);
  },
  runFor: async (milliseconds) => (alone ? alone.runFor(milliseconds) : 0),
};
Object.assign(globalThis, { leafcutterBench: page });
