/** The dedicated Worker in which every engine is called in-thread. */
import { expose } from "comlink";
import { type Importers, type Job, type JobResult, openAlone, runJob } from "../measure/job.ts";
import { type RunFor, repeat } from "../measure/repeat.ts";
import { measureRoof, type Roof } from "../roof.ts";
import { importFromServer } from "./onnxruntime.ts";
import { importTfjs } from "./tfjs.ts";

export interface BenchWorker {
  runJob(job: Job): Promise<JobResult>;
  measureRoof(): Promise<Roof>;
  /** Opens the one engine of a job; the variant that runs. */
  openAlone(job: Job): Promise<string>;
  /** Runs what was opened for about so many milliseconds; how often. */
  readonly runFor: RunFor;
}

const importers: Importers = { onnxruntime: importFromServer, tfjs: (base) => importTfjs(`${base}/tfjs/`) };
let runAlone: RunFor | undefined;

const worker: BenchWorker = {
  runJob: (job) => runJob(job, importers),
  measureRoof: async () => measureRoof(),
  openAlone: async (job) => {
    const opened = await openAlone(job, importers);
    runAlone = repeat(opened.run);
    return opened.variant;
  },
  runFor: async (milliseconds) => (runAlone ? runAlone(milliseconds) : 0),
};
expose(worker);
