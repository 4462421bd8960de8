/** Which axes a reducing node reduces, and the shape that is left. */
import { integerOf } from "../../graph/attribute.ts";
import type { Dim } from "../../graph/dimension.ts";
import type { OperatorContext } from "../operator.ts";

/** A possibly negative axis of a tensor of rank `rank`. */
export function axisOf(context: OperatorContext, axis: number, rank: number): number {
  const positive = axis < 0 ? axis + rank : axis;
  return positive >= 0 && positive < rank
    ? positive
    : context.fail("axis is out of range", `-${rank}..${rank - 1}`, String(axis));
}

/** The reduced axes in ascending order; undefined when the node copies its input (noop_with_empty_axes). */
export function reducedAxes(context: OperatorContext): readonly number[] | undefined {
  const rank = context.type(0).shape.length;
  const given = context.integers("axes", 1);
  const emptyInput = context.has(1) && context.type(1).shape[0] === 0;
  if (given === undefined && context.has(1) && !emptyInput)
    return context.fail("the axes are not known when compiling");
  if (given === undefined || given.length === 0)
    return integerOf(context.node, "noop_with_empty_axes", 0) === 1
      ? undefined
      : Array.from({ length: rank }, (_, axis) => axis);
  const axes = given.map((axis) =>
    typeof axis === "number" ? axisOf(context, axis, rank) : context.fail("an axis is symbolic"),
  );
  return [...new Set(axes)].sort((a, b) => a - b);
}

/** The shape after reduction of `axes`. */
export const reducedShape = (shape: readonly Dim[], axes: readonly number[], keep: boolean): readonly Dim[] =>
  shape.flatMap((extent, axis) => (axes.includes(axis) ? (keep ? [1] : []) : [extent]));
