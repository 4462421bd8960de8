/** The public types of a session: what `load` takes and gives, the same in a worker and in this thread. */
import type { StepTime } from "../engine/engine.ts";
import type { TensorInput } from "../engine/input.ts";
import type { Backend } from "../engine/variants.ts";
import type { PortDescription, StateDescription, VariantName } from "../format/manifest.ts";
import type { Tensor, TensorArray } from "../format/tensor.ts";

export interface Progress {
  /** "ready": worker up, probes done, module compiled, no weights yet. */
  readonly phase: "manifest" | "engine" | "ready" | "weights" | "done";
  readonly loadedBytes: number;
  /** What this load reads in all; 0 before the manifest is there. */
  readonly totalBytes: number;
}

export interface LoadOptions {
  /** Default "auto". */
  readonly backend?: Backend;
  readonly onProgress?: (progress: Progress) => void;
  /** Aborts loading: the load rejects with code "aborted". */
  readonly signal?: AbortSignal;
  /** Run in a worker (default), or in this thread. */
  readonly worker?: boolean;
  /**
   * Most threads that run the model together, the session's own included. Default: with a worker of its own as many as
   * there are cores, 4 at most; in this thread 1. Several need a cross-origin isolated page and a model that is worth it.
   */
  readonly threads?: number;
  /** Where the built worker/host.js is served from, when a bundler did not place it. */
  readonly workerUrl?: string | URL;
  /** Pins the manifest: "sha256-" and the base64 of its SHA-256. */
  readonly integrity?: string;
  /** Most bytes of linear memory the model may take. */
  readonly maxMemory?: number;
  /** Keep the files in Cache Storage for the next load; default true. */
  readonly cache?: boolean;
}

export interface RunOptions {
  /** Aborts the run, queued or running: it rejects with code "aborted", the session stays usable. */
  readonly signal?: AbortSignal;
  /** Hand the input arrays over instead of copying them: they are unusable afterwards. */
  readonly transfer?: boolean;
}

export interface SyncRunOptions {
  /**
   * Arrays that take the elements of outputs, by name: nothing is allocated for those. Throws option-invalid for one of
   * another type or length than the output, before the run.
   */
  readonly into?: Readonly<Record<string, TensorArray>>;
}

export interface StatsOptions {
  /** Time every step of the runs from now on (or no longer). */
  readonly profile?: boolean;
}

export interface Stats {
  readonly variant: VariantName;
  /** Why this variant. */
  readonly reason: string;
  /** Variants that were preferred, and why they are not used. */
  readonly rejected: readonly { readonly variant: VariantName; readonly why: string }[];
  /** That take part in a run. */
  readonly threads: number;
  readonly memoryBytes: number;
  readonly weightBytes: number;
  readonly arenaBytes: number;
  /** "hit", "miss", or "unavailable: why". */
  readonly cache: string;
  /** "pending", "passed", "failed: …" or "absent". */
  readonly selfTest: string;
  readonly notes: readonly string[];
  readonly runs: number;
  readonly lastRunMilliseconds?: number;
  /** Of the last profiled run. */
  readonly steps?: readonly StepTime[];
}

export interface Session {
  readonly inputs: readonly PortDescription[];
  readonly outputs: readonly PortDescription[];
  /** What the session keeps between runs: neither inputs nor outputs. Zero, or of length 0, after loading. */
  readonly states: readonly StateDescription[];
  /**
   * One inference. Concurrent calls queue in order. Rejects with LeafcutterError; a run that rejects leaves the states
   * as they were, but for device-lost, after which they are zero. state-full: a growing state is at its bound.
   */
  run(inputs: Readonly<Record<string, TensorInput>>, options?: RunOptions): Promise<Readonly<Record<string, Tensor>>>;
  /**
   * Sets the given states, the others to zeros and growing ones to length 0. Queues behind the runs before it.
   * Rejects with LeafcutterError (input-unknown, input-missing, input-dtype, input-shape): then nothing has changed.
   */
  reset(values?: Readonly<Record<string, TensorInput>>): Promise<void>;
  /**
   * Takes the last `rows` from every growing state: text that was taken back, a guess that was wrong. Queues behind the
   * runs before it. Rejects with LeafcutterError option-invalid when there are fewer, or fixed states beside them.
   */
  rewind(rows: number): Promise<void>;
  /** A copy of a state, for `reset` later. Queues behind the runs before it. */
  state(name: string): Promise<Tensor>;
  stats(options?: StatsOptions): Promise<Stats>;
  /** Frees everything; calls that are pending or follow reject with code "disposed". */
  dispose(): Promise<void>;
}

/** A session in the caller's thread. */
export interface LocalSession extends Session {
  /** The whole run without giving the thread away. Throws LeafcutterError. */
  runSync(inputs: Readonly<Record<string, TensorInput>>, options?: SyncRunOptions): Readonly<Record<string, Tensor>>;
  /** As `reset`, at once. Throws LeafcutterError. */
  resetSync(values?: Readonly<Record<string, TensorInput>>): void;
  /** As `rewind`, at once. Throws LeafcutterError. */
  rewindSync(rows: number): void;
}
