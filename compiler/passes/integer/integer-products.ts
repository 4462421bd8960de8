/**
 * Convolutions and products whose input comes from 8-bit integers and whose weights are stored as int8 multiply
 * integers: leafcutter.IntegerConv and leafcutter.IntegerMatMul. The zero point of the input and the bias become one
 * int32 bias in steps of input scale times weight scale; the epilogue starts with the multiplication by those steps.
 * A bias that int32 does not hold is added there; sums that could overflow leave the product in float32.
 */
import { binary, cast, constant, type Expression, input } from "../../../runtime/format/expression.ts";
import { type Tensor, tensorOf } from "../../../runtime/format/tensor.ts";
import { expressionAttribute, expressionOf, integerAttribute, integerOf } from "../../graph/attribute.ts";
import type { Node, Value } from "../../graph/graph.ts";
import { alongAxis, integersOf } from "../../graph/int8-storage.ts";
import type { RewriteContext } from "../../graph/rewrite.ts";
import { substitute } from "../elementwise.ts";
import { correctionFor } from "../integer-weights.ts";
import { rewritePass } from "../pass.ts";
import { dequantised, dequantisedBy, dequantisedInRun, type Quantisation, rangeOf } from "../quantisation.ts";

export const integerProducts = rewritePass(
  "integer-products",
  "products of 8-bit numbers are summed in integers",
  (node, context) => {
    if (node.op !== "leafcutter.Conv" && node.op !== "leafcutter.MatMul") return undefined;
    const [x, weights, bias] = node.inputs;
    const from = dequantisedBy(x, context);
    const integers = from && integerWeights(node, weights, context);
    const tensor = bias && context.constant(bias);
    if (!from) return inRun(node, context);
    if (!integers || (bias && !tensor)) return undefined;
    const { quantisation } = from;
    const steps = stepsOf(integers, quantisation, tensor);
    const whole = offsetsOf(integers, quantisation, steps, tensor);
    if (whole) return emit(node, context, { ...from, weights: integers, steps, offsets: whole, bias: undefined });
    const offsets = offsetsOf(integers, quantisation, steps, undefined);
    return offsets && emit(node, context, { ...from, weights: integers, steps, offsets, bias });
  },
);

/** A product of integers whose scale, and perhaps zero point, a run finds: both are operands of the epilogue. */
function inRun(node: Node, context: RewriteContext): Value | undefined {
  const [x, weights, bias] = node.inputs;
  const from = dequantisedInRun(x, context);
  const integers = from && integerWeights(node, weights, context);
  const convolves = node.op === "leafcutter.Conv";
  if (!from || !integers || !weights || (convolves && from.perRow)) return undefined;
  const { source, scale, zero } = from;
  const { scales, sums, depth, tensor } = integers;
  const correction = correctionFor(zero, sums, weights.name, context);
  const pad = zero && context.constant(zero);
  // What stands outside an image is known when compiling.
  if (!correction || (convolves && zero && !pad) || 2 * 128 * 255 * depth >= 2 ** 31) return undefined;
  const operands: Value[] = [...correction.operands];
  const operand = (value: Value): Expression => {
    const known = operands.indexOf(value);
    return input(1 + (known >= 0 ? known : operands.push(value) - 1));
  };
  const own = context.addConstant(`${weights.name}/steps`, tensorOf("float32", [scales.length], scales));
  const steps = binary("multiply", operand(own), operand(scale));
  const product = binary("multiply", cast("float32", correction.sum ?? input(0)), steps);
  const sum = bias ? binary("add", product, operand(bias)) : product;
  const epilogue = substitute(expressionOf(node, "epilogue") ?? input(0), (index) =>
    index === 0 ? sum : operand(node.inputs[2 + index] as Value),
  );
  const packed = context.addConstant(weights.name, { dtype: "int8", shape: tensor.shape, data: integers.integers });
  return context.emit(
    convolves ? "leafcutter.IntegerConv" : "leafcutter.IntegerMatMul",
    [source, packed, correction.offsets, ...operands],
    {
      ...node.attributes,
      ...(convolves ? { padValue: integerAttribute(Number(pad?.data[0] ?? 0)) } : {}),
      epilogue: expressionAttribute(epilogue),
    },
  );
}

/** Weights as integers, with what their output channels need. */
interface IntegerWeights {
  readonly tensor: Tensor;
  readonly integers: Int8Array;
  readonly scales: Float32Array;
  /** Sum of the integers of each output channel. */
  readonly sums: Int32Array;
  /** Whether an output channel has weights other than 0. */
  readonly alive: Uint8Array;
  /** Number of weights of an output channel. */
  readonly depth: number;
}

