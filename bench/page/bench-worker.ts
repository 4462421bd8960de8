/** The dedicated Worker in which every engine is called in-thread. */
import { expose } from "comlink";
import { type Job, type JobResult, runJob } from "../measure/job.ts";
import { measureRoof, type Roof } from "../roof.ts";
import { importFromServer } from "./onnxruntime.ts";
import { importTfjs } from "./tfjs.ts";

export interface BenchWorker {
  runJob(job: Job): Promise<JobResult>;
  measureRoof(): Promise<Roof>;
}

const worker: BenchWorker = {
  runJob: (job) => runJob(job, { onnxruntime: importFromServer, tfjs: (base) => importTfjs(`${base}/tfjs/`) }),
  measureRoof: async () => measureRoof(),
};
expose(worker);
