/**
 * Brings the many spellings of one meaning to a single one, so that later passes need to know only that: operators
 * that change nothing disappear, views become Reshape with explicit extents, matrix products leafcutter.MatMul,
 * Split becomes Slices, explicit padding joins the window that follows it. Each rule stands with its condition.
 */
import { tensorOf } from "../../../runtime/format/tensor.ts";
import { integerAttribute, integerOf, integersAttribute, integersOf, stringOf } from "../../graph/attribute.ts";
import { addDims, type Dim, sameShape } from "../../graph/dimension.ts";
import type { Node, Value } from "../../graph/graph.ts";
import type { RewriteContext } from "../../graph/rewrite.ts";
import { broadcastDims, isElementwise } from "../elementwise.ts";
import { parameterOf } from "../parameter.ts";
import { rewritePass } from "../pass.ts";
import { isIdentity, permutationOf } from "../permutation.ts";
import { reshape } from "../reshape.ts";
import { emitSlice } from "../slice.ts";
import { canonicalGatherBlocks, canonicalMatmulNBits } from "./block-quantised.ts";
import { canonicalEinsum } from "./einsum.ts";
import * as fused from "./fused.ts";
import { canonicalGroupedAttention } from "./grouped-attention.ts";
import { dynamicMatmul, integerMatmul, integerMatmulToFloat } from "./integer-product.ts";
import { canonicalMicrosoftAttention, canonicalMultiHead } from "./microsoft-attention.ts";
import { canonicalOnnxAttention } from "./onnx-attention.ts";
import { absorbTranspose, canonicalProduct } from "./product.ts";
import * as quantised from "./quantised.ts";
import * as quantisedMap from "./quantised-map.ts";
import { canonicalRecurrent } from "./recurrent.ts";
import { canonicalMicrosoftRotary, canonicalOnnxRotary } from "./rotary.ts";
import { canonicalScatter } from "./scatter.ts";

type Replacement = Value | readonly (Value | undefined)[] | undefined;
type Rule = (node: Node, context: RewriteContext) => Replacement;

export const canonicalise = rewritePass(
  "canonicalise",
  "one spelling for each meaning, and nothing that does nothing",
  (node, context) => rules[node.op]?.(node, context) ?? withoutExpand(node, context),
);

const first = (node: Node): Value | undefined => node.inputs[0];

/** The operand, when the result has its shape: for operators that can only change the shape. */
const unlessShapeChanges: Rule = (node) => {
  const x = first(node);
  return x && sameShape(x.type.shape, (node.outputs[0] as Value).type.shape) ? x : undefined;
};

const view: Rule = (node, context) => {
  const output = node.outputs[0] as Value;
  let source = first(node);
  for (
    let producer = source && context.producer(source);
    producer && views.has(producer.op);
    producer = source && context.producer(source)
  )
    source = producer.inputs[0];
  if (!source) return undefined;
  const explicit =
    node.op === "Reshape" && source === first(node) && node.attributes.shape?.kind === "dims" && !node.inputs[1];
  const alreadyExplicit =
    explicit && node.attributes.shape?.kind === "dims" && sameShape(node.attributes.shape.value, output.type.shape);
  return alreadyExplicit && !sameShape(source.type.shape, output.type.shape)
    ? undefined
    : reshape(context, source, output.type.shape);
};

const views: ReadonlySet<string> = new Set(["Reshape", "Flatten", "Squeeze", "Unsqueeze"]);

/** One operand: the operand itself. */
const single: Rule = (node) => (node.inputs.length === 1 ? first(node) : undefined);

