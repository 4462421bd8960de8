/** A host that loads anything and dies of the first run. */
import { parentPort } from "node:worker_threads";
import { expose } from "comlink/dist/esm/comlink.mjs";
import nodeEndpoint from "comlink/dist/esm/node-adapter.mjs";

const host = {
  load: () => ({ kind: "value", value: { inputs: [], outputs: [] } }),
  stats: () => new Promise(() => undefined),
  run: () => process.exit(3),
  dispose: () => new Promise(() => undefined),
};

if (parentPort) expose(host, nodeEndpoint(parentPort));
