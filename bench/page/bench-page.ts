/** The page of the warm measurements: one dedicated Worker per call, none left running. */
import { wrap } from "comlink";
import type { Job, JobResult } from "../measure/job.ts";
import type { Roof } from "../roof.ts";
import type { BenchWorker } from "./bench-worker.ts";

export interface BenchPage {
  runJob(job: Job): Promise<JobResult>;
  measureRoof(): Promise<Roof>;
}

async function inWorker<T>(work: (worker: BenchWorker) => Promise<T>): Promise<T> {
  const worker = new Worker(new URL("./bench-worker.ts", import.meta.url), { type: "module" });
  const failed = new Promise<never>((_, reject) => {
    worker.addEventListener("error", (event) => reject(new Error(event.message || "the bench's worker did not load")));
  });
  try {
    return await Promise.race([work(wrap<BenchWorker>(worker) as unknown as BenchWorker), failed]);
  } finally {
    worker.terminate();
  }
}

const page: BenchPage = {
  runJob: (job) => inWorker((worker) => worker.runJob(job)),
  measureRoof: () => inWorker((worker) => worker.measureRoof()),
};
Object.assign(globalThis, { leafcutterBench: page });
