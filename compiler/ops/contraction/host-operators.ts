/** Operators of this folder without generated code: DeformConv, MaxUnpool and the losses run as host steps. */
import { deformConv } from "../../../runtime/reference/deform-conv.ts";
import { negativeLogLikelihoodLoss, softmaxCrossEntropyLoss } from "../../../runtime/reference/loss.ts";
import { maxUnpool } from "../../../runtime/reference/max-unpool.ts";
import { integersOf, stringOf } from "../../graph/attribute.ts";
import { addDims, type Dim, multiplyDims } from "../../graph/dimension.ts";
import type { TensorType } from "../../graph/graph.ts";
import {
  closeTolerance,
  defineOperator,
  exactTolerance,
  type Operator,
  type OperatorContext,
  sumTolerance,
} from "../operator.ts";
import { kernelShapeOf, resolveWindow, weightKernelOf } from "./window.ts";

function inferDeformConv(context: OperatorContext): readonly TensorType[] {
  const { dtype, shape } = context.type(0);
  if (shape.length !== 4) context.fail("only two spatial axes are supported", "rank 4", `rank ${shape.length}`);
  const axes = resolveWindow(context, shape.slice(2), weightKernelOf(context));
  return [{ dtype, shape: [shape[0] ?? 1, context.type(1).shape[0] ?? 1, ...axes.map(({ output }) => output)] }];
}

function inferMaxUnpool(context: OperatorContext): readonly TensorType[] {
  const { dtype, shape } = context.type(0);
  if (context.has(2)) {
    const extents = context.elements(2) ?? context.fail("output_shape is not known when compiling");
    return [{ dtype, shape: extents }];
  }
  const kernel = kernelShapeOf(context);
  const strides = integersOf(context.node, "strides") ?? kernel.map(() => 1);
  const pads = integersOf(context.node, "pads") ?? [...kernel, ...kernel].map(() => 0);
  const spatial = kernel.map((size, axis): Dim => {
    const padding = (pads[axis] ?? 0) + (pads[axis + kernel.length] ?? 0);
    return addDims(multiplyDims(addDims(shape[axis + 2] ?? 1, -1), strides[axis] ?? 1), size - padding);
  });
  return [{ dtype, shape: [...shape.slice(0, 2), ...spatial] }];
}

function inferLoss(context: OperatorContext): readonly TensorType[] {
  const { dtype, shape } = context.type(0);
  if (shape.length < 2) context.fail("the input has no class axis", "rank 2 or more", `rank ${shape.length}`);
  if (!/int/.test(context.type(1).dtype))
    context.fail("the labels are not integers", "an integer type", context.type(1).dtype);
  const reduced = stringOf(context.node, "reduction", "mean") !== "none";
  const loss: TensorType = { dtype, shape: reduced ? [] : context.type(1).shape };
  return context.node.outputs.length > 1 ? [loss, { dtype, shape }] : [loss];
}

export const hostOperators: readonly Operator[] = [
  defineOperator({ op: "DeformConv", infer: inferDeformConv, reference: deformConv, tolerance: sumTolerance }),
  defineOperator({ op: "MaxUnpool", infer: inferMaxUnpool, reference: maxUnpool, tolerance: exactTolerance }),
  defineOperator({
    op: "NegativeLogLikelihoodLoss",
    infer: inferLoss,
    reference: negativeLogLikelihoodLoss,
    tolerance: closeTolerance,
  }),
  defineOperator({
    op: "SoftmaxCrossEntropyLoss",
    infer: inferLoss,
    reference: softmaxCrossEntropyLoss,
    tolerance: closeTolerance,
  }),
];
