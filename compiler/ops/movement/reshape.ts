/**
 * Reshape, Flatten, Squeeze, Unsqueeze: the same bytes under another shape. The target shape may be symbolic, as an
 * input, or as an attribute once shape arithmetic has been resolved.
 */
import * as reference from "../../../runtime/reference/reshape.ts";
import { integerOf } from "../../graph/attribute.ts";
import { type Dim, divideDims, formatDim, productOf, sameDim } from "../../graph/dimension.ts";
import type { TensorType } from "../../graph/graph.ts";
import { defineOperator, exactTolerance, type Operator, type OperatorContext } from "../operator.ts";
import { axisOf, dimsOf, numbersOf, view } from "./copy.ts";

const formatShape = (shape: readonly Dim[]): string => `[${shape.map(formatDim).join(", ")}]`;

function reshapedShape(context: OperatorContext): readonly Dim[] {
  const { shape } = context.type(0);
  const wanted = dimsOf(context, "shape", 1) ?? context.fail("the target shape is missing");
  const keepsZero = integerOf(context.node, "allowzero", 0) !== 0;
  const result = wanted.map((extent, axis) => {
    if (extent !== 0 || keepsZero) return extent;
    return (
      shape[axis] ??
      context.fail(
        "a 0 in the target shape names an axis that the input does not have",
        formatShape(shape),
        formatShape(wanted),
      )
    );
  });
  const free = result.indexOf(-1);
  const total = productOf(shape);
  const known = productOf(result.filter((_, axis) => axis !== free));
  if (free >= 0) {
    if (result.indexOf(-1, free + 1) >= 0)
      context.fail("the target shape has more than one -1", undefined, formatShape(wanted));
    const quotient = divideDims(total, known);
    if (typeof total === "number" && typeof known === "number" && known !== 0 && total % known !== 0)
      context.fail("the input's elements do not fill the target shape", `a multiple of ${known}`, `${total} elements`);
    result[free] = quotient;
  } else if (typeof total === "number" && typeof known === "number" && total !== known) {
    context.fail("the target shape has another number of elements", `${total} elements`, formatShape(result));
  }
  return result;
}

/** A record whose output has input 0's elements in order, under the shape that `shape` gives. */
const viewOperator = (
  op: string,
  shape: (context: OperatorContext) => readonly Dim[],
  meaning: Operator["reference"],
): Operator =>
  defineOperator({
    op,
    infer: (context): readonly TensorType[] => [{ dtype: context.type(0).dtype, shape: shape(context) }],
    elements: (context) => context.elements(0),
    reference: meaning,
    lower: () => view,
    tolerance: exactTolerance,
  });

export const reshape = viewOperator("Reshape", reshapedShape, reference.reshape);

export const flatten = viewOperator(
  "Flatten",
  (context) => {
    const { shape } = context.type(0);
    const axis = integerOf(context.node, "axis", 1);
    const split = axis === shape.length ? axis : axisOf(context, axis, Math.max(shape.length, 1));
    return [productOf(shape.slice(0, split)), productOf(shape.slice(split))];
  },
  reference.flatten,
);

export const squeeze = viewOperator(
  "Squeeze",
  (context) => {
    const { shape } = context.type(0);
    const axes = numbersOf(context, "axes", 1)?.map((axis) => axisOf(context, axis, shape.length));
    if (!axes) return shape.filter((extent) => extent !== 1);
    for (const axis of axes)
      if (typeof shape[axis] === "number" && shape[axis] !== 1)
        context.fail(`axis ${axis} cannot be squeezed`, "extent 1", formatShape(shape));
    return shape.filter((_, axis) => !axes.includes(axis));
  },
  reference.squeeze,
);

export const unsqueeze = viewOperator(
  "Unsqueeze",
  (context) => {
    const { shape } = context.type(0);
    const axes = numbersOf(context, "axes", 1) ?? context.fail("the axes are missing");
    const rank = shape.length + axes.length;
    const inserted = new Set(axes.map((axis) => axisOf(context, axis, rank)));
    if (inserted.size !== axes.length) context.fail("an axis is named twice", undefined, `[${axes.join(", ")}]`);
    const rest = shape[Symbol.iterator]();
    return Array.from({ length: rank }, (_, axis): Dim => (inserted.has(axis) ? 1 : (rest.next().value as Dim)));
  },
  reference.unsqueeze,
);

/** True when moving axes by `permutation` leaves the bytes where they are: only axes of extent 1 change their place. */
export const keepsOrder = (shape: readonly Dim[], permutation: readonly number[]): boolean => {
  const moved = permutation.filter((axis) => !sameDim(shape[axis] as Dim, 1));
  return moved.every((axis, i) => i === 0 || axis > (moved[i - 1] as number));
};
