/** Transpose: a copy with permuted coordinates, or a view when only axes of extent 1 move. */
import { transpose as reference } from "../../../runtime/reference/rearrange.ts";
import { integersOf } from "../../graph/attribute.ts";
import type { Dim } from "../../graph/dimension.ts";
import { along } from "../../loop/loop.ts";
import { defineOperator, exactTolerance, type OperatorContext } from "../operator.ts";
import { axisOf, copyNest, nestStep, steps, view } from "./copy.ts";
import { keepsOrder } from "./reshape.ts";

/** Output axis i is input axis permutation[i]. */
function permutationOf(context: OperatorContext): readonly number[] {
  const rank = context.type(0).shape.length;
  const permutation = integersOf(context.node, "perm")?.map((axis) => axisOf(context, axis, rank));
  if (!permutation) return Array.from({ length: rank }, (_, axis) => rank - 1 - axis);
  if (permutation.length !== rank || new Set(permutation).size !== rank)
    context.fail("perm is not a permutation of the axes", `${rank} different axes`, `[${permutation.join(", ")}]`);
  return permutation;
}

export const transpose = defineOperator({
  op: "Transpose",
  infer: (context) => {
    const { dtype, shape } = context.type(0);
    return [{ dtype, shape: permutationOf(context).map((axis) => shape[axis] as Dim) }];
  },
  elements: (context) => (context.type(0).shape.length < 2 ? context.elements(0) : undefined),
  reference,
  lower: (context) => {
    const { dtype, shape } = context.type(0);
    const permutation = permutationOf(context);
    if (keepsOrder(shape, permutation)) return view;
    const extents = permutation.map((axis) => shape[axis] as Dim);
    return steps(
      nestStep(
        copyNest(
          dtype,
          extents,
          shape.map((_, axis) => along(permutation.indexOf(axis))),
        ),
      ),
    );
  },
  tolerance: exactTolerance,
});
