/** Writes squares into the memory it is given and answers with a value that another TypeScript module's type checks. */
import { parentPort, workerData } from "node:worker_threads";
import type { DType } from "../../runtime/format/dtype.ts";

const answer: DType = "float32";
const values = new Int32Array((workerData as WebAssembly.Memory).buffer, 0, 3);
values.set([0, 1, 2].map((value) => value * value));
parentPort?.postMessage(answer);
