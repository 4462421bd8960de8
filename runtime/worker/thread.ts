/** Starts the worker of a session: a module worker in a page, a thread in Node. */
/// <reference path="./comlink.d.ts" />

import type { Endpoint } from "comlink";
import nodeEndpoint from "comlink/dist/esm/node-adapter.mjs";

export interface Thread {
  readonly endpoint: Endpoint;
  /** Whether the thread keeps the process alive (Node). */
  keepAlive(alive: boolean): void;
  terminate(): void;
}

function startNodeThread(workerUrl: string | URL | undefined, onFailure: (reason: string) => void): Thread {
  const { Worker: NodeWorker } = process.getBuiltinModule("node:worker_threads");
  const thread = new NodeWorker(workerUrl ?? new URL("./host.ts", import.meta.url));
  thread.on("error", (error: Error) => onFailure(error.message));
  thread.on("exit", (code) => onFailure(`the thread ended with code ${code}`));
  return {
    endpoint: nodeEndpoint(thread),
    keepAlive: (alive) => (alive ? thread.ref() : thread.unref()),
    terminate: () => void thread.terminate(),
  };
}

/** @param onFailure is called, once or more, when the worker has died or never came up. */
export function startThread(workerUrl: string | URL | undefined, onFailure: (reason: string) => void): Thread {
  if (typeof Worker === "undefined") return startNodeThread(workerUrl, onFailure);
  const worker =
    workerUrl === undefined
      ? new Worker(new URL("./host.ts", import.meta.url), { type: "module" })
      : new Worker(workerUrl, { type: "module" });
  worker.addEventListener("error", (event) => onFailure(event.message || "its script did not load"));
  return { endpoint: worker, keepAlive: () => undefined, terminate: () => worker.terminate() };
}
