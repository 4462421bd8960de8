/**
 * If: one of two graphs. Inputs: the condition, then what the branches take from outside, in the order of both
 * branches' inputs. plan/regions.ts says how it runs.
 */
import { graphOf } from "../../graph/attribute.ts";
import { formatDim, sameShape } from "../../graph/dimension.ts";
import type { TensorType } from "../../graph/graph.ts";
import { defineOperator, exactTolerance, type Operator } from "../operator.ts";
import { regionReference } from "./region.ts";

const formatType = ({ dtype, shape }: TensorType): string => `${dtype}[${shape.map(formatDim).join(", ")}]`;

export const ifOperator: Operator = defineOperator({
  op: "If",
  infer: (context) => {
    const condition = context.type(0);
    if (condition.dtype !== "bool" || condition.shape.some((dim) => dim !== 1))
      context.fail("the condition is not a single bool", "bool[]", formatType(condition));
    const taken = graphOf(context.node, "then_branch").outputs.map(({ value }) => value.type);
    const other = graphOf(context.node, "else_branch").outputs.map(({ value }) => value.type);
    if (taken.length !== other.length)
      context.fail("the branches have different numbers of outputs", `${taken.length}`, `${other.length}`);
    return taken.map(({ dtype, shape }, index): TensorType => {
      const against = other[index] as TensorType;
      if (dtype === against.dtype && sameShape(shape, against.shape)) return { dtype, shape };
      // The shape would be known if the condition were: whoever infers may be able to fix it.
      context.constant(0);
      return context.fail(
        `the branches give output ${index} different types, and which is taken is known only at run time`,
        formatType({ dtype, shape }),
        formatType(against),
      );
    });
  },
  reference: regionReference,
  tolerance: exactTolerance,
});
