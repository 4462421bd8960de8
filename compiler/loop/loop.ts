/**
 * Target-neutral kernel IR for the long tail: an iteration space, a scalar body, an optional reduction and a
 * finishing expression. Says what is computed, not how: order, vectors and slices are chosen by whoever emits it.
 * interpret.ts is the living definition.
 */
import type { DType } from "../../runtime/format/dtype.ts";
import type { Expression } from "../../runtime/format/expression.ts";
import type { Dim } from "../graph/dimension.ts";

/** One coordinate of an operand: offset + sum over axes of coefficient * index of that axis. Must stay in bounds. */
export interface AffineIndex {
  readonly offset: Dim;
  readonly terms: readonly { readonly axis: number; readonly coefficient: Dim }[];
}

export interface LoopOperand {
  readonly dtype: DType;
  /** One affine coordinate per axis of the operand: what `input` reads. "indexed": read only through `load`. */
  readonly access: readonly AffineIndex[] | "indexed";
}

export interface LoopNest {
  /** Extents of the iteration axes: parallel ones first, then `reductions` reduced ones. */
  readonly extents: readonly Dim[];
  readonly reductions: number;
  /** Operand k of the body; bound in this order by the step. */
  readonly operands: readonly LoopOperand[];
  /** Integers for `parameter` leaves. */
  readonly parameters: readonly Dim[];
  readonly body: Expression;
  /** How body values of one point of the parallel axes combine; absent when nothing is reduced. Initial value is the operation's identity. */
  readonly combine?: "add" | "multiply" | "maximum" | "minimum";
  /** Applied once per output element; operand 0 is the reduced value, operand k+1 is operand k of the nest (affine over parallel axes only). */
  readonly finish?: Expression;
  readonly output: {
    readonly dtype: DType;
    /** Coordinates over the parallel axes; or computed int32 expressions (scatter: later iterations win, run in order). */
    readonly access: readonly AffineIndex[] | { readonly computed: readonly Expression[] };
  };
}

/** The coordinate that is just one iteration axis. */
export const along = (axis: number, coefficient: Dim = 1, offset: Dim = 0): AffineIndex => ({
  offset,
  terms: [{ axis, coefficient }],
});

/** A fixed coordinate. */
export const fixed = (offset: Dim): AffineIndex => ({ offset, terms: [] });

/** Coordinates of an operand that is indexed by the axes themselves. */
export const identityAccess = (rank: number): readonly AffineIndex[] =>
  Array.from({ length: rank }, (_, axis) => along(axis));

/** Coordinates of an operand of shape `shape` broadcast (numpy rules) to the iteration extents. Only a constant 1 broadcasts. */
export function broadcastAccess(shape: readonly Dim[], rank: number): readonly AffineIndex[] {
  return shape.map((extent, axis) => (extent === 1 ? fixed(0) : along(axis + rank - shape.length)));
}
