/**
 * com.microsoft's operators on quantised tensors: the operands as floats, the operator on floats in float32, its result
 * quantised. Every quantised operand is followed by its scale and zero point (which may be absent).
 */
import type { Tensor } from "../format/tensor.ts";
import { leakyRelu, sigmoid } from "./activation.ts";
import { add, mul } from "./arithmetic.ts";
import { inputOf, numberOf } from "./call.ts";
import { channelsFirst, channelsLast } from "./channels-last.ts";
import { averagePool, globalAveragePool } from "./pool.ts";
import { dequantizeLinear, quantizeLinear } from "./quantize.ts";
import { concat } from "./rearrange.ts";
import type { Reference, ReferenceCall } from "./reference.ts";
import { softmax } from "./softmax.ts";

const applied = (
  reference: Reference,
  inputs: ReferenceCall["inputs"],
  attributes: ReferenceCall["attributes"] = {},
  version = 13,
): Tensor => reference({ inputs, attributes, version, outputCount: 1 })[0]!;

/** The quantised operand at input `first` as floats. */
const floatsAt = (call: ReferenceCall, first: number): Tensor =>
  applied(dequantizeLinear, [inputOf(call, first), inputOf(call, first + 1), call.inputs[first + 2]]);

/** `result` in steps of input `scale`, with the zero point behind it; without one it has the type of `like`. */
function quantisedBy(call: ReferenceCall, result: Tensor, scale: number, like: Tensor): readonly Tensor[] {
  const zero = call.inputs[scale + 1] ?? { dtype: like.dtype, shape: [], data: like.data.slice(0, 1).fill(0 as never) };
  return [applied(quantizeLinear, [result, inputOf(call, scale), zero])];
}

const unary =
  (meaning: (call: ReferenceCall, x: Tensor) => Tensor): Reference =>
  (call) =>
    quantisedBy(call, meaning(call, floatsAt(call, 0)), 3, inputOf(call, 0));

const binary =
  (meaning: Reference): Reference =>
  (call) =>
    quantisedBy(call, applied(meaning, [floatsAt(call, 0), floatsAt(call, 3)]), 6, inputOf(call, 0));

export const qlinearAdd: Reference = binary(add);
export const qlinearMul: Reference = binary(mul);
export const qlinearSigmoid: Reference = unary((_, x) => applied(sigmoid, [x]));
export const qlinearLeakyRelu: Reference = unary((call, x) => applied(leakyRelu, [x], call.attributes));

/** Softmax of the operator set that attribute opset names. */
export const qlinearSoftmax: Reference = unary((call, x) => {
  const version = numberOf(call, "opset", 13);
  return applied(softmax, [x], { axis: numberOf(call, "axis", version < 13 ? 1 : -1) }, version);
});

/** With attribute channels_last the operand is [N, spatial…, C]. */
const pooled = (call: ReferenceCall, x: Tensor, pool: Reference): Tensor => {
  const turned = numberOf(call, "channels_last", 0) === 1;
  const { channels_last: _, ...attributes } = call.attributes;
  const y = applied(pool, [turned ? channelsFirst(x) : x], attributes, 11);
  return turned ? channelsLast(y) : y;
};

export const qlinearAveragePool: Reference = unary((call, x) => pooled(call, x, averagePool));
export const qlinearGlobalAveragePool: Reference = unary((call, x) => pooled(call, x, globalAveragePool));

/** Inputs: scale and zero point of the result, then every member with its own. */
export const qlinearConcat: Reference = (call) => {
  const members = Array.from({ length: Math.floor(call.inputs.length / 3) }, (_, k) => 2 + 3 * k);
  const parts = members.map((first) => floatsAt(call, first));
  return quantisedBy(call, applied(concat, parts, { axis: numberOf(call, "axis", 0) }), 0, inputOf(call, 2));
};
