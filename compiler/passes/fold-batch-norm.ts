/**
 * Inference-time BatchNormalization is a multiplication and an addition per channel; those, and any others by
 * constants per channel, become part of the weights and bias of the convolution or product in front of them.
 * Valid because both are linear, when the product has no other reader. Runs before layout, on NCHW operators.
 */
import { type Tensor, tensorOf } from "../../runtime/format/tensor.ts";
import { floatOf, integerOf } from "../graph/attribute.ts";
import { sameShape } from "../graph/dimension.ts";
import type { Node, Value } from "../graph/graph.ts";
import type { RewriteContext } from "../graph/rewrite.ts";
import { rewritePass } from "./pass.ts";
import { scaledConstant } from "./storage.ts";

export const foldBatchNorm = rewritePass(
  "fold-batch-norm",
  "scales and shifts per channel cost nothing once they are part of the weights",
  (node, context) => {
    if (node.op === "BatchNormalization") return decomposed(node, context);
    return node.op === "Mul" || node.op === "Add" ? folded(node, context) : undefined;
  },
);

/** scale * (x - mean) / sqrt(variance + epsilon) + shift, with the constants combined in double precision. */
function decomposed(node: Node, context: RewriteContext): readonly Value[] | undefined {
  const [x, ...parameters] = node.inputs;
  if (x?.type.dtype !== "float32" || integerOf(node, "training_mode", 0) !== 0) return undefined;
  if (node.outputs.slice(1).some((output) => context.consumers(output).length > 0 || context.isOutput(output)))
    return undefined;
  const tensors = parameters.map((value) => value && context.constant(value));
  const [scale, shift, mean, variance] = tensors;
  if (!scale || !shift || !mean || !variance || tensors.some((tensor) => tensor?.dtype !== "float32")) return undefined;
  const epsilon = floatOf(node, "epsilon", 1e-5);
  const channels = scale.data.length;
  const factors = new Float64Array(channels);
  const offsets = new Float64Array(channels);
  for (let channel = 0; channel < channels; channel++) {
    factors[channel] = at(scale, channel) / Math.sqrt(at(variance, channel) + epsilon);
    offsets[channel] = at(shift, channel) - at(mean, channel) * (factors[channel] as number);
  }
  const shape = [channels, ...new Array<number>(Math.max(0, x.type.shape.length - 2)).fill(1)];
  const factor = context.addConstant(`${node.name}/scale`, tensorOf("float32", shape, factors));
  const offset = context.addConstant(`${node.name}/shift`, tensorOf("float32", shape, offsets));
  const product = context.emit("Mul", [x, factor], {}, { name: `${node.name}/scale`, version: 14 });
  return [context.emit("Add", [product, offset], {}, { version: 14 })];
}

const at = (tensor: Tensor, index: number): number => tensor.data[index] as number;

/** Which axis of the weights, and of the result counted from its end, are the output channels. */
interface Linear {
  readonly channels: number;
  /** Axis of the weights; undefined when groups divide the channels. */
  readonly axis: number | undefined;
  /** Position of the channel axis behind which only spatial axes follow. */
  readonly trailing: number;
  /** Index of the output channel that weight element `flat` contributes to. */
  readonly channelOf: (flat: number) => number;
}

function linearForm(node: Node, weights: Tensor): Linear | undefined {
  const group = integerOf(node, "group", 1);
  const [first = 1, second = 1] = weights.shape;
  const inner = weights.data.length / (first * second);
  switch (node.op) {
    case "Conv":
      return {
        channels: first,
        axis: 0,
        trailing: weights.shape.length - 2,
        channelOf: (flat) => Math.floor(flat / (second * inner)),
      };
    case "ConvTranspose": {
      const perGroup = first / group;
      return {
        channels: second * group,
        axis: group === 1 ? 1 : undefined,
        trailing: weights.shape.length - 2,
        channelOf: (flat) =>
          Math.floor(flat / (second * inner * perGroup)) * second + (Math.floor(flat / inner) % second),
      };
    }
    case "leafcutter.MatMul": {
      if (weights.shape.length !== 2) return undefined;
      const transposed = integerOf(node, "transposeB", 0) !== 0;
      return transposed
        ? { channels: first, axis: 0, trailing: 0, channelOf: (flat) => Math.floor(flat / second) }
        : { channels: second, axis: 1, trailing: 0, channelOf: (flat) => flat % second };
    }
    default:
      return undefined;
  }
}

/** The constant as one number per channel, when it varies along the channel axis only. */
function perChannel(
  tensor: Tensor | undefined,
  channels: number,
  trailing: number,
  rank: number,
): ((channel: number) => number) | undefined {
  if (tensor?.dtype !== "float32" || tensor.shape.length > rank) return undefined;
  if (tensor.data.length === 1) return () => at(tensor, 0);
  const axis = tensor.shape.length - 1 - trailing;
  if (tensor.data.length !== channels || tensor.shape[axis] !== channels) return undefined;
  return (channel) => at(tensor, channel);
}

function folded(node: Node, context: RewriteContext): Value | undefined {
  for (const [side, other] of [
    [0, 1],
    [1, 0],
  ] as const) {
    const y = node.inputs[side];
    const constant = node.inputs[other];
    const producer = y && context.producer(y);
    const [x, weights, bias] = producer?.inputs ?? [];
    const tensor = weights && context.constant(weights);
    if (!y || !constant || !producer || !x || !tensor || tensor.dtype !== "float32" || !context.isOnlyUse(y, node))
      continue;
    const linear = linearForm(producer, tensor);
    const oldBias = bias && context.constant(bias);
    if (
      !linear ||
      (bias && !oldBias) ||
      producer.attributes.epilogue ||
      !sameShape(y.type.shape, (node.outputs[0] as Value).type.shape)
    )
      continue;
    const value = perChannel(context.constant(constant), linear.channels, linear.trailing, y.type.shape.length);
    if (!value) continue;
    const multiply = node.op === "Mul";
    const biases = Array.from({ length: linear.channels }, (_, channel) => {
      const old = oldBias ? at(oldBias, channel) : 0;
      return multiply ? old * value(channel) : old + value(channel);
    });
    const hasBias = oldBias !== undefined || !multiply;
    const newBias = hasBias
      ? context.addConstant(bias?.name ?? `${producer.name}/bias`, tensorOf("float32", [linear.channels], biases))
      : undefined;
    const newWeights = multiply ? scaledWeights(context, weights, linear, value) : weights;
    return context.emit(producer.op, [x, newWeights, newBias], producer.attributes, {
      name: producer.name,
      version: producer.version,
    });
  }
  return undefined;
}

function scaledWeights(
  context: RewriteContext,
  weights: Value,
  { axis, channelOf }: Linear,
  value: (channel: number) => number,
): Value {
  const tensor = context.constant(weights) as Tensor;
  const stored = axis === undefined ? undefined : scaledConstant(tensor, weights.type.storage, axis, value);
  if (stored) return context.addConstant(weights.name, stored.tensor, stored.storage);
  const data = new Float32Array(tensor.data.length);
  for (let flat = 0; flat < data.length; flat++) data[flat] = at(tensor, flat) * value(channelOf(flat));
  return context.addConstant(weights.name, { dtype: "float32", shape: tensor.shape, data });
}
