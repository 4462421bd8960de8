/**
 * What onnxruntime's optimiser fuses, taken apart: sums and norms, embeddings, convolutions and products with an activation.
 * The passes behind put together again what a kernel of ours takes.
 */
import { tensorOf } from "../../../runtime/format/tensor.ts";
import {
  floatAttribute,
  floatOf,
  floatsOf,
  integerAttribute,
  integerOf,
  integersAttribute,
  stringAttribute,
  stringOf,
} from "../../graph/attribute.ts";
import { divideDims } from "../../graph/dimension.ts";
import type { Attributes, Node, Value } from "../../graph/graph.ts";
import type { RewriteContext } from "../../graph/rewrite.ts";
import { isUsed, scalar, sumOf } from "../emit-attention.ts";
import { emitSlice } from "../slice.ts";

type Replacement = Value | readonly (Value | undefined)[] | undefined;

const isFloat32 = (value: Value | undefined): value is Value => value?.type.dtype === "float32";

/** Mean and 1 / sqrt(variance + epsilon) of the axes from `axis` on; without a mean around 0. */
function statisticsOf(
  context: RewriteContext,
  x: Value,
  axis: number,
  epsilon: number,
  centred: boolean,
  name: string,
) {
  const axes = integersAttribute(x.type.shape.map((_, index) => index).slice(axis));
  const meanOf = (value: Value): Value =>
    context.emit("ReduceMean", [value], { axes, keepdims: integerAttribute(1) }, { name: `${name}/mean`, version: 13 });
  const mean = centred ? meanOf(x) : scalar(context, `${name}/zero`, 0);
  const offset = centred ? context.emit("Sub", [x, mean], {}, { name: `${name}/offset`, version: 14 }) : x;
  const square = context.emit("Mul", [offset, offset], {}, { name: `${name}/square`, version: 14 });
  const shifted = [meanOf(square), scalar(context, `${name}/epsilon`, epsilon)];
  const variance = context.emit("Add", shifted, {}, { name: `${name}/variance`, version: 14 });
  const deviation = context.emit("Sqrt", [variance], {}, { name: `${name}/deviation`, version: 13 });
  return { mean, inverse: context.emit("Reciprocal", [deviation], {}, { name: `${name}/inverse`, version: 13 }) };
}

/** A norm whose statistics are outputs computes them apart. */
export function withoutStatistics(node: Node, context: RewriteContext): Replacement {
  const [x] = node.inputs;
  if (node.outputs.length < 2 || !isFloat32(x)) return undefined;
  const y = context.emit(node.op, node.inputs, node.attributes);
  const given = integerOf(node, "axis", -1);
  const axis = given < 0 ? given + x.type.shape.length : given;
  if (!isUsed(node, 1, context) && !isUsed(node, 2, context))
    return [y, undefined, undefined].slice(0, node.outputs.length);
  const { mean, inverse } = statisticsOf(context, x, axis, floatOf(node, "epsilon", 1e-5), true, node.name);
  return [y, mean, inverse].slice(0, node.outputs.length);
}

export function simplifiedNorm(node: Node, context: RewriteContext): Replacement {
  const [x, scale] = node.inputs;
  if (!isFloat32(x) || !scale) return undefined;
  const given = integerOf(node, "axis", -1);
  const axis = given < 0 ? given + x.type.shape.length : given;
  const epsilon = floatOf(node, "epsilon", 1e-5);
  const attributes = { axis: integerAttribute(axis), epsilon: floatAttribute(epsilon) };
  const y = context.emit("RMSNormalization", [x, scale], attributes, { version: 23 });
  const inverse = isUsed(node, 1, context)
    ? statisticsOf(context, x, axis, epsilon, false, node.name).inverse
    : undefined;
  return [y, inverse].slice(0, node.outputs.length);
}

