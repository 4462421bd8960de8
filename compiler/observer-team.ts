/**
 * Calibration in several workers: each holds the generated code of one graph and observes a batch of samples at a time. One
 * team lives as long as a compile. Where workers cannot be had, or are lost, their batches are observed here, and a note says why.
 */
import { LeafcutterError } from "../runtime/format/diagnostic.ts";
import { generateCode } from "./execution.ts";
import { flopsOf, type GeneratedCode, openCode } from "./generated-code.ts";
import type { Graph } from "./graph/graph.ts";
import type { CostTable } from "./kernels/cost-table.ts";
import type { ObserveAnswer, ObserveRequest } from "./observe-worker.ts";
import { makePlan } from "./plan/make-plan.ts";
import type { Observer } from "./quantize/observe.ts";
import { type BatchControl, type BatchOrder, type BatchResult, observeBatch } from "./quantize/observe-batch.ts";

/** A worker that runs observe-worker.ts. */
export interface ObserveThread {
  post(request: ObserveRequest): void;
  terminate(): void;
}

/** `onFailure` is called, once or more, when the worker has died or never came up. */
export type StartThread = (
  onAnswer: (answer: ObserveAnswer) => void,
  onFailure: (reason: string) => void,
) => ObserveThread;

const startThread: StartThread = (onAnswer, onFailure) => {
  if (typeof Worker === "undefined") {
    const { Worker: NodeWorker } = process.getBuiltinModule("node:worker_threads");
    const thread = new NodeWorker(new URL("./observe-worker.ts", import.meta.url));
    thread.on("message", onAnswer);
    thread.on("error", (error: Error) => onFailure(error.message));
    thread.on("exit", (code) => onFailure(`the thread ended with code ${code}`));
    return { post: (request) => thread.postMessage(request), terminate: () => void thread.terminate() };
  }
  const worker = new Worker(new URL("./observe-worker.ts", import.meta.url), { type: "module" });
  worker.addEventListener("message", ({ data }: MessageEvent<ObserveAnswer>) => onAnswer(data));
  worker.addEventListener("error", (event) => onFailure(event.message || "its script did not load"));
  return { post: (request) => worker.postMessage(request), terminate: () => worker.terminate() };
};

export interface TeamSettings {
  /** Workers; default as many as there are processors (at most 8), and none where there is little to do. */
  readonly workers?: number | undefined;
  readonly costs: CostTable;
  readonly start?: StartThread;
}

const mostWorkers = 8;
/** Floating-point operations that are done here in the time that workers take to start. */
const flopsOfStart = 2e9;
/** Workers that have not answered by then do not come. */
const startMilliseconds = 20_000;

class WorkerLost extends Error {}

export class ObserverTeam {
  readonly #settings: TeamSettings;
  readonly #members: Member[] = [];
  /** Why there are no workers any more. */
  #lost: string | undefined;

  constructor(settings: TeamSettings) {
    this.#settings = settings;
  }

  get notes(): readonly string[] {
    return this.#lost === undefined ? [] : [`calibrated without workers: ${this.#lost}`];
  }

