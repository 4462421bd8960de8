/** onnxruntime-web in a Worker of a fresh page; the model downloads while the engine compiles. */
import { expose } from "comlink";
import type { InferenceSession } from "onnxruntime-web";
import { fetchBytes } from "../measure/job.ts";
import { type ColdWorker, handOver } from "./cold-worker.ts";
import { oneOperatorModel } from "./one-operator-model.ts";
import { createSession, feedsOf, importFromServer, outputsOf } from "./onnxruntime.ts";

const ort = importFromServer(location.origin, 1);
let session: InferenceSession | undefined;

const worker: ColdWorker = {
  ready: async () => void (await createSession(await ort, oneOperatorModel())),
  open: async (model) => {
    const bytes = fetchBytes(model);
    session = await createSession(await ort, await bytes);
  },
  run: async (inputs) => {
    if (session === undefined) throw new Error("no model is open");
    return handOver(outputsOf(await session.run(feedsOf(await ort, session.inputNames, inputs))));
  },
};
expose(worker);
