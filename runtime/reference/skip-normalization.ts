/**
 * Normalisations as onnxruntime's optimiser fuses them: of a sum (SkipLayerNormalization and its RMS form), of a sum of
 * embeddings (EmbedLayerNormalization), RMS with its inverse deviation, and GroupNorm with a SiLU behind it.
 */
import type { Tensor } from "../format/tensor.ts";
import { swish } from "./activation.ts";
import { add } from "./arithmetic.ts";
import { axisOf, inputOf, numberOf } from "./call.ts";
import { gather } from "./gather.ts";
import { groupNormalization, layerNormalization, rmsNormalization } from "./normalization.ts";
import { numbersOf, tensorOfNumbers } from "./numbers.ts";
import { groupsOf } from "./reduce.ts";
import type { Reference, ReferenceCall } from "./reference.ts";

const sum = (...tensors: readonly (Tensor | undefined)[]): Tensor =>
  tensors
    .filter((tensor) => tensor !== undefined)
    .reduce((left, right) => add({ inputs: [left, right], attributes: {}, version: 14, outputCount: 1 })[0] as Tensor);

/** A call of a normalisation over the last axis. */
const overLast = (call: ReferenceCall, inputs: ReferenceCall["inputs"], outputCount: number): ReferenceCall => ({
  inputs,
  attributes: { axis: -1, epsilon: numberOf(call, "epsilon", 1e-12) },
  version: 17,
  outputCount,
});

/** Outputs: result, mean, inverse deviation, the sum of input, skip and bias. */
export const skipLayerNormalization: Reference = (call) => {
  const total = sum(inputOf(call, 0), inputOf(call, 1), call.inputs[4]);
  const normalised = layerNormalization(overLast(call, [total, inputOf(call, 2), call.inputs[3]], 3));
  return [...normalised, total].slice(0, call.outputCount);
};

/** Outputs: result, inverse deviation. */
export const simplifiedLayerNormalization: Reference = (call) => {
  const x = inputOf(call, 0);
  const [y] = rmsNormalization({ ...call, outputCount: 1 });
  const axis = axisOf(numberOf(call, "axis", -1), x.shape.length);
  const values = numbersOf(x);
  const groups = groupsOf(
    x.shape,
    x.shape.map((_, index) => index).filter((index) => index >= axis),
  );
  const inverse = groups.map((group) => {
    const square = group.reduce((total, at) => total + (values[at] as number) ** 2, 0) / group.length;
    return 1 / Math.sqrt(square + numberOf(call, "epsilon", 1e-5));
  });
  const kept = x.shape.map((extent, index) => (index < axis ? extent : 1));
  const outputs = [y as Tensor, tensorOfNumbers(x.dtype === "float64" ? "float64" : "float32", kept, inverse)];
  return outputs.slice(0, call.outputCount);
};

/** Inputs: input, skip, scale, bias. Outputs as SkipLayerNormalization; the mean is that of no statistics: 0. */
export const skipSimplifiedLayerNormalization: Reference = (call) => {
  const total = sum(inputOf(call, 0), inputOf(call, 1), call.inputs[3]);
  const [y, inverse] = simplifiedLayerNormalization(overLast(call, [total, inputOf(call, 2)], 2)) as [Tensor, Tensor];
  const mean = tensorOfNumbers(inverse.dtype, inverse.shape, new Float64Array(inverse.data.length));
  return [y, mean, inverse, total].slice(0, call.outputCount);
};

/**
 * Inputs: ids [batch, tokens], segment ids, tables of words, positions and segments, scale, shift, mask, position ids.
 * Outputs: result, number of shown tokens of each batch, the sum of the embeddings.
 */
export const embedLayerNormalization: Reference = (call) => {
  const ids = inputOf(call, 0);
  const [batch = 1, tokens = 1] = ids.shape;
  const rows = (table: Tensor, indices: Tensor): Tensor =>
    gather({ inputs: [table, indices], attributes: { axis: 0 }, version: 13, outputCount: 1 })[0] as Tensor;
  const counting = tensorOfNumbers(
    "int64",
    [1, tokens],
    Array.from({ length: tokens }, (_, index) => index),
  );
  const [segments, table] = [call.inputs[1], call.inputs[4]];
  const total = sum(
    rows(inputOf(call, 2), ids),
    rows(inputOf(call, 3), call.inputs[8] ?? counting),
    segments && table && rows(table, segments),
  );
  const [y] = layerNormalization(overLast(call, [total, inputOf(call, 5), inputOf(call, 6)], 1));
  const mask = call.inputs[7] && numbersOf(call.inputs[7]);
  const counts = Array.from({ length: batch }, (_, b) => {
    let count = 0;
    for (let s = 0; mask && s < tokens; s++) if (mask[b * tokens + s] === 1) count++;
    return count;
  });
  return [y as Tensor, tensorOfNumbers("int32", [batch], counts), total].slice(0, call.outputCount);
};

/** Channels last unless told otherwise; `activation` 1 is SiLU. */
export const groupNorm: Reference = (call) => {
  const [y] = groupNormalization({
    inputs: call.inputs,
    attributes: {
      num_groups: numberOf(call, "groups", 1),
      epsilon: numberOf(call, "epsilon", 1e-5),
      layout: numberOf(call, "channels_last", 1) === 1 ? "NHWC" : "NCHW",
    },
    version: 21,
    outputCount: 1,
  });
  return numberOf(call, "activation", 0) === 1
    ? swish({ inputs: [y], attributes: {}, version: 24, outputCount: 1 })
    : [y as Tensor];
};
