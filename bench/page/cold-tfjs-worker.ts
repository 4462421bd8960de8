/** tfjs in a Worker of a fresh page. */
import { expose } from "comlink";
import { type ColdWorker, handOver } from "./cold-worker.ts";
import type { OpenEngine } from "./engine.ts";
import { importTfjs, openTfjs } from "./tfjs.ts";
import { fetchTensors } from "./visit.ts";

const tfjs = importTfjs(`${location.origin}/tfjs/`);
let opened: OpenEngine | undefined;

const worker: ColdWorker = {
  ready: async () => void (await tfjs),
  open: async (twin, inputs) => {
    opened = await openTfjs(await tfjs, new URL(twin, location.href).href, await fetchTensors(inputs), undefined);
  },
  run: async () => {
    if (opened === undefined) throw new Error("no model is open");
    return handOver(await opened.outputs());
  },
};
expose(worker);