function integerWeights(node: Node, weights: Value | undefined, context: RewriteContext): IntegerWeights | undefined {
  const tensor = weights && context.constant(weights);
  const storage = weights?.type.storage;
  if (!tensor || storage?.kind !== "int8" || (node.op === "leafcutter.MatMul" && tensor.shape.length !== 2))
    return undefined;
  const axis = node.op === "leafcutter.Conv" || integerOf(node, "transposeB", 0) !== 0 ? 0 : 1;
  const channels = tensor.shape[axis] as number;
  const along = alongAxis(storage, axis, channels);
  if (!along || tensor.data.length === 0) return undefined;
  const integers = integersOf(tensor, along);
  const depth = integers.length / channels;
  const sums = new Int32Array(channels);
  const alive = new Uint8Array(channels);
  for (let flat = 0; flat < integers.length; flat++) {
    const channel = axis === 0 ? Math.floor(flat / depth) : flat % channels;
    const integer = integers[flat] as number;
    sums[channel] = (sums[channel] as number) + integer;
    if (integer !== 0) alive[channel] = 1;
  }
  return { tensor, integers, scales: along.scales, sums, alive, depth };
}

/** A channel without weights has only its bias, kept in steps of this share of itself. */
const finestBias = 2 ** -22;

/** What one step of each channel's sum stands for. */
const stepsOf = ({ scales, alive }: IntegerWeights, { scale }: Quantisation, bias: Tensor | undefined): Float64Array =>
  Float64Array.from(scales, (own, channel) =>
    alive[channel] === 1 ? scale * own : Math.abs(Number(bias?.data[channel] ?? 0)) * finestBias || 1,
  );

/** bias / step - zero * sum of the weights; undefined when a sum could leave int32. */
function offsetsOf(
  { sums, depth }: IntegerWeights,
  { dtype, zero }: Quantisation,
  steps: Float64Array,
  bias: Tensor | undefined,
): Int32Array | undefined {
  const [low, high] = rangeOf[dtype];
  const largest = 128 * Math.max(-low, high) * depth;
  const offsets = Array.from(sums, (sum, channel) => {
    const own = Number(bias?.data[channel] ?? 0);
    return (own === 0 ? 0 : Math.round(own / (steps[channel] as number))) - zero * sum;
  });
  return offsets.every((offset) => Math.abs(offset) + largest < 2 ** 31) ? Int32Array.from(offsets) : undefined;
}

interface Parts {
  readonly source: Value;
  readonly quantisation: Quantisation;
  readonly weights: IntegerWeights;
  readonly steps: Float64Array;
  readonly offsets: Int32Array;
  /** A bias that is not part of the offsets. */
  readonly bias: Value | undefined;
}

function emit(node: Node, context: RewriteContext, { source, quantisation, weights, steps, offsets, bias }: Parts) {
  const { name } = node.inputs[1] as Value;
  const { tensor, integers } = weights;
  const operands: Value[] = [];
  const operand = (value: Value): Expression => {
    const known = operands.indexOf(value);
    return input(1 + (known >= 0 ? known : operands.push(value) - 1));
  };
  const [first = 1] = steps;
  const step = steps.every((other) => other === first)
    ? constant(Math.fround(first))
    : operand(context.addConstant(`${name}/steps`, tensorOf("float32", [steps.length], steps)));
  const product = binary("multiply", cast("float32", input(0)), step);
  const sum = bias ? binary("add", product, operand(bias)) : product;
  const epilogue = substitute(expressionOf(node, "epilogue") ?? input(0), (index) => {
    if (index === 0) return sum;
    const value = node.inputs[2 + index] as Value;
    const from = dequantisedBy(value, context);
    return from ? dequantised(operand(from.source), from.quantisation) : operand(value);
  });
  const convolves = node.op === "leafcutter.Conv";
  const inputs = [
    source,
    context.addConstant(name, { dtype: "int8", shape: tensor.shape, data: integers }),
    offsets.some((offset) => offset !== 0)
      ? context.addConstant(`${name}/offsets`, { dtype: "int32", shape: [offsets.length], data: offsets })
      : undefined,
    ...operands,
  ];
  return context.emit(convolves ? "leafcutter.IntegerConv" : "leafcutter.IntegerMatMul", inputs, {
    ...node.attributes,
    ...(convolves ? { padValue: integerAttribute(quantisation.zero) } : {}),
    epilogue: expressionAttribute(epilogue),
  });
}