const rules: Readonly<Record<string, Rule>> = {
  Identity: first,
  Dropout: (node, context) => {
    const training = node.inputs[2];
    const inference = !training || context.constant(training)?.data[0] === 0;
    const masked =
      node.outputs[1] && (context.consumers(node.outputs[1]).length > 0 || context.isOutput(node.outputs[1]));
    return inference && !masked ? [first(node)] : undefined;
  },
  Cast: sameDtype,
  CastLike: sameDtype,
  Reshape: view,
  Flatten: view,
  Squeeze: view,
  Unsqueeze: view,
  Expand: unlessShapeChanges,
  Tile: unlessShapeChanges,
  Transpose: (node) => (isIdentity(permutationOf(node)) ? first(node) : undefined),
  Sum: single,
  Max: single,
  Min: single,
  Mean: single,
  Concat: concat,
  Slice: slice,
  Split: split,
  Pad: (node, context) =>
    stringOf(node, "mode", "constant") === "constant" && isZero(parameterOf(node, "pads", 1, context))
      ? first(node)
      : undefined,
  Pow: power,
  Sub: (node, context) => byConstant(node, context, "Add", (value) => -value),
  Div: (node, context) => byConstant(node, context, "Mul", (value) => 1 / value),
  GlobalAveragePool: (node, context) => globalPool(node, context, "ReduceMean"),
  GlobalMaxPool: (node, context) => globalPool(node, context, "ReduceMax"),
  GlobalLpPool: (node, context) => (integerOf(node, "p", 2) === 2 ? globalPool(node, context, "ReduceL2") : undefined),
  ReduceSum: sumOfSquares,
  Conv: absorbPadding,
  AveragePool: absorbPadding,
  MaxPool: absorbPadding,
  Einsum: canonicalEinsum,
  Gemm: canonicalProduct,
  MatMul: canonicalProduct,
  ScatterND: canonicalScatter,
  LSTM: canonicalRecurrent,
  GRU: canonicalRecurrent,
  RNN: canonicalRecurrent,
  "leafcutter.MatMul": absorbTranspose,
  Attention: canonicalOnnxAttention,
  "com.microsoft.Attention": canonicalMicrosoftAttention,
  "com.microsoft.MultiHeadAttention": canonicalMultiHead,
  "com.microsoft.GroupQueryAttention": canonicalGroupedAttention,
  RotaryEmbedding: canonicalOnnxRotary,
  LayerNormalization: fused.withoutStatistics,
  SimplifiedLayerNormalization: fused.simplifiedNorm,
  "com.microsoft.SkipLayerNormalization": fused.skipNorm,
  "com.microsoft.SkipSimplifiedLayerNormalization": fused.skipNorm,
  "com.microsoft.EmbedLayerNormalization": fused.embedNorm,
  "com.microsoft.GroupNorm": fused.groupNorm,
  "com.microsoft.FusedConv": fused.fusedConv,
  "com.microsoft.FusedGemm": fused.fusedGemm,
  "com.microsoft.FusedMatMul": fused.fusedMatmul,
  "com.microsoft.TransposeMatMul": fused.fusedMatmul,
  "com.microsoft.BiasSplitGelu": fused.biasSplitGelu,
  "com.microsoft.RotaryEmbedding": canonicalMicrosoftRotary,
  "com.microsoft.QuantizeLinear": quantised.plainQuantisation,
  "com.microsoft.DequantizeLinear": quantised.plainQuantisation,
  QLinearConv: quantised.quantisedConv,
  QLinearMatMul: quantised.quantisedMatmul,
  "com.microsoft.QGemm": quantised.quantisedGemm,
  MatMulInteger: integerMatmul,
  "com.microsoft.MatMulIntegerToFloat": integerMatmulToFloat,
  "com.microsoft.DynamicQuantizeMatMul": dynamicMatmul,
  "com.microsoft.QLinearAdd": quantisedMap.quantisedAdd,
  "com.microsoft.QLinearMul": quantisedMap.quantisedMul,
  "com.microsoft.QLinearSigmoid": quantisedMap.quantisedSigmoid,
  "com.microsoft.QLinearLeakyRelu": quantisedMap.quantisedLeakyRelu,
  "com.microsoft.QLinearSoftmax": quantisedMap.quantisedSoftmax,
  "com.microsoft.QLinearAveragePool": quantisedMap.quantisedAveragePool,
  "com.microsoft.QLinearGlobalAveragePool": quantisedMap.quantisedGlobalAveragePool,
  "com.microsoft.QLinearConcat": quantisedMap.quantisedConcat,
  "com.microsoft.MatMulNBits": canonicalMatmulNBits,
  "com.microsoft.GatherBlockQuantized": canonicalGatherBlocks,
};

/** A pool over all of space is a reduction. */
function globalPool(node: Node, context: RewriteContext, op: string): Value | undefined {
  const x = first(node) as Value;
  const axes = x.type.shape.slice(2).map((_, index) => index + 2);
  return x.type.dtype === "float32"
    ? context.emit(op, [x], { axes: integersAttribute(axes), keepdims: integerAttribute(1) }, { version: 13 })
    : undefined;
}

/** sum(x * x) reads x once. */
function sumOfSquares(node: Node, context: RewriteContext): Value | undefined {
  const product = context.producer(first(node) as Value);
  const [x, y] = product?.inputs ?? [];
  if (product?.op !== "Mul" || !x || x !== y) return undefined;
  // Before version 18 its axes are an attribute.
  const [, axesInput] = node.inputs;
  return context.emit("ReduceSumSquare", [x, axesInput], node.attributes, { version: axesInput ? 18 : node.version });
}

