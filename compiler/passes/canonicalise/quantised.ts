/**
 * QOperator models as Q/DQ ones: an operator on integers is DequantizeLinear of its operands, the operator on floats and
 * QuantizeLinear of its result, which is what its definition says. The integer passes put them together again.
 * Scales and zero points have to be constants; otherwise the node stays.
 */
import { type Tensor, tensorOf } from "../../../runtime/format/tensor.ts";
import { floatOf, integerAttribute, integerOf } from "../../graph/attribute.ts";
import type { Attributes, Node, Value } from "../../graph/graph.ts";
import type { RewriteContext } from "../../graph/rewrite.ts";

/** Opset whose QuantizeLinear and DequantizeLinear take an axis. */
const version = 13;

/** The same operator of the default domain. */
export const plainQuantisation = (node: Node, context: RewriteContext): Value =>
  context.emit(
    node.op.replace("com.microsoft.", ""),
    node.inputs,
    { axis: integerAttribute(1), ...node.attributes },
    { version },
  );

/** Input `first` with the scale and zero point behind it, as floats. */
function floatsAt(node: Node, first: number, context: RewriteContext, axis?: number): Value | undefined {
  const [x, scale, zero] = node.inputs.slice(first, first + 3);
  if (!x || !isKnown(scale, context) || (zero && !isKnown(zero, context))) return undefined;
  const attributes: Attributes = axis === undefined ? {} : { axis: integerAttribute(axis) };
  return context.emit("DequantizeLinear", [x, scale, zero], attributes, { name: `${node.name}/float`, version });
}

const isKnown = (value: Value | undefined, context: RewriteContext): boolean =>
  value !== undefined && context.constant(value)?.dtype !== undefined;

/** `result` as integers of the scale and zero point in inputs `scale` and `scale` + 1. */
function integersOf(node: Node, result: Value, scale: number, context: RewriteContext): Value {
  const dtype = (node.outputs[0] as Value).type.dtype;
  const zero = node.inputs[scale + 1] ?? context.addConstant(`${node.name}/zero`, tensorOf(dtype, [], [0]));
  return context.emit("QuantizeLinear", [result, node.inputs[scale], zero], {}, { version });
}

/** An int32 bias in steps of input scale times weight scale, as floats. */
function floatBias(
  node: Node,
  bias: Value | undefined,
  scales: readonly (Value | undefined)[],
  context: RewriteContext,
): Value | "absent" | undefined {
  if (!bias) return "absent";
  const tensor = context.constant(bias);
  const [left, right] = scales.map((value) => value && context.constant(value)) as (Tensor | undefined)[];
  if (tensor?.dtype !== "int32" || left?.data.length !== 1 || !right) return undefined;
  const count = tensor.data.length;
  if (right.data.length !== 1 && (right.data.length !== count || tensor.shape.at(-1) !== count)) return undefined;
  const data = Array.from(
    tensor.data as Int32Array,
    (value, index) => value * Number(left.data[0]) * Number(right.data[right.data.length === 1 ? 0 : index]),
  );
  return context.addConstant(`${node.name}/bias`, tensorOf("float32", tensor.shape, data));
}

export function quantisedConv(node: Node, context: RewriteContext): Value | undefined {
  const x = floatsAt(node, 0, context);
  const weights = floatsAt(node, 3, context, 0);
  const bias = floatBias(node, node.inputs[8], [node.inputs[1], node.inputs[4]], context);
  if (!x || !weights || !bias || !isKnown(node.inputs[6], context)) return undefined;
  const inputs = [x, weights, bias === "absent" ? undefined : bias];
  return integersOf(node, context.emit("Conv", inputs, node.attributes, { version: 11 }), 6, context);
}

/** A scale for each row of the left operand has no place in a tensor with one scale. */
export function quantisedMatmul(node: Node, context: RewriteContext): Value | undefined {
  const right = node.inputs[3] as Value;
  const a = floatsAt(node, 0, context);
  const b = floatsAt(node, 3, context, right.type.shape.length - 1);
  if (!a || !b || !isScalar(node.inputs[1], context) || !isKnown(node.inputs[6], context)) return undefined;
  return integersOf(node, context.emit("MatMul", [a, b], {}, { version: 13 }), 6, context);
}

const isScalar = (value: Value | undefined, context: RewriteContext): boolean =>
  value !== undefined && context.constant(value)?.data.length === 1;

export function quantisedGemm(node: Node, context: RewriteContext): Value | undefined {
  const transposed = integerOf(node, "transB", 0) !== 0;
  const a = floatsAt(node, 0, context);
  const b = floatsAt(node, 3, context, transposed ? 0 : 1);
  const bias = floatBias(node, node.inputs[6], [node.inputs[1], node.inputs[4]], context);
  if (!a || !b || !bias || (node.inputs[7] && !isKnown(node.inputs[7], context))) return undefined;
  // The bias is in steps of alpha times both scales.
  const alpha = floatOf(node, "alpha", 1);
  const attributes: Attributes = { ...node.attributes, beta: { kind: "float", value: alpha } };
  const y = context.emit("Gemm", [a, b, bias === "absent" ? undefined : bias], attributes, { version: 13 });
  return node.inputs[7] ? integersOf(node, y, 7, context) : y;
}
