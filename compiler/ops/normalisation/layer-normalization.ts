/** LayerNormalization and RMSNormalization: rows are all axes from `axis` on; lowered to the norm family where scale and shift fill a row. */
import { layerNormalization, rmsNormalization } from "../../../runtime/reference/normalization.ts";
import { floatOf, integerOf } from "../../graph/attribute.ts";
import { productOf, sameShape } from "../../graph/dimension.ts";
import type { TensorType } from "../../graph/graph.ts";
import { broadcastAccess, identityAccess } from "../../loop/loop.ts";
import { firstOutput, hasGeneratedCode, inputOperand, optionalOperand, stepsOf } from "../contraction/operands.ts";
import { closeTolerance, defineOperator, type Lowering, type Operator, type OperatorContext } from "../operator.ts";
import { axisOf } from "../reduction/axes.ts";
import { inverseDeviation, normaliseByNests } from "./normalise.ts";

const rowAxis = (context: OperatorContext): number =>
  axisOf(context, integerOf(context.node, "axis", -1), context.type(0).shape.length);

function infer(context: OperatorContext): readonly TensorType[] {
  const { dtype, shape } = context.type(0);
  const axis = rowAxis(context);
  const kept = shape.map((extent, index) => (index < axis ? extent : 1));
  context.type(1);
  const statistic: TensorType = { dtype: dtype === "float64" ? "float64" : "float32", shape: kept };
  return [{ dtype, shape }, statistic, statistic].slice(0, Math.max(1, context.node.outputs.length));
}

function lower(context: OperatorContext, centered: boolean): Lowering | undefined {
  const { dtype, shape } = context.type(0);
  const parameters = [1, 2].filter((index) => context.has(index)).map((index) => context.type(index));
  if (!hasGeneratedCode(dtype) || context.node.outputs.length > 1) return undefined;
  if (parameters.some((type) => type.dtype !== dtype || type.shape.length > shape.length)) return undefined;
  const axis = rowAxis(context);
  const row = shape.slice(axis);
  const epsilon = floatOf(context.node, "epsilon", 1e-5);
  if (dtype === "float32" && parameters.every((type) => sameShape(type.shape, row))) {
    const [outer, length] = [productOf(shape.slice(0, axis)), productOf(row)];
    return stepsOf({
      kind: "family",
      problem: { family: "norm", outer, length, centered, epsilon, affine: "element", channels: 1 },
      operands: [inputOperand(0), optionalOperand(context, 1), optionalOperand(context, 2)],
      outputs: [firstOutput],
    });
  }
  const rank = shape.length;
  return normaliseByNests(context, {
    extents: shape,
    reduced: row.map((_, index) => axis + index),
    source: identityAccess(rank),
    centered,
    inverse: inverseDeviation(epsilon, dtype),
    ...(context.has(1) ? { scale: broadcastAccess(context.type(1).shape, rank) } : {}),
    ...(context.has(2) ? { shift: broadcastAccess(context.type(2).shape, rank) } : {}),
  });
}

const record = (op: string, reference: Operator["reference"], centered: boolean): Operator =>
  defineOperator({ op, infer, reference, lower: (context) => lower(context, centered), tolerance: closeTolerance });

export const layerNormalizationOperators: readonly Operator[] = [
  record("LayerNormalization", layerNormalization, true),
  record("RMSNormalization", rmsNormalization, false),
];
