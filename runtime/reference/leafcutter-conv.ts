/**
 * leafcutter.Conv and leafcutter.ConvTranspose: the canonical two-dimensional convolutions. Input [N, H, W, C], weights in
 * ONNX order, bias or none, epilogue operands; the epilogue sees the biased sum as input 0 and operand k as input k.
 */

import type { Tensor } from "../format/tensor.ts";
import { inputOf, isExpression, listOf } from "./call.ts";
import { channelsFirst, channelsLast } from "./channels-last.ts";
import { conv } from "./conv.ts";
import { convTranspose } from "./conv-transpose.ts";
import { evaluateElementwise } from "./expression.ts";
import type { Reference, ReferenceCall } from "./reference.ts";

function finished(call: ReferenceCall, sum: Tensor): readonly Tensor[] {
  const epilogue = call.attributes.epilogue;
  return [isExpression(epilogue) ? evaluateElementwise(epilogue, [sum, ...call.inputs.slice(3)]) : sum];
}

function inner(call: ReferenceCall, attributes: ReferenceCall["attributes"], reference: Reference): Tensor {
  const inputs = [channelsFirst(inputOf(call, 0)), inputOf(call, 1), call.inputs[2]];
  const [result] = reference({ ...call, inputs, attributes, outputCount: 1 });
  return channelsLast(result!);
}

export const leafcutterConv: Reference = (call) => finished(call, inner(call, call.attributes, conv));

/** The explicit outputShape fixes the extents; what it leaves behind the window is the padding at the end. */
export const leafcutterConvTranspose: Reference = (call) => {
  const { outputShape: _, ...attributes } = call.attributes;
  const pads = listOf(call, "pads") ?? [0, 0, 0, 0];
  const strides = listOf(call, "strides") ?? [1, 1];
  const dilations = listOf(call, "dilations") ?? [1, 1];
  const kernel = inputOf(call, 1).shape.slice(2);
  const spatial = inputOf(call, 0).shape.slice(1, 3);
  const extents = listOf(call, "outputShape");
  const after = [0, 1].map((axis) => {
    if (!extents) return pads[axis + 2]!;
    const full = (spatial[axis]! - 1) * strides[axis]! + (kernel[axis]! - 1) * dilations[axis]! + 1;
    return full - pads[axis]! - extents[axis]!;
  });
  return finished(call, inner(call, { ...attributes, pads: [pads[0]!, pads[1]!, ...after] }, convTranspose));
};
