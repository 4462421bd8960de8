/**
 * The program of a package: what the engine walks. Steps with a kernel become records in linear memory
 * (headerWords, then `arguments`); host steps run a reference function. Words that depend on symbols are
 * evaluated whenever the bound symbols change. Everything here is an attacker's data until validated.
 */
import type { DType } from "./dtype.ts";
import type { Extent, SymbolBound } from "./extent.ts";
import type { ReferenceAttributeData } from "./host-step.ts";

/** Byte range [start, start + bytes) of linear memory. */
export interface Region {
  readonly start: number;
  readonly bytes: number;
}

/** A model input or output: dense row-major at a fixed byte address. */
export interface Port {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly Extent[];
  /** As PortDescription.value. */
  readonly value?: readonly number[];
  readonly address: number;
}

/** A tensor that lives in the arena between runs, at the same address for the life of the memory. */
interface PlacedState {
  /** The model's input that reads it. */
  readonly name: string;
  /** The model's output that is its next value. */
  readonly output: string;
  readonly dtype: DType;
  readonly address: number;
}

/** Dense. A run leaves the next value at `source`; it is copied to `address` when the run has ended. */
export interface FixedState extends PlacedState {
  readonly kind: "fixed";
  readonly shape: readonly number[];
  readonly source: number;
}

/**
 * Lies as a dense tensor whose `axis` has the extent `capacity`; `shape[axis]` is the symbol of its length, which no
 * input binds. A run writes rows behind the last one, in place, and leaves it `length` long.
 */
export interface GrowingState extends PlacedState {
  readonly kind: "growing";
  readonly shape: readonly Extent[];
  readonly axis: number;
  readonly capacity: number;
  readonly length: Extent;
}

export type State = FixedState | GrowingState;

/** What a step touches through the address in argument `word`: [start, start + bytes), which must lie inside planned memory. */
export interface Access {
  readonly word: number;
  readonly start: Extent;
  readonly bytes: Extent;
  /** "scratch": a call of the kernel reads only what the same call has written; each thread has its own. */
  readonly mode: "read" | "write" | "read-write" | "scratch";
}

export interface KernelStep {
  readonly kind: "kernel";
  /** Name of the source node(s), for profiles and errors. */
  readonly name: string;
  readonly op: string;
  /** Index into `kernels` and into the module's function table. */
  readonly kernel: number;
  /** Iterations of the outermost independent loop. */
  readonly range: Extent;
  /** Threads take parts of whole grains of the range; absent: one thread runs all of it. */
  readonly grain?: number;
  /** 32-bit words; float arguments as their bits. */
  readonly arguments: readonly Extent[];
  readonly accesses: readonly Access[];
  readonly flops: Extent;
  readonly bytes: Extent;
  /** Work items on a GPU. */
  readonly invocations: Extent;
}

/** A dense tensor in linear memory. */
export interface HostOperand {
  readonly dtype: DType;
  readonly shape: readonly Extent[];
  readonly address: number;
}

export interface HostStep {
  readonly kind: "host";
  readonly name: string;
  readonly op: string;
  /** Key of runtime/reference/table.ts. */
  readonly reference: string;
  readonly version: number;
  readonly attributes: Readonly<Record<string, ReferenceAttributeData>>;
  readonly inputs: readonly (HostOperand | null)[];
  /** Shapes are upper bounds where the reference discovers them. */
  readonly outputs: readonly HostOperand[];
}

/**
 * Goes on at step `target` when the bool at `condition` is 0, or always without one. Forward only: `target` is behind
 * this step; the number of steps ends the run.
 */
export interface JumpStep {
  readonly kind: "jump";
  readonly name: string;
  readonly op: string;
  readonly target: number;
  /** Address of one byte, 0 or 1. */
  readonly condition?: number;
}

/**
 * The end of a loop's body, which is the steps from `target` to this one: goes back there until the body has run
 * `count` times, or until the bool at `condition` is 0. `count` bounds the loop, so that every run ends.
 */
export interface RepeatStep {
  readonly kind: "repeat";
  readonly name: string;
  readonly op: string;
  readonly target: number;
  readonly count: Extent;
  /** Address of one byte, 0 or 1. */
  readonly condition?: number;
  /** Address of an int64 that gets the number of finished iterations before each further one; steps in front of the body make it 0. */
  readonly iteration?: number;
}

export type ProgramStep = KernelStep | HostStep | JumpStep | RepeatStep;

/**
 * Known answer of one kernel: fill `fills` with the generator of random.ts, run units 0..units of step `step`,
 * compare `samples` (|a - b| <= tolerance * (1 + |b|)).
 */
export interface KernelProbe {
  readonly step: number;
  readonly units: number;
  readonly fills: readonly {
    readonly start: number;
    readonly bytes: number;
    readonly dtype: DType;
    readonly seed: number;
  }[];
  readonly samples: readonly { readonly address: number; readonly dtype: DType; readonly value: number }[];
  readonly tolerance: number;
}

export interface ProgramKernel {
  readonly name: string;
  readonly probe?: KernelProbe;
}

/** Bytes of a page of WebAssembly memory. */
export const pageBytes = 65536;

export interface MemoryMap {
  /** 64 KiB pages of the WebAssembly.Memory: initial = maximum. */
  readonly pages: number;
  /** The shards, one after another, fill this. */
  readonly weights: Region;
  /** Step records. */
  readonly table: Region;
  /** Activations, inputs, outputs, scratch. */
  readonly arena: Region;
}

export interface Program {
  readonly symbols: readonly SymbolBound[];
  readonly memory: MemoryMap;
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  /** What lives between runs; inputs and outputs of the model that are states are no ports of the program. */
  readonly states?: readonly State[];
  readonly kernels: readonly ProgramKernel[];
  readonly steps: readonly ProgramStep[];
}

/** Words in front of a record's arguments: table index, range, record size in bytes, grain. */
export const recordHeaderWords = 4;

/** The grain of a step that is never divided. */
export const undivided = 2 ** 31 - 1;

/** Size of a kernel step's record. Records lie one after another from `memory.table.start`, in the order of the steps. */
export function recordBytes(step: KernelStep): number {
  return 4 * (recordHeaderWords + step.arguments.length);
}