/** An elementwise operator broadcasts by itself what an Expand in front of it spells out. */
function withoutExpand(node: Node, context: RewriteContext): Value | undefined {
  const [output] = node.outputs;
  const expanded = node.inputs.map((value) => {
    const producer = value && context.producer(value);
    return producer?.op === "Expand" ? producer.inputs[0] : undefined;
  });
  if (!output || node.outputs.length !== 1 || !expanded.some((source) => source) || !isElementwise(node, context))
    return undefined;
  for (const [index, source] of expanded.entries()) {
    if (!source) continue;
    const inputs = node.inputs.map((value, position) => (position === index ? source : value));
    if (!sameShape(broadcastDims(inputs.filter((value) => value !== undefined)), output.type.shape)) continue;
    return context.emit(node.op, inputs, node.attributes);
  }
  return undefined;
}

function sameDtype(node: Node): Value | undefined {
  const x = first(node);
  return x?.type.dtype === (node.outputs[0] as Value).type.dtype ? x : undefined;
}

const isZero = (pads: readonly number[] | "absent" | undefined): boolean =>
  pads !== undefined && pads !== "absent" && pads.every((pad) => pad === 0);

/** Empty operands add nothing. */
function concat(node: Node, context: RewriteContext): Value | undefined {
  const axis = integerOf(node, "axis", 1);
  const operands = node.inputs.filter(
    (value): value is Value => value !== undefined && value.type.shape.at(axis) !== 0,
  );
  if (operands.length === 1) return operands[0];
  return operands.length === 0 || operands.length === node.inputs.length
    ? undefined
    : context.emit(node.op, operands, node.attributes);
}

interface SliceAxis {
  readonly start: number;
  readonly end: number;
  readonly step: number;
}

/** What a Slice does to each axis it names; undefined when that is not known in numbers. */
function sliceAxes(node: Node, context: RewriteContext): ReadonlyMap<number, SliceAxis> | undefined {
  const starts = parameterOf(node, "starts", 1, context);
  const ends = parameterOf(node, "ends", 2, context);
  const axes = parameterOf(node, "axes", 3, context);
  const steps = parameterOf(node, "steps", 4, context);
  if (!starts || !ends || !axes || !steps || starts === "absent" || ends === "absent") return undefined;
  const rank = (node.inputs[0] as Value).type.shape.length;
  return new Map(
    starts.map((start, index) => {
      const axis = axes === "absent" ? index : (axes[index] as number);
      return [
        axis < 0 ? axis + rank : axis,
        { start, end: ends[index] as number, step: steps === "absent" ? 1 : (steps[index] as number) },
      ];
    }),
  );
}

/** A Slice of everything vanishes; that of one operand of a Concat is the operand; a Slice of a Slice on other axes becomes one. */
function slice(node: Node, context: RewriteContext): Value | undefined {
  const x = first(node) as Value;
  const axes = sliceAxes(node, context);
  if (!axes) return undefined;
  if (unlessShapeChanges(node, context) && [...axes.values()].every(({ step }) => step > 0)) return x;
  const producer = context.producer(x);
  const operand = producer?.op === "Concat" ? joinedOperand(producer, axes) : undefined;
  if (operand) return operand;
  const inner = producer?.op === "Slice" ? sliceAxes(producer, context) : undefined;
  if (!producer || !inner || [...axes.keys()].some((axis) => inner.has(axis))) return undefined;
  const all = [...inner, ...axes].sort(([a], [b]) => a - b);
  return emitSlice(
    context,
    producer.inputs[0] as Value,
    all.map(([axis]) => axis),
    all.map(([, { start }]) => start),
    all.map(([, { end }]) => end),
    all.map(([, { step }]) => step),
  );
}

/** The operand of a Concat that exactly fills the range. */
function joinedOperand(concat: Node, axes: ReadonlyMap<number, SliceAxis>): Value | undefined {
  const [[axis, range] = [], other] = [...axes];
  const joined = concat.inputs as readonly Value[];
  const rank = joined[0]?.type.shape.length ?? 0;
  if (
    axis === undefined ||
    !range ||
    other ||
    range.step !== 1 ||
    axis !== (integerOf(concat, "axis", 1) + rank) % rank
  )
    return undefined;
  const extents = joined.map(({ type }) => type.shape[axis]);
  if (!extents.every((extent) => typeof extent === "number")) return undefined;
  const total = extents.reduce((sum, extent) => sum + extent, 0);
  const clamp = (bound: number): number => Math.min(total, Math.max(0, bound < 0 ? bound + total : bound));
  let first = 0;
  return joined.find((_, index) => {
    const start = first;
    first += extents[index] as number;
    return start === clamp(range.start) && first === clamp(range.end) && first > start;
  });
}

