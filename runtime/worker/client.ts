/**
 * A session whose model lives in a worker: the page's side of protocol.ts. Every call ends when the worker dies.
 */
/// <reference path="./comlink.d.ts" />
import type { Remote } from "comlink";
import { proxy, transfer, wrap } from "comlink/dist/esm/comlink.mjs";
import type { TensorInput } from "../engine/input.ts";
import { type Diagnostic, LeafcutterError } from "../format/diagnostic.ts";
import type { PortDescription, StateDescription } from "../format/manifest.ts";
import type { Tensor, TensorArray } from "../format/tensor.ts";
import type { PackageFiles } from "../load/source.ts";
import type { LoadOptions, RunOptions, Session, Stats, StatsOptions } from "./contract.ts";
import { defaultThreads } from "./default-threads.ts";
import { fetchEarlyFiles } from "./early-files.ts";
import { newLifeline, watchLifeline } from "./lifeline.ts";
import { diagnosticOf, type HostApi, type HostOptions, type LoadedPorts, type Outcome } from "./protocol.ts";
import { runAborted, sessionDisposed } from "./run-queue.ts";
import { startThread, type Thread } from "./thread.ts";

/** Calls into a worker, all of which reject once the worker is gone. */
class HostConnection {
  readonly #thread: Thread;
  readonly #host: Remote<HostApi>;
  readonly #pending = new Set<(reason: Diagnostic) => void>();
  readonly #watching = new AbortController();
  #ended: Diagnostic | undefined;
  /** Resolves when the end of the worker would be noticed, or never can be. */
  readonly held: Promise<void>;

  constructor(workerUrl: string | URL | undefined) {
    const failed = (reason: string): void =>
      this.end({
        code: "worker-failed",
        message: "the session's worker failed",
        received: reason,
        advice: "Give the address of the built worker/host.js in the option workerUrl, or load with worker: false.",
      });
    this.#thread = startThread(workerUrl, failed);
    this.#host = wrap<HostApi>(this.#thread.endpoint);
    this.held = this.#hold(failed);
  }

  async #hold(failed: (reason: string) => void): Promise<void> {
    const lifeline = newLifeline();
    if (lifeline === undefined) return;
    const held = await this.call((host) => host.hold(lifeline)).catch(() => false);
    if (held) watchLifeline(lifeline, this.#watching.signal, () => failed("its thread has ended"));
  }

