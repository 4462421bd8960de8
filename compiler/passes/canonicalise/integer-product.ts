/**
 * Products that exporters of dynamic quantisation write, with constant weights: leafcutter.IntegerMatMul, whose epilogue
 * corrects the zero point of the run and takes the cast, scales and bias behind it in.
 */
import { expressionAttribute, integerAttribute } from "../../graph/attribute.ts";
import type { Attributes, Node, Value } from "../../graph/graph.ts";
import type { RewriteContext } from "../../graph/rewrite.ts";
import { centredWeights, correctionFor } from "../integer-weights.ts";

/** ONNX's number of float32. */
const float32 = 1;

function product(
  a: Value | undefined,
  b: Value | undefined,
  zeros: { readonly a: Value | undefined; readonly b: Value | undefined },
  context: RewriteContext,
): Value | undefined {
  const weights = centredWeights(b, zeros.b, 1, context);
  if (!a || !b || a.type.shape.length < 2 || weights?.tensor.shape.length !== 2) return undefined;
  const correction = correctionFor(zeros.a, weights.sums, b.name, context);
  if (!correction) return undefined;
  const { offsets, operands, sum } = correction;
  const attributes: Attributes = sum ? { epilogue: expressionAttribute(sum) } : {};
  const packed = context.addConstant(b.name, weights.tensor);
  return context.emit("leafcutter.IntegerMatMul", [a, packed, offsets, ...operands], attributes);
}

export function integerMatmul(node: Node, context: RewriteContext): Value | undefined {
  const [a, b, zeroA, zeroB] = node.inputs;
  return product(a, b, { a: zeroA, b: zeroB }, context);
}

/** com.microsoft.MatMulIntegerToFloat: the product times both scales, plus a bias. */
export function integerMatmulToFloat(node: Node, context: RewriteContext): Value | undefined {
  const [a, b, scaleA, scaleB, zeroA, zeroB, bias] = node.inputs;
  return scaled(node, { a, b, scaleA, scaleB, zeroA, zeroB, bias }, context);
}

/** com.microsoft.DynamicQuantizeMatMul: the same behind a DynamicQuantizeLinear. */
export function dynamicMatmul(node: Node, context: RewriteContext): Value | undefined {
  const [x, b, scaleB, zeroB, bias] = node.inputs;
  if (!x) return undefined;
  const [a, scaleA, zeroA] = context.emitNode(
    "DynamicQuantizeLinear",
    [x],
    {},
    { name: `${node.name}/input`, version: 11 },
  );
  return scaled(node, { a, b, scaleA, scaleB, zeroA, zeroB, bias }, context);
}

interface ScaledProduct {
  readonly a: Value | undefined;
  readonly b: Value | undefined;
  readonly scaleA: Value | undefined;
  readonly scaleB: Value | undefined;
  readonly zeroA: Value | undefined;
  readonly zeroB: Value | undefined;
  readonly bias: Value | undefined;
}

function scaled(node: Node, parts: ScaledProduct, context: RewriteContext): Value | undefined {
  const { a, b, scaleA, scaleB, zeroA, zeroB, bias } = parts;
  if (scaleA?.type.dtype !== "float32") return undefined;
  const sum = product(a, b, { a: zeroA, b: zeroB }, context);
  if (!sum) return undefined;
  const step = context.emit("Mul", [scaleA, scaleB], {}, { name: `${node.name}/step`, version: 14 });
  const floats = context.emit(
    "Cast",
    [sum],
    { to: integerAttribute(float32) },
    { name: `${node.name}/float`, version: 13 },
  );
  const result = context.emit("Mul", [floats, step], {}, { version: 14 });
  return bias ? context.emit("Add", [result, bias], {}, { version: 14 }) : result;
}