/** The norm of input + skip + bias; the sum may be an output too. */
export function skipNorm(node: Node, context: RewriteContext): Replacement {
  const simplified = node.op === "com.microsoft.SkipSimplifiedLayerNormalization";
  const [x, skip, scale] = node.inputs;
  const [shift, bias] = simplified ? [undefined, node.inputs[3]] : [node.inputs[3], node.inputs[4]];
  if (!isFloat32(x) || !skip || !scale) return undefined;
  // Means of RMS norms are none; nothing asks for them.
  if (simplified && isUsed(node, 1, context)) return undefined;
  const sum = sumOf(context, [x, skip, bias], `${node.name}/sum`) as Value;
  const epsilon = floatOf(node, "epsilon", 1e-12);
  const attributes = { axis: integerAttribute(-1), epsilon: floatAttribute(epsilon) };
  const y = simplified
    ? context.emit("RMSNormalization", [sum, scale], attributes, { version: 23 })
    : context.emit("LayerNormalization", [sum, scale, shift], attributes, { version: 17 });
  const asked = isUsed(node, 1, context) || isUsed(node, 2, context);
  const last = x.type.shape.length - 1;
  const statistics = asked ? statisticsOf(context, sum, last, epsilon, !simplified, node.name) : undefined;
  return [y, statistics?.mean, statistics?.inverse, sum].slice(0, node.outputs.length);
}

export function embedNorm(node: Node, context: RewriteContext): Replacement {
  const [ids, segments, words, positions, segmentTable, scale, shift, mask, positionIds] = node.inputs;
  if (!ids || !isFloat32(words) || !positions || !scale || !shift) return undefined;
  const [batch = 1, tokens = 1] = ids.type.shape;
  const rows = (table: Value, indices: Value, part: string): Value =>
    context.emit(
      "Gather",
      [table, indices],
      { axis: integerAttribute(0) },
      { name: `${node.name}/${part}`, version: 13 },
    );
  const position = positionIds
    ? rows(positions, positionIds, "positions")
    : emitSlice(context, positions, [0], [0], [tokens]);
  const segment = segments && segmentTable && rows(segmentTable, segments, "segments");
  const sum = sumOf(context, [rows(words, ids, "words"), segment, position], `${node.name}/sum`) as Value;
  const attributes = { axis: integerAttribute(-1), epsilon: floatAttribute(floatOf(node, "epsilon", 1e-12)) };
  const y = context.emit("LayerNormalization", [sum, scale, shift], attributes, { version: 17 });
  const count = isUsed(node, 1, context) ? shownTokens(node, mask, batch, context) : undefined;
  if (count === "unknown") return undefined;
  return [y, count, sum].slice(0, node.outputs.length);
}

/** How many tokens of each batch the mask shows; none without a mask. */
function shownTokens(
  node: Node,
  mask: Value | undefined,
  batch: Value["type"]["shape"][number],
  context: RewriteContext,
): Value | "unknown" {
  const name = `${node.name}/count`;
  if (!mask)
    return typeof batch === "number"
      ? context.addConstant(name, tensorOf("int32", [batch], new Array<number>(batch).fill(0)))
      : "unknown";
  const one = scalar(context, `${name}/one`, 1, mask.type.dtype);
  const shown = context.emit("Equal", [mask, one], {}, { name, version: 13 });
  const ones = context.emit("Cast", [shown], { to: integerAttribute(6) }, { name, version: 13 });
  const axes = { axes: integersAttribute([1]), keepdims: integerAttribute(0) };
  return context.emit("ReduceSum", [ones], axes, { name, version: 11 });
}

export function groupNorm(node: Node, context: RewriteContext): Replacement {
  const [x, scale, shift] = node.inputs;
  if (!isFloat32(x) || scale?.type.dtype !== "float32") return undefined;
  const last = integerOf(node, "channels_last", 1) === 1;
  const y = context.emit(
    "GroupNormalization",
    [x, scale, shift],
    {
      num_groups: integerAttribute(integerOf(node, "groups", 1)),
      epsilon: floatAttribute(floatOf(node, "epsilon", 1e-5)),
      ...(last ? { layout: stringAttribute("NHWC") } : {}),
    },
    { version: 21 },
  );
  return integerOf(node, "activation", 0) === 1 ? context.emit("Swish", [y], {}, { version: 24 }) : y;
}

