/**
 * The worker's entry, in a Web Worker and in a thread of Node's worker_threads: owns one model and answers the calls of
 * protocol.ts through Comlink. Results are transferred, not copied.
 */
/// <reference path="./comlink.d.ts" />
import { expose, releaseProxy, transfer } from "comlink/dist/esm/comlink.mjs";
import nodeEndpoint from "comlink/dist/esm/node-adapter.mjs";
import { LeafcutterError } from "../format/diagnostic.ts";
import { holdLifeline } from "./lifeline.ts";
import type { Model } from "./model.ts";
import { modelEnvironment, openModel } from "./open-model.ts";
import { diagnosticOf, type HostApi, type Outcome } from "./protocol.ts";
import { sessionDisposed } from "./run-queue.ts";

async function outcome<T>(work: () => Promise<T>): Promise<Outcome<T>> {
  try {
    return { kind: "value", value: await work() };
  } catch (error) {
    return { kind: "failure", diagnostic: diagnosticOf(error) };
  }
}

const loading = new AbortController();
const running = new Map<number, AbortController>();
let model: Model | undefined;

function loaded(): Model {
  if (model === undefined) throw new LeafcutterError(sessionDisposed);
  return model;
}

/** A callback of the page, which Comlink has wrapped. */
interface Remote {
  [releaseProxy]?: () => void;
}

const host: HostApi = {
  hold: (name) => outcome(() => holdLifeline(name)),
  load: (location, options, onProgress) =>
    outcome(async () => {
      try {
        model = await openModel(location, { ...options, onProgress, signal: loading.signal }, modelEnvironment());
        return { inputs: model.inputs, outputs: model.outputs, states: model.states };
      } finally {
        (onProgress as Remote)[releaseProxy]?.();
      }
    }),
  abortLoad: () => loading.abort(),
  run: async (id, inputs) => {
    const abort = new AbortController();
    running.set(id, abort);
    const result = await outcome(() => loaded().run(inputs, { signal: abort.signal, transfer: true }));
    running.delete(id);
    if (result.kind === "failure") return result;
    return transfer(
      result,
      Object.values(result.value).map((tensor) => tensor.data.buffer),
    );
  },
  abort: (id) => running.get(id)?.abort(),
  reset: (values) =>
    outcome(async () => {
      await loaded().reset(values);
      return undefined;
    }),
  rewind: (rows) => outcome(() => loaded().rewind(rows)),
  state: async (name) => {
    const result = await outcome(() => loaded().state(name));
    return result.kind === "failure" ? result : transfer(result, [result.value.data.buffer]);
  },
  stats: (options) => outcome(() => loaded().stats(options)),
  dispose: () =>
    outcome(async () => {
      loading.abort();
      await model?.dispose();
      model = undefined;
      return undefined;
    }),
};

const threads = typeof process === "undefined" ? undefined : process.getBuiltinModule?.("node:worker_threads");
if (threads?.parentPort) expose(host, nodeEndpoint(threads.parentPort));
else expose(host);
