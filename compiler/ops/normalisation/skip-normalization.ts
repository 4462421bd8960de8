/**
 * Normalisations as onnxruntime's optimiser fuses them. Rewritten by a pass to sums and LayerNormalization,
 * RMSNormalization or GroupNormalization; without that they run as host steps.
 */
import * as reference from "../../../runtime/reference/skip-normalization.ts";
import { integerOf } from "../../graph/attribute.ts";
import type { Dim } from "../../graph/dimension.ts";
import type { TensorType } from "../../graph/graph.ts";
import { closeTolerance, defineOperator, type Operator, type OperatorContext } from "../operator.ts";
import { axisOf } from "../reduction/axes.ts";

const outputsOf = (context: OperatorContext, types: readonly TensorType[]): readonly TensorType[] =>
  types.slice(0, Math.max(1, context.node.outputs.length));

const statisticOf = ({ dtype, shape }: TensorType, axis: number): TensorType => ({
  dtype: dtype === "float64" ? "float64" : "float32",
  shape: shape.map((extent, index) => (index < axis ? extent : 1)),
});

function inferSkip(context: OperatorContext): readonly TensorType[] {
  const { dtype, shape } = context.type(0);
  context.type(1);
  context.type(2);
  const statistic = statisticOf({ dtype, shape }, shape.length - 1);
  return outputsOf(context, [{ dtype, shape }, statistic, statistic, { dtype, shape }]);
}

function inferSimplified(context: OperatorContext): readonly TensorType[] {
  const { dtype, shape } = context.type(0);
  const axis = axisOf(context, integerOf(context.node, "axis", -1), shape.length);
  return outputsOf(context, [{ dtype, shape }, statisticOf({ dtype, shape }, axis)]);
}

function inferEmbed(context: OperatorContext): readonly TensorType[] {
  const [batch = 1, tokens = 1] = context.type(0).shape;
  const { dtype, shape } = context.type(2);
  if (context.has(1) !== context.has(4))
    context.fail("segment ids and their table are not both present", "both or none");
  const width: Dim = shape[1] ?? 1;
  const type = { dtype, shape: [batch, tokens, width] };
  return outputsOf(context, [type, { dtype: "int32", shape: [batch] }, type]);
}

const record = (op: string, infer: Operator["infer"], meaning: Operator["reference"]): Operator =>
  defineOperator({ op, infer, reference: meaning, tolerance: closeTolerance });

export const skipNormalizationOperators: readonly Operator[] = [
  record("com.microsoft.SkipLayerNormalization", inferSkip, reference.skipLayerNormalization),
  record("com.microsoft.SkipSimplifiedLayerNormalization", inferSkip, reference.skipSimplifiedLayerNormalization),
  record("SimplifiedLayerNormalization", inferSimplified, reference.simplifiedLayerNormalization),
  record("com.microsoft.EmbedLayerNormalization", inferEmbed, reference.embedLayerNormalization),
  record("com.microsoft.GroupNorm", (context) => [context.type(0)], reference.groupNorm),
];