function split(node: Node, context: RewriteContext): readonly Value[] {
  const x = first(node) as Value;
  const rank = x.type.shape.length;
  const axis = (integerOf(node, "axis", 0) + rank) % rank;
  let start: Dim = 0;
  return node.outputs.map((output) => {
    const end = addDims(start, output.type.shape[axis] as Dim);
    const part = emitSlice(context, x, [axis], [start], [end], [1]);
    start = end;
    return part;
  });
}

/** The single element of a constant. */
function scalarOf(value: Value | undefined, context: RewriteContext): number | undefined {
  const tensor = value && context.constant(value);
  return tensor?.dtype === "float32" && tensor.data.length === 1 ? Number(tensor.data[0]) : undefined;
}

const isFloat32 = (value: Value | undefined): value is Value => value?.type.dtype === "float32";

/** Small integer powers as products; a scalar exponent may not enlarge the result. */
function power(node: Node, context: RewriteContext): Value | undefined {
  const x = first(node);
  const exponent = scalarOf(node.inputs[1], context);
  if (!isFloat32(x) || exponent === undefined || !sameShape(x.type.shape, (node.outputs[0] as Value).type.shape))
    return undefined;
  if (exponent === 1) return x;
  if (exponent === 0.5) return context.emit("Sqrt", [x], {}, { version: 13 });
  if (exponent === 2) return context.emit("Mul", [x, x], {}, { version: 14 });
  if (exponent === 3)
    return context.emit("Mul", [context.emit("Mul", [x, x], {}, { version: 14 }), x], {}, { version: 14 });
  return undefined;
}

/** The second operand is a constant of numbers whose inverse is finite: the commutative operator with the inverse. */
function byConstant(
  node: Node,
  context: RewriteContext,
  op: "Add" | "Mul",
  inverse: (value: number) => number,
): Value | undefined {
  const [x, y] = node.inputs;
  const tensor = y && context.constant(y);
  if (!isFloat32(x) || !y || tensor?.dtype !== "float32" || context.constant(x)) return undefined;
  const values = Array.from(tensor.data as Float32Array, inverse);
  if (values.some((value) => !Number.isFinite(Math.fround(value)))) return undefined;
  return context.emit(
    op,
    [x, context.addConstant(y.name, tensorOf("float32", tensor.shape, values))],
    {},
    { version: 14 },
  );
}

/** Constant padding in front of a window that would pad with the same value itself. */
function absorbPadding(node: Node, context: RewriteContext): Replacement {
  const x = first(node);
  const producer = x && context.producer(x);
  const source = producer?.inputs[0];
  if (
    !x ||
    !source ||
    producer.op !== "Pad" ||
    stringOf(producer, "mode", "constant") !== "constant" ||
    producer.inputs[3]
  )
    return undefined;
  const pads = parameterOf(producer, "pads", 1, context);
  const rank = x.type.shape.length;
  if (!pads || pads === "absent" || pads.some((pad, index) => pad < 0 || (index % rank < 2 && pad !== 0)))
    return undefined;
  if (!["NOTSET", "VALID", ""].includes(stringOf(node, "auto_pad", "NOTSET"))) return undefined;
  const fill = producer.inputs[2]
    ? scalarOf(producer.inputs[2], context)
    : producer.attributes.value?.kind === "float"
      ? producer.attributes.value.value
      : 0;
  if (fill !== (node.op === "MaxPool" ? -Infinity : 0)) return undefined;
  const own = stringOf(node, "auto_pad", "NOTSET") === "VALID" ? [] : (integersOf(node, "pads") ?? []);
  // A partial window at the end would be counted differently.
  if (node.op !== "Conv" && integerOf(node, "ceil_mode", 0) !== 0) return undefined;
  if (node.op === "AveragePool" && own.some((pad) => pad !== 0) && integerOf(node, "count_include_pad", 0) === 0)
    return undefined;
  if (node.op === "MaxPool" && node.outputs.length > 1) return undefined;
  const spatial = rank - 2;
  const total = Array.from({ length: 2 * spatial }, (_, index) => {
    const axis = (index % spatial) + 2 + (index < spatial ? 0 : rank);
    return (pads[axis] as number) + (own[index] ?? 0);
  });
  const { auto_pad: _, ...attributes } = node.attributes;
  const counted = node.op === "AveragePool" ? { count_include_pad: { kind: "integer", value: 1 } as const } : {};
  return context.emitNode(node.op, [source, ...node.inputs.slice(1)], {
    ...attributes,
    pads: integersAttribute(total),
    ...counted,
  });
}