  call<T>(invoke: (host: Remote<HostApi>) => Promise<Outcome<T>>): Promise<T> {
    if (this.#ended !== undefined) return Promise.reject(new LeafcutterError(this.#ended));
    return new Promise<T>((resolve, reject) => {
      const fail = (reason: Diagnostic): void => {
        this.#pending.delete(fail);
        if (this.#pending.size === 0) this.#thread.keepAlive(false);
        reject(new LeafcutterError(reason));
      };
      this.#pending.add(fail);
      this.#thread.keepAlive(true);
      invoke(this.#host).then(
        (outcome) => {
          if (outcome.kind === "failure") return fail(outcome.diagnostic);
          this.#pending.delete(fail);
          if (this.#pending.size === 0) this.#thread.keepAlive(false);
          resolve(outcome.value);
        },
        (error: unknown) => fail(diagnosticOf(error)),
      );
    });
  }

  /** Sends what needs no answer. */
  tell(invoke: (host: Remote<HostApi>) => Promise<void>): void {
    if (this.#ended === undefined) invoke(this.#host).catch(() => undefined);
  }

  /** Ends the worker; what is pending or follows rejects with `reason`. */
  end(reason: Diagnostic): void {
    if (this.#ended !== undefined) return;
    this.#ended = reason;
    for (const fail of this.#pending) fail(reason);
    this.#watching.abort();
    this.#thread.terminate();
  }
}

const coversItsBuffer = (view: ArrayBufferView): boolean =>
  view.buffer instanceof ArrayBuffer && view.byteLength === view.buffer.byteLength;

/** The inputs to send and the buffers that go with them: the caller's own, or copies. */
function packInputs(
  inputs: Readonly<Record<string, TensorInput>>,
  handOver: boolean,
): readonly [Readonly<Record<string, TensorInput>>, readonly ArrayBuffer[]] {
  const buffers = new Set<ArrayBuffer>();
  const packed = Object.entries(inputs).map(([name, input]): readonly [string, TensorInput] => {
    if (!ArrayBuffer.isView(input?.data)) return [name, input];
    const data: TensorArray = handOver && coversItsBuffer(input.data) ? input.data : input.data.slice();
    buffers.add(data.buffer as ArrayBuffer);
    return [name, { ...input, data } as TensorInput];
  });
  return [Object.fromEntries(packed), [...buffers]];
}

/** A view of a larger buffer would take the whole buffer along. */
function packFiles(files: PackageFiles): PackageFiles {
  return Object.fromEntries(
    Object.entries(files).map(([path, file]) => [
      path,
      file instanceof Uint8Array && !coversItsBuffer(file) ? file.slice() : file,
    ]),
  );
}

/** A worker that does not answer by then hangs, and is ended as it is. */
const disposeMilliseconds = 2000;

class WorkerSession implements Session {
  readonly inputs: readonly PortDescription[];
  readonly outputs: readonly PortDescription[];
  readonly states: readonly StateDescription[];
  readonly #connection: HostConnection;
  #lastRun = 0;

  constructor(connection: HostConnection, { inputs, outputs, states }: LoadedPorts) {
    this.#connection = connection;
    this.inputs = inputs;
    this.outputs = outputs;
    this.states = states;
  }

  async run(
    inputs: Readonly<Record<string, TensorInput>>,
    { signal, transfer: handOver = false }: RunOptions = {},
  ): Promise<Readonly<Record<string, Tensor>>> {
    if (signal?.aborted) throw new LeafcutterError(runAborted);
    const id = ++this.#lastRun;
    const [packed, buffers] = packInputs(inputs, handOver);
    const abort = (): void => this.#connection.tell((host) => host.abort(id));
    signal?.addEventListener("abort", abort);
    try {
      return await this.#connection.call((host) => host.run(id, transfer(packed, [...buffers])));
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  async reset(values: Readonly<Record<string, TensorInput>> = {}): Promise<void> {
    const [packed, buffers] = packInputs(values, false);
    await this.#connection.call((host) => host.reset(transfer(packed, [...buffers])));
  }

  rewind(rows: number): Promise<void> {
    return this.#connection.call((host) => host.rewind(rows));
  }

  state(name: string): Promise<Tensor> {
    return this.#connection.call((host) => host.state(name));
  }

  stats(options: StatsOptions = {}): Promise<Stats> {
    return this.#connection.call((host) => host.stats(options));
  }

  async dispose(): Promise<void> {
    const freed = this.#connection.call((host) => host.dispose()).catch(() => undefined);
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise((resolve) => {
      timer = setTimeout(resolve, disposeMilliseconds);
    });
    await Promise.race([freed, late]);
    clearTimeout(timer);
    this.#connection.end(sessionDisposed);
  }
}

/** Loads a package in a new worker. `location` must be absolute. Throws LeafcutterError. */
export async function openWorkerSession(
  location: string | PackageFiles,
  { workerUrl, signal, onProgress, ...rest }: LoadOptions,
): Promise<Session> {
  const { backend, integrity, maxMemory, cache, threads } = rest;
  const cloned: HostOptions = {
    ...(backend === undefined ? {} : { backend }),
    ...(integrity === undefined ? {} : { integrity }),
    ...(maxMemory === undefined ? {} : { maxMemory }),
    ...(cache === undefined ? {} : { cache }),
    threads: threads ?? defaultThreads(),
  };
  if (signal?.aborted) throw new LeafcutterError({ code: "aborted", message: "loading was aborted" });
  const connection = new HostConnection(workerUrl);
  const abort = (): void => connection.tell((host) => host.abortLoad());
  signal?.addEventListener("abort", abort);
  try {
    const early = await fetchEarlyFiles(location, { ...cloned, ...(signal === undefined ? {} : { signal }) });
    const options: HostOptions = { ...cloned, ...early };
    const content = typeof location === "string" ? location : packFiles(location);
    const report = proxy(onProgress ?? (() => undefined));
    const ports = await connection.call((host) => host.load(content, options, report));
    await connection.held;
    return new WorkerSession(connection, ports);
  } catch (error) {
    connection.end(sessionDisposed);
    throw error;
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}
