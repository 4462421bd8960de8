/**
 * What a kernel family is to the planner: variants, a packed layout of its constants, and a binding of
 * operands to one step. Addresses are symbolic here (buffer + offset): the planner places buffers later.
 */
import type { DType } from "../../runtime/format/dtype.ts";
import type { Expression } from "../../runtime/format/expression.ts";
import type { Access } from "../../runtime/format/program.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import type { FunctionReference } from "../assemble/expression.ts";
import type { MathLibrary } from "../assemble/math.ts";
import type { WasmTarget } from "../assemble/target.ts";
import type { ModuleBuilder } from "../assemble/wasm.ts";
import type { Dim } from "../graph/dimension.ts";
import type { Storage } from "../graph/graph.ts";
import type { Problem } from "./problem.ts";

/** A piece of memory to be placed: identity is the object. Alignment 64 bytes. */
export interface Buffer {
  readonly kind: "input" | "output" | "weight" | "scratch" | "state";
  readonly name: string;
  /** Element type of what lies in it; uint8 for packed weights, float32 for the scratch of kernels. */
  readonly dtype: DType;
  /** Size for the bounds of all symbols is what is reserved. */
  readonly bytes: Dim;
}

/** A strided window of a buffer: byte address of element [0, …, 0] and byte strides per axis. */
export interface View {
  readonly buffer: Buffer;
  readonly offset: Dim;
  readonly dtype: DType;
  readonly shape: readonly Dim[];
  readonly strides: readonly Dim[];
}

/** One 32-bit word of a step record. */
export type Argument =
  | {
      readonly kind: "address";
      readonly buffer: Buffer;
      readonly offset: Dim;
      readonly access: Access["mode"];
    }
  | { readonly kind: "integer"; readonly value: Dim }
  /** Stored as the bits of a float32. */
  | { readonly kind: "float"; readonly value: number };

export interface WasmKernelContext {
  readonly module: ModuleBuilder;
  readonly target: WasmTarget;
  readonly math: MathLibrary;
  /** A function shared by several kernels of the module, defined once per key. */
  shared(key: string, define: () => FunctionReference): FunctionReference;
}

/**
 * WGSL of one kernel: the body of `fn run(index: u32, record: u32)`, run for every index in 0..invocations.
 * It sees the whole linear memory by words, `cell(i) -> u32` and `setCell(i, value)`, `word(record, i) -> u32`
 * (argument i) and `range(record) -> u32`, plus what `prelude` declares.
 */
export interface WgslKernel {
  readonly prelude: readonly string[];
  readonly body: string;
  /** Invocations write parts of one word: `mergeCell(i, mask, bits)` is there, and words are atomic. */
  readonly writesParts: boolean;
}

/** Generated code; kernels with equal keys are the same function. */
export interface Kernel {
  readonly key: string;
  /** Short name for profiles: "conv 6x8 float32 relu". */
  readonly name: string;
  /** Function (record: i32, begin: i32, end: i32) -> (): runs iterations begin..end of the outermost independent loop. */
  readonly emitWasm: (context: WasmKernelContext) => FunctionReference;
  /** undefined: not with the dtypes at hand. */
  readonly emitWgsl?: () => WgslKernel | undefined;
}

/** Elementwise code of a step, which the cost table knows by the operations of its expression. */
export interface ElementwiseWork {
  /** How often the expression is computed; for copies and fills, how many elements of four bytes are written. */
  readonly points: Dim;
  /** How often the innermost loop is entered. */
  readonly rows: Dim;
  readonly form: "vector" | "scalar" | "copy" | "transpose" | "fill";
  readonly expression: Expression;
}

export interface BoundStep {
  readonly kernel: Kernel;
  readonly arguments: readonly Argument[];
  /** Iterations of the outermost independent loop. */
  readonly range: Dim;
  /**
   * Iterations that must stay together: parts that begin at multiples of it give the same bits, whatever runs them and
   * at the same time. 0: iterations depend on their order. Default 1.
   */
  readonly granule?: number;
  /** Floating-point operations of the direct form (2 per multiply-add) and bytes read plus written. */
  readonly flops: Dim;
  readonly bytes: Dim;
  /** Absent for families, whose work the cost table knows as a whole. */
  readonly elementwise?: readonly ElementwiseWork[];
  /** Work items when run on a GPU. */
  readonly invocations: Dim;
}

/** Widths of the border that a family wants around the two spatial axes (1 and 2) of a NHWC operand, filled with `value`. */
export interface Halo {
  readonly top: number;
  readonly left: number;
  readonly bottom: number;
  readonly right: number;
  readonly value: number;
}

/** Constants in a family's packed layout; `unit` is the size at which a large one may be cut into shards (one panel). */
export interface Packed {
  readonly bytes: Uint8Array;
  readonly unit: number;
}

/** How a constant that is packed is read element by element, so that another reader of it needs no copy of its own. */
export interface PackedReading {
  readonly views: readonly View[];
  /** The float32 element at `coordinates` (int32 expressions, one per axis of the operand); `load` reads `views[view]`. */
  value(coordinates: readonly Expression[], load: (view: number, at: readonly Expression[]) => Expression): Expression;
}

/** A row of a family's variants.ts: a schedule, no semantics. */
export interface Variant {
  readonly name: string;
}

export interface Family<P extends Problem, V extends Variant = Variant> {
  readonly name: P["family"];
  readonly variants: readonly V[];
  /** Whether operands and outputs may have any strides (but a contiguous or broadcast last axis); otherwise they are dense. */
  readonly strided: boolean;
  /** Whether `variant` can compute `problem`. */
  accepts(variant: V, problem: P): boolean;
  /** Multiply-adds (or elements moved) that `variant` really executes, ragged tiles included; the cost table turns them into time. */
  work(variant: V, problem: P, extent: (dim: Dim) => number): number;
  /** What takes time beside the work, by name: tiles that are begun, runs of neighbouring inputs, … The cost table has a price for each. */
  overheads?(variant: V, problem: P, extent: (dim: Dim) => number): Readonly<Record<string, number>>;
  /** The border wanted around operand `index`; undefined for none. */
  halo?(problem: P, index: number): Halo | undefined;
  /** Which operands are constants that `pack` turns into one weight buffer; empty when the family has none. */
  packedOperands(problem: P): readonly number[];
  /** `constants[i]` is the tensor of operand packedOperands[i] (undefined when absent), already rounded to `storage[i]`. */
  pack?(
    variant: V,
    problem: P,
    constants: readonly (Tensor | undefined)[],
    storage: readonly (Storage | undefined)[],
  ): Packed;
  /** What the layout of packed operands depends on, the constants apart; default the whole problem. Equal keys of the same constants share their bytes. */
  packKey?(variant: V, problem: P): string;
  /** How operand `index` can be read where it lies in `packed`; undefined when it cannot. */
  readPacked?(variant: V, problem: P, index: number, packed: Buffer): PackedReading | undefined;
  /** Scratch a step needs (a converted panel, partial sums), in bytes. */
  scratchBytes?(variant: V, problem: P): Dim;
  /** `operands[i]` is undefined for packed and absent operands; `packed` and `scratch` as asked for above. Epilogue operands arrive broadcast to the output's shape (stride 0). */
  bind(
    variant: V,
    problem: P,
    operands: readonly (View | undefined)[],
    outputs: readonly View[],
    packed: Buffer | undefined,
    scratch: Buffer | undefined,
  ): BoundStep;
}
