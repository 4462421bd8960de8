/**
 * The helper threads of one engine: started together, given orders by the engine's own thread (thread 0), which takes
 * its part of each. Between two orders no helper touches the memory. A team that cannot start, loses a helper or traps
 * ends for good, says why, and its engine goes on alone.
 */
import type { Program } from "../format/program.ts";
import { HelperLost } from "./helper-lost.ts";
import { Records } from "./records.ts";
import {
  control,
  controlWords,
  type HelperAnswer,
  type HelperParts,
  linkThreadWalk,
  stopThreads,
  type ThreadWalk,
  walkLost,
} from "./thread-control.ts";
import { stepsWithScratch, type ThreadLayout } from "./thread-layout.ts";

const defaultPatience = 3_000_000_000n;
/** Helpers that have not answered by then do not come. */
const startMilliseconds = 10_000;

/** A thread of the host that runs thread-helper.ts. */
export interface HelperThread {
  post(parts: HelperParts): void;
  /** Whether it keeps the process alive (Node). */
  keepAlive(alive: boolean): void;
  terminate(): void;
}

/** `onFailure` is called, once or more, when the thread has died or never came up. */
export type StartHelper = (
  onAnswer: (answer: HelperAnswer) => void,
  onFailure: (reason: string) => void,
) => HelperThread;

export const startHelper: StartHelper = (onAnswer, onFailure) => {
  if (typeof Worker === "undefined") {
    const { Worker: NodeWorker } = process.getBuiltinModule("node:worker_threads");
    const thread = new NodeWorker(new URL("./thread-helper.ts", import.meta.url));
    thread.on("message", onAnswer);
    thread.on("error", (error: Error) => onFailure(error.message));
    thread.on("exit", (code) => onFailure(`the thread ended with code ${code}`));
    return {
      post: (parts) => thread.postMessage(parts),
      keepAlive: (alive) => (alive ? thread.ref() : thread.unref()),
      terminate: () => void thread.terminate(),
    };
  }
  const worker = new Worker(new URL("./thread-helper.ts", import.meta.url), { type: "module" });
  worker.addEventListener("message", ({ data }: MessageEvent<HelperAnswer>) => onAnswer(data));
  worker.addEventListener("error", (event) => onFailure(event.message || "its script did not load"));
  return {
    post: (parts) => worker.postMessage(parts),
    keepAlive: () => undefined,
    terminate: () => worker.terminate(),
  };
};

export interface TeamOptions {
  readonly program: Program;
  readonly layout: ThreadLayout;
  readonly memory: WebAssembly.Memory;
  readonly kernels: WebAssembly.Module;
  /** The package's thread module. */
  readonly walk: WebAssembly.Module;
  readonly start?: StartHelper;
  /** Nanoseconds that thread 0 sleeps in the middle of a walk before it gives its helpers up. */
  readonly patience?: bigint;
}

export class ThreadTeam {
  readonly threads: number;
  /** Resolves when every helper is up, or the team has ended. */
  readonly settled: Promise<void>;
  readonly #words: Int32Array;
  readonly #records: readonly Records[];
  readonly #helpers: HelperThread[] = [];
  readonly #walk: (table: WebAssembly.Table) => ThreadWalk;
  readonly #tableStart: number;
  readonly #controlAddress: number;
  readonly #patience: bigint;
  #linked: ThreadWalk | undefined;
  #ready = 0;
  #ended: string | undefined;
  #settle: () => void = () => undefined;

  constructor({
    program,
    layout,
    memory,
    kernels,
    walk,
    start = startHelper,
    patience = defaultPatience,
  }: TeamOptions) {
    this.#patience = patience;
    const { threads, control: address, spaces } = layout;
    this.threads = threads;
    this.#controlAddress = address;
    this.#tableStart = program.memory.table.start;
    this.#words = new Int32Array(memory.buffer, address, controlWords);
    this.#walk = (table) => linkThreadWalk(walk, memory, table);
    this.#records = spaces.map(
      ({ table, scratch }) => new Records(memory, { table: { start: table } }, stepsWithScratch(program, scratch)),
    );
    this.settled = new Promise((resolve) => {
      const timer = setTimeout(() => this.end(`helpers did not start in ${startMilliseconds} ms`), startMilliseconds);
      this.#settle = () => {
        clearTimeout(timer);
        for (const helper of this.#helpers) helper.keepAlive(false);
        resolve();
      };
    });
    if (spaces.length === 0) this.#settle();
    for (const [index, { table }] of spaces.entries()) {
      if (this.#ended !== undefined) break;
      const parts = { kernels, walk, memory, control: address, table, thread: index + 1, threads };
      this.#start(start, parts);
    }
  }

  /** Whether orders can be given. */
  get isReady(): boolean {
    return this.#ended === undefined && this.#ready === this.#records.length && this.#linked !== undefined;
  }

  /** Why the team has ended. */
  get ended(): string | undefined {
    return this.#ended;
  }

  /** Gives thread 0 the table of its own kernels. Throws WebAssembly.LinkError. */
  link(table: WebAssembly.Table): void {
    this.#linked = this.#walk(table);
  }

  /** Writes the helpers' records where they depend on symbols. */
  bind(bindings: ReadonlyMap<string, number>): void {
    for (const records of this.#records) records.bind(bindings);
  }

  /**
   * One order, as `walk` takes it, by all threads; returns when all have done their parts. Throws what thread 0 traps
   * with, an Error when a helper has trapped, HelperLost when one does not come. After any of these the team has ended.
   */
  run(first: number, begin: number, last: number, end: number): void {
    const words = this.#words;
    Atomics.store(words, control.first, first - this.#tableStart);
    Atomics.store(words, control.begin, begin);
    Atomics.store(words, control.last, last - this.#tableStart);
    Atomics.store(words, control.end, end);
    Atomics.add(words, control.order, 1);
    Atomics.notify(words, control.order);
    let status: number | undefined;
    try {
      status = this.#linked?.(first, begin, last, end, 0, this.threads, this.#controlAddress, this.#patience);
    } catch (error) {
      this.end("the module trapped");
      throw error;
    }
    if (status === 0) return;
    const isLost = status === walkLost;
    const reason = isLost ? "a helper thread did not do its part in time" : "the module trapped in a helper thread";
    this.end(reason);
    throw isLost ? new HelperLost(reason) : new Error(reason);
  }

  /** Ends the helpers. `why` is what the user is told. */
  end(why: string): void {
    if (this.#ended !== undefined) return;
    this.#ended = why;
    stopThreads(this.#words);
    for (const helper of this.#helpers) helper.terminate();
    this.#settle();
  }

  #start(start: StartHelper, parts: HelperParts): void {
    const answered = (answer: HelperAnswer): void => {
      if (answer.kind === "failed") return this.end(`a helper thread failed to start: ${answer.reason}`);
      this.#ready += 1;
      if (this.#ready === this.#records.length) this.#settle();
    };
    try {
      const helper = start(answered, (reason) => this.end(`a helper thread died: ${reason}`));
      this.#helpers.push(helper);
      helper.post(parts);
    } catch (error) {
      this.end(`a helper thread failed to start: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}
