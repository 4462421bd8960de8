/** A fresh page that runs a peer in a Worker, as an application would that wants its page to stay usable. */
import { wrap } from "comlink";
import type { ColdWorker } from "./cold-worker.ts";
import { fetchTensors, publish, runOn } from "./visit.ts";

function start(engine: string | undefined): Worker {
  return engine === "tfjs"
    ? new Worker(new URL("./cold-tfjs-worker.ts", import.meta.url), { type: "module" })
    : new Worker(new URL("./cold-onnxruntime-worker.ts", import.meta.url), { type: "module" });
}

publish(async (query) => {
  const { engine, model, twin, inputs: address } = query;
  const worker = start(engine);
  const failed = new Promise<never>((_, reject) => {
    worker.addEventListener("error", (event) => reject(new Error(event.message || "the worker did not load")));
  });
  const remote = wrap<ColdWorker>(worker);
  const location = model ?? twin;
  if (location === undefined || address === undefined) {
    await Promise.race([remote.ready(), failed]);
    return { readyMs: performance.now(), firstOutputMs: null, roundTripMs: [] };
  }
  const [inputs] = await Promise.all([fetchTensors(address), Promise.race([remote.open(location, address), failed])]);
  await remote.run(inputs);
  const firstOutputMs = performance.now();
  return { readyMs: null, firstOutputMs, roundTripMs: await runOn(query, () => remote.run(inputs)) };
});