const activationParameters: Readonly<Record<string, readonly string[]>> = {
  Relu: [],
  Tanh: [],
  Sigmoid: [],
  LeakyRelu: ["alpha"],
  Clip: ["min", "max"],
  HardSigmoid: ["alpha", "beta"],
};

/** `x` behind the activation that the node names; undefined for one that is not known. */
function activated(node: Node, x: Value, parameters: readonly number[], context: RewriteContext): Value | undefined {
  const name = stringOf(node, "activation", "");
  if (name === "") return x;
  const entries = activationParameters[name]?.flatMap((parameter, index) => {
    const value = parameters[index];
    return value === undefined ? [] : [[parameter, floatAttribute(value)] as const];
  });
  return entries && context.emit(name, [x], Object.fromEntries(entries), { version: 6 });
}

const without = (attributes: Attributes, prefix: string): Attributes =>
  Object.fromEntries(Object.entries(attributes).filter(([name]) => !name.startsWith(prefix)));

export function fusedConv(node: Node, context: RewriteContext): Replacement {
  const [x, weights, bias, addend] = node.inputs;
  if (!isFloat32(x)) return undefined;
  const y = context.emit("Conv", [x, weights, bias], without(node.attributes, "activation"), { version: 11 });
  const total = sumOf(context, [y, addend], `${node.name}/sum`) as Value;
  return activated(node, total, floatsOf(node, "activation_params") ?? [], context);
}

export function fusedGemm(node: Node, context: RewriteContext): Replacement {
  if (!isFloat32(node.inputs[0])) return undefined;
  const y = context.emit("Gemm", node.inputs, without(node.attributes, "activation"), { version: 13 });
  const parameters = ["activation_alpha", "activation_beta", "activation_gamma"].flatMap((name) =>
    node.attributes[name] ? [floatOf(node, name, 0)] : [],
  );
  return activated(node, y, parameters, context);
}

export function fusedMatmul(node: Node, context: RewriteContext): Replacement {
  const [a, b] = node.inputs;
  if (!isFloat32(a) || !b) return undefined;
  const turned = (value: Value, flag: string): Value => {
    const rank = value.type.shape.length;
    if (integerOf(node, flag, 0) !== 1 || rank < 2) return value;
    const order = value.type.shape.map((_, axis) =>
      axis === rank - 1 ? rank - 2 : axis === rank - 2 ? rank - 1 : axis,
    );
    return context.emit(
      "Transpose",
      [value],
      { perm: integersAttribute(order) },
      { name: `${node.name}/${flag}`, version: 21 },
    );
  };
  const product = context.emit("MatMul", [turned(a, "transA"), turned(b, "transB")], {}, { version: 13 });
  const alpha = floatOf(node, "alpha", 1);
  return alpha === 1
    ? product
    : context.emit("Mul", [product, scalar(context, `${node.name}/alpha`, alpha)], {}, { version: 14 });
}

export function biasSplitGelu(node: Node, context: RewriteContext): Replacement {
  const [x, bias] = node.inputs;
  if (!isFloat32(x) || !bias) return undefined;
  const sum = context.emit("Add", [x, bias], {}, { name: `${node.name}/sum`, version: 14 });
  const width = x.type.shape.at(-1) ?? 0;
  const half = divideDims(width, 2);
  const axis = x.type.shape.length - 1;
  const gate = context.emit("Gelu", [emitSlice(context, sum, [axis], [half], [width])], {}, { version: 20 });
  return context.emit("Mul", [emitSlice(context, sum, [axis], [0], [half]), gate], {}, { version: 14 });
}