  /** The generated code of `graph` with workers as `runs` runs of it are worth. */
  async open(graph: Graph, runs: number): Promise<Observer> {
    const code = generateCode(makePlan(graph, this.#settings.costs));
    const here = new Here(code);
    const places = this.#placesFor(flopsOf(code.program) * runs);
    if (places > 1 && this.#lost === undefined) await this.#open(code, places);
    return {
      places: this.#lost === undefined ? Math.max(1, Math.min(places, this.#members.length)) : 1,
      observe: async (order, control) => {
        const member = this.#lost === undefined && places > 1 ? this.#members.find(({ isFree }) => isFree) : undefined;
        if (!member) return here.observe(order, control);
        try {
          return await member.observe(order, control);
        } catch (error) {
          if (control.signal?.aborted) this.close();
          if (!(error instanceof WorkerLost)) throw error;
          this.#lose(error.message);
          return here.observe(order, control);
        }
      },
      close: () => here.close(),
    };
  }

  close(): void {
    for (const member of this.#members.splice(0)) member.terminate();
  }

  #placesFor(flops: number): number {
    const { workers } = this.#settings;
    if (workers !== undefined) return workers;
    return flops < flopsOfStart ? 1 : Math.min(mostWorkers, processors());
  }

  async #open(code: GeneratedCode, places: number): Promise<void> {
    try {
      while (this.#members.length < places) this.#members.push(new Member(this.#settings.start ?? startThread));
      await Promise.all(this.#members.map((member) => member.open(code)));
    } catch (error) {
      this.#lose(error instanceof Error ? error.message : String(error));
    }
  }

  #lose(reason: string): void {
    this.#lost ??= reason;
    this.close();
  }
}

function processors(): number {
  if (typeof navigator !== "undefined" && navigator.hardwareConcurrency) return navigator.hardwareConcurrency;
  return typeof process === "undefined" ? 1 : process.getBuiltinModule("node:os").availableParallelism();
}

interface Task<T> {
  resolve(value: T): void;
  reject(error: unknown): void;
  onSample?(): void;
}

class Member {
  readonly #thread: ObserveThread;
  #task: Task<BatchResult | undefined> | undefined;
  #ended: string | undefined;

  constructor(start: StartThread) {
    this.#thread = start(
      (answer) => this.#receive(answer),
      (reason) => this.#end(reason),
    );
  }

  get isFree(): boolean {
    return this.#task === undefined && this.#ended === undefined;
  }

  async open(code: GeneratedCode): Promise<void> {
    const timer = setTimeout(() => this.#end(`workers did not start in ${startMilliseconds} ms`), startMilliseconds);
    try {
      await this.#ask({ kind: "open", code });
    } finally {
      clearTimeout(timer);
    }
  }

  async observe(order: BatchOrder, { signal, onSample }: BatchControl): Promise<BatchResult> {
    signal?.throwIfAborted();
    const abort = (): void => this.#task?.reject(signal?.reason);
    signal?.addEventListener("abort", abort);
    try {
      return (await this.#ask({ kind: "observe", order }, onSample)) ?? [];
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  terminate(): void {
    this.#end("the workers were ended");
    this.#thread.terminate();
  }

  #ask(request: ObserveRequest, onSample?: () => void): Promise<BatchResult | undefined> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) return reject(new WorkerLost(this.#ended));
      this.#task = { resolve, reject, ...(onSample ? { onSample } : {}) };
      this.#thread.post(request);
    });
  }

  #receive(answer: ObserveAnswer): void {
    const task = this.#task;
    if (answer.kind === "sample") {
      try {
        task?.onSample?.();
      } catch (error) {
        // Progress is where a compile is stopped.
        task?.reject(error);
      }
      return;
    }
    this.#task = undefined;
    if (answer.kind === "failure") task?.reject(new LeafcutterError(answer.diagnostic));
    else task?.resolve(answer.kind === "result" ? answer.result : undefined);
  }

  #end(reason: string): void {
    this.#ended ??= reason;
    this.#task?.reject(new WorkerLost(this.#ended));
    this.#task = undefined;
  }
}

/** The code in this thread, opened when it is first needed, one batch at a time. */
class Here {
  readonly #code: GeneratedCode;
  #engine: ReturnType<typeof openCode> | undefined;
  #before: Promise<unknown> = Promise.resolve();

  constructor(code: GeneratedCode) {
    this.#code = code;
  }

  observe(order: BatchOrder, control: BatchControl): Promise<BatchResult> {
    const turn = this.#before.then(async () => {
      this.#engine ??= openCode(this.#code);
      const engine = await this.#engine;
      return observeBatch(async (sample) => (await engine.run(sample)).outputs, order, control);
    });
    this.#before = turn.catch(() => undefined);
    return turn;
  }

  close(): void {
    void this.#before.then(async () => (await this.#engine)?.dispose());
  }
}
