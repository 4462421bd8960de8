/**
 * Gather along one axis. Indices that are constant and evenly spaced become affine coordinates; others are read,
 * wrapped when negative and clamped, so that no data leads outside the operand.
 */
import { axis as axisIndex, type Expression, load } from "../../../runtime/format/expression.ts";
import { gather as reference } from "../../../runtime/reference/gather.ts";
import { integerOf } from "../../graph/attribute.ts";
import type { Dim } from "../../graph/dimension.ts";
import { type AffineIndex, along, fixed } from "../../loop/loop.ts";
import { Parameters } from "../contraction/integer-expression.ts";
import { defineOperator, exactTolerance, type OperatorContext } from "../operator.ts";
import { axisOf, copyNest, inputOperand, nestOver, nestStep, only, steps } from "./copy.ts";
import { checkIndexType, wrapIndex } from "./index-expression.ts";

const axisOfGather = (context: OperatorContext): number =>
  axisOf(context, integerOf(context.node, "axis", 0), context.type(0).shape.length);

/** The coordinate along the gathered axis when the constant indices, of rank 0 or 1, are evenly spaced and in bounds. */
function affineIndex(
  indices: readonly Dim[] | undefined,
  rank: number,
  extent: Dim,
  axis: number,
): AffineIndex | undefined {
  const [first, second] = indices ?? [];
  if (!indices || rank > 1 || typeof first !== "number" || typeof extent !== "number") return undefined;
  const step = typeof second === "number" ? second - first : 0;
  const isRegular = indices.every((index, i) => {
    if (index !== first + i * step) return false;
    return first < 0 ? index < 0 && index >= -extent : index >= 0 && index < extent;
  });
  if (!isRegular) return undefined;
  const start = first < 0 ? first + extent : first;
  return rank === 0 ? fixed(start) : along(axis, step, start);
}

export const gather = defineOperator({
  op: "Gather",
  infer: (context) => {
    const { dtype, shape } = context.type(0);
    checkIndexType(context, 1);
    const axis = axisOfGather(context);
    return [{ dtype, shape: [...shape.slice(0, axis), ...context.type(1).shape, ...shape.slice(axis + 1)] }];
  },
  elements: (context) => {
    const data = context.elements(0);
    const indices = context.elements(1);
    if (!data || !indices || context.type(0).shape.length !== 1) return undefined;
    const picked = indices.map((index) =>
      typeof index === "number" ? data[index < 0 ? index + data.length : index] : undefined,
    );
    return picked.every((dim) => dim !== undefined) ? picked : undefined;
  },
  reference,
  lower: (context) => {
    const data = context.type(0);
    const indices = context.type(1);
    const type = only(gather.infer(context));
    const axis = axisOfGather(context);
    const rank = indices.shape.length;
    const behind = (i: number): number => i - 1 + rank;
    const extent = data.shape[axis] as Dim;
    const regular = affineIndex(context.elements(1), rank, extent, axis);
    if (regular) {
      const access = data.shape.map((_, i) => (i < axis ? along(i) : i === axis ? regular : along(behind(i))));
      return steps(nestStep(copyNest(data.dtype, type.shape, access)));
    }
    const parameters = new Parameters();
    const index = wrapIndex(1, indices.dtype, parameters.of(extent));
    const at = data.shape.map(
      (_, i): Expression => (i < axis ? axisIndex(i) : i === axis ? index : axisIndex(behind(i))),
    );
    const nest = nestOver(
      type,
      [
        { dtype: data.dtype, access: "indexed" },
        { dtype: indices.dtype, access: indices.shape.map((_, i) => along(axis + i)) },
      ],
      load(0, at),
      parameters.values,
    );
    return steps(nestStep(nest, [inputOperand(0), inputOperand(1)]));
  },
  tolerance: exactTolerance,
});
