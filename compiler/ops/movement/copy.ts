/** Loop nests that only move elements, and the two questions every record of this folder asks about axes and dims. */
import type { DType } from "../../../runtime/format/dtype.ts";
import { type Expression, input } from "../../../runtime/format/expression.ts";
import { extentBounds } from "../../../runtime/format/extent.ts";
import { type Dim, subtractDims, symbolsOf } from "../../graph/dimension.ts";
import type { TensorType } from "../../graph/graph.ts";
import { type AffineIndex, identityAccess, type LoopNest } from "../../loop/loop.ts";
import type { LoweredStep, Lowering, OperatorContext, StepOperand } from "../operator.ts";

/** A possibly negative axis as 0..rank-1. */
export function axisOf(context: OperatorContext, axis: number, rank: number): number {
  const positive = axis < 0 ? axis + rank : axis;
  if (Number.isInteger(axis) && positive >= 0 && positive < rank) return positive;
  return context.fail("an axis is out of range", `-${rank}..${rank - 1}`, String(axis));
}

/** A dim that has to be a number when the model is compiled. */
export function numberOfDim(context: OperatorContext, what: string, dim: Dim | undefined): number {
  if (typeof dim === "number") return dim;
  return context.fail(
    `${what} must be known when the model is compiled`,
    "a constant",
    dim === undefined ? "a computed value" : "a symbolic dimension",
  );
}

/** Numbers that have to be known when the model is compiled; undefined when the parameter is absent. */
export function numbersOf(context: OperatorContext, name: string, index: number): readonly number[] | undefined {
  if (!context.has(index) && context.node.attributes[name] === undefined) return undefined;
  const dims =
    context.integers(name, index) ??
    context.fail(`${name} must be known when the model is compiled`, "a constant", "a computed value");
  return dims.map((dim) => numberOfDim(context, name, dim));
}

/** Dims that have to be known, possibly symbolic; undefined when the parameter is absent. */
export function dimsOf(context: OperatorContext, name: string, index: number): readonly Dim[] | undefined {
  if (!context.has(index) && context.node.attributes[name] === undefined) return undefined;
  return (
    context.integers(name, index) ??
    context.fail(
      `${name} must follow from the shapes of the inputs`,
      "integers known when the model is compiled",
      "a computed value",
    )
  );
}

/** Whether left >= right for every value of the symbols from 1 up (interval arithmetic: a false answer proves nothing). */
export function isAtLeast(left: Dim, right: Dim): boolean {
  const difference = subtractDims(left, right);
  const symbols = new Map(
    symbolsOf(difference).map((name) => [name, { name, lower: 1, upper: Number.MAX_SAFE_INTEGER }]),
  );
  return extentBounds(difference, symbols)[0] >= 0;
}

/** A nest whose iteration axes are those of its output. */
export function nestOver(
  type: TensorType,
  operands: LoopNest["operands"],
  body: Expression,
  parameters: readonly Dim[] = [],
): LoopNest {
  return {
    extents: type.shape,
    reductions: 0,
    operands,
    parameters,
    body,
    output: { dtype: type.dtype, access: identityAccess(type.shape.length) },
  };
}

/** Copies elements of one operand at affine coordinates; the output is walked in its own order unless `outputAccess` is given. */
export const copyNest = (
  dtype: DType,
  extents: readonly Dim[],
  access: readonly AffineIndex[],
  outputAccess: readonly AffineIndex[] = identityAccess(extents.length),
): LoopNest => ({
  extents,
  reductions: 0,
  operands: [{ dtype, access }],
  parameters: [],
  body: input(0),
  output: { dtype, access: outputAccess },
});

export const inputOperand = (index: number): StepOperand => ({ kind: "input", index });
export const outputOperand = (index: number): StepOperand => ({ kind: "output", index });

/** One step of a lowering; reads input 0 and writes output 0 unless told otherwise. */
export const nestStep = (
  nest: LoopNest,
  operands: readonly StepOperand[] = [inputOperand(0)],
  output: StepOperand = outputOperand(0),
): LoweredStep => ({ kind: "nest", nest, operands, output });

export const steps = (...list: readonly LoweredStep[]): Lowering => ({ kind: "steps", steps: list, temporaries: [] });

export const view: Lowering = { kind: "view" };

/** The type of the only output, as the record infers it. */
export const only = (types: readonly TensorType[]): TensorType => types[0] as TensorType;
