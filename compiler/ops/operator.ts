/**
 * One record per operator: shape and type rule, meaning, lowering, tolerance. Everything that has to know
 * operators (import, folding, passes, plan, tests, documentation) reads these records.
 */
import type { Expression } from "../../runtime/format/expression.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import type { Reference } from "../../runtime/reference/reference.ts";
import type { Dim } from "../graph/dimension.ts";
import type { Node, TensorType } from "../graph/graph.ts";
import type { Problem } from "../kernels/problem.ts";
import type { LoopNest } from "../loop/loop.ts";

/** What a record may ask about the node it describes. Index i is the node's input i. */
export interface OperatorContext {
  readonly node: Node;
  /** Type of input i; throws operator-invalid (naming the node) when it is absent. */
  type(index: number): TensorType;
  /** Whether the optional input i is present. */
  has(index: number): boolean;
  /** Data of input i when it is a constant. */
  constant(index: number): Tensor | undefined;
  /** Integer content of input i, possibly symbolic, when it is known: constants and shape arithmetic. Flattened. */
  elements(index: number): readonly Dim[] | undefined;
  /** Integers that newer versions pass as input `index` and older ones as attribute `name`; undefined when absent. */
  integers(name: string, index: number): readonly Dim[] | undefined;
  /** Throws a LeafcutterError (operator-invalid) that names the node. */
  fail(message: string, expected?: string, received?: string): never;
}

/** Where a lowered step reads or writes. */
export type StepOperand =
  | { readonly kind: "input"; readonly index: number }
  | { readonly kind: "output"; readonly index: number }
  /** Index into the lowering's `temporaries`: dense scratch between its steps. */
  | { readonly kind: "temporary"; readonly index: number };

export interface NestStep {
  readonly kind: "nest";
  readonly nest: LoopNest;
  readonly operands: readonly StepOperand[];
  readonly output: StepOperand;
}

export type LoweredStep =
  | NestStep
  | {
      readonly kind: "family";
      readonly problem: Problem;
      readonly operands: readonly (StepOperand | undefined)[];
      readonly outputs: readonly StepOperand[];
      /** What computes the same when no variant of the family accepts the problem; without it the node is a host step. */
      readonly otherwise?: NestStep;
    };

export type Lowering =
  /** Output 0 has the bytes of input 0 in row-major order under another shape or equal-sized meaning (Reshape). */
  | { readonly kind: "view" }
  | { readonly kind: "steps"; readonly steps: readonly LoweredStep[]; readonly temporaries: readonly TensorType[] };

/** |a - b| <= absolute * max|b| + relative * |b|. Integers and bools are always exact. */
export interface Tolerance {
  readonly absolute: number;
  readonly relative: number;
}

export interface Operator {
  /** As in Node.op. */
  readonly op: string;
  /** Types of all outputs. Throws through context.fail. */
  readonly infer: (context: OperatorContext) => readonly TensorType[];
  /** Integer content of output 0 when it follows from the inputs' known (possibly symbolic) integers. */
  readonly elements?: (context: OperatorContext) => readonly Dim[] | undefined;
  readonly reference: Reference;
  /** Name of the reference in runtime/reference/table.ts, for host steps; the same as `op` unless given. */
  readonly referenceName?: string;
  /** For elementwise operators (numpy broadcasting of all inputs): one output element from one element of each input. undefined when this node's form is not elementwise. */
  readonly expression?: (context: OperatorContext) => Expression | undefined;
  /** undefined: this form has no generated kernel and runs as a host step. Elementwise operators need none: they lower through `expression`. */
  readonly lower?: (context: OperatorContext) => Lowering | undefined;
  readonly tolerance: Tolerance;
}

/** For operators whose results are exact or nearly so (data movement, single operations). */
export const exactTolerance: Tolerance = { absolute: 0, relative: 1e-6 };
/** For transcendental functions and short sums. */
export const closeTolerance: Tolerance = { absolute: 1e-6, relative: 1e-5 };
/** For long sums of products. */
export const sumTolerance: Tolerance = { absolute: 1e-5, relative: 1e-4 };

/** Checks a record at the place where it is written. */
export const defineOperator = (operator: Operator): Operator => operator;
