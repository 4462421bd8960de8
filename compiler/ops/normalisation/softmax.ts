/** Softmax and LogSoftmax: along one axis since version 13, before that over all axes from `axis` on, flattened. */
import { logSoftmax, softmax } from "../../../runtime/reference/softmax.ts";
import { integerOf } from "../../graph/attribute.ts";
import { type Dim, productOf } from "../../graph/dimension.ts";
import { firstOutput, inputOperand, stepsOf } from "../contraction/operands.ts";
import { closeTolerance, defineOperator, type Operator, type OperatorContext } from "../operator.ts";

/** The extents that the axis splits the shape into. Flattening versions have no inner one. */
export interface Rows {
  readonly axis: number;
  readonly outer: Dim;
  readonly length: Dim;
  readonly inner: Dim;
}

/** Softmax, LogSoftmax and Hardmax changed their meaning in version 13. */
export function rowsOf(context: OperatorContext): Rows {
  const { shape } = context.type(0);
  const flattens = context.node.version < 13;
  const given = integerOf(context.node, "axis", flattens ? 1 : -1);
  const axis = given < 0 ? given + shape.length : given;
  // Flattening allows the axis behind the last one; a scalar has one row.
  if (axis < 0 || axis > Math.max(shape.length - (flattens ? 0 : 1), 0))
    context.fail("attribute axis is out of range", `-${shape.length}..${shape.length - 1}`, String(given));
  const outer = productOf(shape.slice(0, axis));
  if (flattens) return { axis, outer, length: productOf(shape.slice(axis)), inner: 1 };
  return { axis, outer, length: shape[axis] ?? 1, inner: productOf(shape.slice(axis + 1)) };
}

const record = (op: string, reference: Operator["reference"], logarithm: boolean): Operator =>
  defineOperator({
    op,
    infer: (context) => {
      rowsOf(context);
      return [{ dtype: context.type(0).dtype, shape: context.type(0).shape }];
    },
    reference,
    lower: (context) => {
      if (context.type(0).dtype !== "float32") return undefined;
      const { outer, length, inner } = rowsOf(context);
      return stepsOf({
        kind: "family",
        problem: { family: "softmax", logarithm, outer, length, inner },
        operands: [inputOperand(0)],
        outputs: [firstOutput],
      });
    },
    tolerance: closeTolerance,
  });

export const softmaxOperator = record("Softmax", softmax, false);
export const logSoftmaxOperator = record("LogSoftmax", logSoftmax, true);
