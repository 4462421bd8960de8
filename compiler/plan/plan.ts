/**
 * What planning hands to codegen: steps in order with symbolic arguments, where every buffer lies, and the
 * bytes of every weight. A later phase never has to look at the Graph again.
 */
import type { DType } from "../../runtime/format/dtype.ts";
import type { SymbolBound } from "../../runtime/format/extent.ts";
import type { ReferenceAttributeData } from "../../runtime/format/host-step.ts";
import type { MemoryMap } from "../../runtime/format/program.ts";
import type { Dim } from "../graph/dimension.ts";
import type { BoundStep, Buffer, View } from "../kernels/contract.ts";
import type { Division } from "./grain.ts";

export interface PlannedKernelStep extends BoundStep, Division {
  readonly kind: "kernel";
  readonly name: string;
  readonly op: string;
}

export interface PlannedHostStep {
  readonly kind: "host";
  readonly name: string;
  readonly op: string;
  readonly reference: string;
  readonly version: number;
  readonly attributes: Readonly<Record<string, ReferenceAttributeData>>;
  /** Dense views. */
  readonly inputs: readonly (View | undefined)[];
  readonly outputs: readonly View[];
}

/** As JumpStep: `target` is the index of a planned step, or their number. */
export interface PlannedJump {
  readonly kind: "jump";
  readonly name: string;
  readonly op: string;
  readonly target: number;
  /** One byte. */
  readonly condition: View | undefined;
}

/** As RepeatStep. */
export interface PlannedRepeat {
  readonly kind: "repeat";
  readonly name: string;
  readonly op: string;
  readonly target: number;
  readonly count: Dim;
  readonly condition: View | undefined;
  readonly iteration: View | undefined;
}

export type PlannedStep = PlannedKernelStep | PlannedHostStep | PlannedJump | PlannedRepeat;

export interface PlannedPort {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly Dim[];
  /** As Graph.fixedInputs. */
  readonly value?: readonly number[];
  readonly view: View;
}

/** As State of runtime/format/program.ts. */
export type PlannedState = {
  readonly name: string;
  readonly output: string;
  readonly dtype: DType;
  readonly view: View;
} & (
  | { readonly kind: "fixed"; readonly shape: readonly number[]; readonly source: View }
  | {
      readonly kind: "growing";
      readonly shape: readonly Dim[];
      readonly axis: number;
      readonly capacity: number;
      readonly length: Dim;
    }
);

/** A constant as it travels: `unit` is where it may be cut (one panel), 64 for anything else. */
export interface PlannedWeight {
  readonly buffer: Buffer;
  readonly bytes: Uint8Array;
  readonly unit: number;
  /** Names of the graph constants in it. */
  readonly constants: readonly string[];
}

export interface Plan {
  readonly name: string;
  readonly symbols: ReadonlyMap<string, SymbolBound>;
  readonly inputs: readonly PlannedPort[];
  readonly outputs: readonly PlannedPort[];
  readonly states: readonly PlannedState[];
  readonly steps: readonly PlannedStep[];
  /** In order of first use; they stand one after another, 64-byte aligned, from memory.weights.start. */
  readonly weights: readonly PlannedWeight[];
  readonly memory: MemoryMap;
  /** Absolute byte address of every buffer. */
  readonly addresses: ReadonlyMap<Buffer, number>;
  /** Largest sum of live unpadded tensors over the step order, in bytes: what the arena is measured against. */
  readonly liveBytes: number;
}
