/**
 * QuantizeLinear and DequantizeLinear as the passes see them: nodes that nothing looks into until the integer passes of
 * pipeline.ts. A Quantisation is one scale and zero point for a whole tensor of 8-bit integers.
 */
import { binary, cast, constant, type Expression, unary } from "../../runtime/format/expression.ts";
import { tensorOf } from "../../runtime/format/tensor.ts";
import { integerAttribute, integerOf } from "../graph/attribute.ts";
import { type Dim, sameDim } from "../graph/dimension.ts";
import type { Facts } from "../graph/facts.ts";
import type { Attributes, Node, Value } from "../graph/graph.ts";
import type { RewriteContext } from "../graph/rewrite.ts";

export interface Quantisation {
  readonly dtype: "int8" | "uint8";
  /** Positive and finite. */
  readonly scale: number;
  readonly zero: number;
  /** 7 keeps unsigned integers in 0..127, for the relaxed dot. */
  readonly bits: 7 | 8;
}

export const isQuantisation = ({ op }: Node): boolean => op === "QuantizeLinear" || op === "DequantizeLinear";

/** Smallest and largest value of an 8-bit type. */
export const rangeOf = { int8: [-128, 127], uint8: [0, 255] } as const;

/** What such a node does, when it is known and the same for the whole tensor. */
export function quantisationOf(node: Node | undefined, facts: Facts): Quantisation | undefined {
  if (!node || !isQuantisation(node)) return undefined;
  const [x, scaleValue, zeroValue] = node.inputs;
  const [output] = node.outputs;
  const quantises = node.op === "QuantizeLinear";
  const float = (quantises ? x : output)?.type.dtype;
  const dtype = (quantises ? output : x)?.type.dtype;
  const scale = scaleValue && facts.constant(scaleValue);
  const zero = zeroValue && facts.constant(zeroValue);
  if (float !== "float32" || (dtype !== "int8" && dtype !== "uint8")) return undefined;
  if (scale?.dtype !== "float32" || scale.data.length !== 1 || (zeroValue && zero?.data.length !== 1)) return undefined;
  const step = scale.data[0] as number;
  return step > 0 && step < Infinity
    ? { dtype, scale: step, zero: Number(zero?.data[0] ?? 0), bits: integerOf(node, "bits", 8) === 7 ? 7 : 8 }
    : undefined;
}

export const sameQuantisation = (left: Quantisation | undefined, right: Quantisation | undefined): boolean =>
  left !== undefined &&
  left.dtype === right?.dtype &&
  left.scale === right.scale &&
  left.zero === right.zero &&
  left.bits === right.bits;

/** The node that dequantises `value`, when it does so with one scale for the whole tensor. */
export function dequantisedBy(
  value: Value | undefined,
  context: RewriteContext,
): { readonly source: Value; readonly quantisation: Quantisation } | undefined {
  const node = value && context.producer(value);
  const quantisation = node?.op === "DequantizeLinear" ? quantisationOf(node, context) : undefined;
  const source = node?.inputs[0];
  return quantisation && source ? { source, quantisation } : undefined;
}

/** Integers whose scale a run finds: one for the tensor, or one for each row (all axes but the last). */
export interface RunTimeQuantisation {
  readonly source: Value;
  readonly scale: Value;
  readonly zero: Value | undefined;
  readonly perRow: boolean;
}

/** What `value` is dequantised from in a run. */
export function dequantisedInRun(value: Value | undefined, context: RewriteContext): RunTimeQuantisation | undefined {
  const node = value && context.producer(value);
  const [source, scale, zero] = node?.op === "DequantizeLinear" ? node.inputs : [];
  if (!source || !scale || context.constant(scale) || scale.type.dtype !== "float32") return undefined;
  if (node?.outputs[0]?.type.dtype !== "float32" || !/^u?int8$/.test(source.type.dtype)) return undefined;
  const isOne = (extent: Dim): boolean => extent === 1;
  if (scale.type.shape.every(isOne) && scale.type.shape.length < 2) return { source, scale, zero, perRow: false };
  const { shape } = source.type;
  const isRows =
    scale.type.shape.length === shape.length &&
    isOne(scale.type.shape.at(-1) as Dim) &&
    scale.type.shape.every((extent, axis) => axis === shape.length - 1 || sameDim(extent, shape[axis] as Dim));
  return isRows && zero === undefined ? { source, scale, zero, perRow: true } : undefined;
}

const parametersOf = (
  context: RewriteContext,
  { dtype, scale, zero }: Quantisation,
  name: string,
): readonly Value[] => [
  context.addConstant(`${name}/scale`, tensorOf("float32", [], [scale])),
  context.addConstant(`${name}/zero`, tensorOf(dtype, [], [zero])),
];

const bitsOf = ({ bits }: Quantisation): Attributes => (bits === 7 ? { bits: integerAttribute(7) } : {});

export const emitQuantise = (context: RewriteContext, x: Value, quantisation: Quantisation, name: string): Value =>
  context.emit("QuantizeLinear", [x, ...parametersOf(context, quantisation, name)], bitsOf(quantisation), {
    name,
    version: 13,
  });

export const emitDequantise = (context: RewriteContext, x: Value, quantisation: Quantisation, name: string): Value =>
  context.emit("DequantizeLinear", [x, ...parametersOf(context, quantisation, name)], bitsOf(quantisation), {
    name,
    version: 13,
  });

/** saturate(round(value / scale) + zero). */
export function quantised(value: Expression, { dtype, scale, zero, bits }: Quantisation): Expression {
  const [low, all] = rangeOf[dtype];
  const high = bits === 7 ? 127 : all;
  const rounded = unary("round", binary("divide", value, constant(scale)));
  const shifted = zero === 0 ? rounded : binary("add", rounded, constant(zero));
  return cast(dtype, binary("minimum", binary("maximum", shifted, constant(low)), constant(high)));
}

/** (value - zero) * scale. */
export function dequantised(value: Expression, { scale, zero }: Quantisation): Expression {
  const wide = cast("float32", value);
  return binary("multiply", zero === 0 ? wide : binary("subtract", wide, constant(zero)), constant(scale));
}
