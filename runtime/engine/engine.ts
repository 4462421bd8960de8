/**
 * What executes a program on one backend. A session creates it, fills its weights, then runs it.
 *
 * Ownership: an engine owns the linear memory (or the device buffers) of one session. `run` reads the caller's arrays
 * before it first yields and never keeps them; the tensors it returns are the caller's own copies. The weight region
 * belongs to whoever writes it until the first run, and to the engine afterwards.
 * Ordering: one run at a time, weights and `probeKernels` before the first; the session queues, the engine does
 * not. A run that fails or is aborted leaves the engine ready for the next: nothing that a run reads before writing
 * survives from the run before but states, which only a run that ended changes.
 */
import type { VariantName } from "../format/manifest.ts";
import type { Program } from "../format/program.ts";
import type { Tensor } from "../format/tensor.ts";
import type { TensorInput } from "./input.ts";

export interface RunControl {
  /** Aborts between slices; the run then rejects with code "aborted". */
  readonly signal?: AbortSignal;
  /** Time every step; costs a few per cent. */
  readonly profile?: boolean;
}

/** What one step took in a profiled run. */
export interface StepTime {
  readonly name: string;
  readonly op: string;
  /** Name of the kernel, or of the reference function of a host step. */
  readonly kernel: string;
  readonly milliseconds: number;
  /** Floating-point operations of the direct form, and bytes read plus written. */
  readonly flops: number;
  readonly bytes: number;
  readonly where: "wasm" | "webgpu" | "host";
}

export interface RunResult {
  readonly outputs: Readonly<Record<string, Tensor>>;
  /** One per step of the program, when the run was profiled. */
  readonly steps?: readonly StepTime[];
}

/** A kernel whose known answer did not come out. */
export interface KernelFailure {
  readonly kernel: string;
  readonly expected: string;
  readonly received: string;
}

/** The threads of an engine that may have several. */
export interface ThreadStatus {
  /** That take part in a run. */
  readonly count: number;
  /** Why there is only one left. */
  readonly why?: string;
}

export interface Engine {
  readonly variant: VariantName;
  readonly program: Program;
  /** The memory that holds the weights, when it lies in this thread: an engine that replaces this one may take it over. */
  readonly memory?: WebAssembly.Memory;
  /** Absent for an engine that never has more than one. */
  readonly threads?: ThreadStatus | undefined;
  /** The weight region, to be filled in place before the first run. */
  readonly weights: Uint8Array;
  /** Runs the known answer of every kernel that has one (weights must be in) and undoes what that wrote. */
  probeKernels(): Promise<readonly KernelFailure[]>;
  /** One inference. Throws LeafcutterError: input-*, aborted, program-invalid (a trap), device-lost. */
  run(inputs: Readonly<Record<string, TensorInput>>, control?: RunControl): Promise<RunResult>;
  /**
   * Sets the given states, the others to zeros. Throws LeafcutterError input-*: then nothing has changed; device-lost.
   */
  reset(values?: Readonly<Record<string, TensorInput>>): Promise<void>;
  /** Takes the last `rows` from every growing state. Throws LeafcutterError option-invalid: then nothing has changed. */
  rewind(rows: number): void;
  /** A copy of a state as the next run will find it. Throws LeafcutterError: input-unknown, device-lost. */
  state(name: string): Promise<Tensor>;
  /** Frees everything; no call may follow. */
  dispose(): void;
}
