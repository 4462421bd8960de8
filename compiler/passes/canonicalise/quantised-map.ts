/**
 * com.microsoft's QLinear operators that are no products: the operator on floats between DequantizeLinear of its operands and
 * QuantizeLinear of its result, which is their definition. The integer passes put the pieces together again.
 */
import { integerAttribute, integerOf, integersAttribute } from "../../graph/attribute.ts";
import type { Attributes, Node, Value } from "../../graph/graph.ts";
import type { RewriteContext } from "../../graph/rewrite.ts";

/** Operator set of the pieces. */
const version = 13;

/** The quantised operand at input `first`, whose scale and zero point follow it, as floats. */
const floatsAt = (node: Node, first: number, context: RewriteContext): Value =>
  context.emit("DequantizeLinear", node.inputs.slice(first, first + 3), {}, { name: `${node.name}/float`, version });

/** `result` in steps of input `scale`, with the zero point behind it; both have one element. */
function quantisedBy(node: Node, result: Value, scale: number, context: RewriteContext): Value {
  const { dtype } = (node.outputs[0] as Value).type;
  const zero = node.inputs[scale + 1];
  // Without a zero point the type has to be said.
  const attributes: Attributes = zero ? {} : { output_dtype: integerAttribute(dtype === "int8" ? 3 : 2) };
  return context.emit("QuantizeLinear", [result, node.inputs[scale], zero], attributes, {
    version: zero ? version : 21,
  });
}

type Rule = (node: Node, context: RewriteContext) => Value;

/** One operand, then the scale of the result. */
const unary =
  (meaning: (node: Node, x: Value, context: RewriteContext) => Value): Rule =>
  (node, context) =>
    quantisedBy(node, meaning(node, floatsAt(node, 0, context), context), 3, context);

const emitted = (op: string, ownVersion: number) =>
  unary((node, x, context) => context.emit(op, [x], node.attributes, { version: ownVersion }));

const binary =
  (op: string): Rule =>
  (node, context) => {
    const operands = [floatsAt(node, 0, context), floatsAt(node, 3, context)];
    return quantisedBy(node, context.emit(op, operands, {}, { version: 14 }), 6, context);
  };

/** With attribute channels_last the operand is [N, spatial…, C]. */
const pool = (op: string): Rule =>
  unary((node, x, context) => {
    const { channels_last: last, ...attributes } = node.attributes;
    if (last?.value !== 1) return context.emit(op, [x], attributes, { version: 11 });
    const axes = x.type.shape.map((_, axis) => axis);
    const turned = (value: Value, order: readonly number[], name: string): Value =>
      context.emit("Transpose", [value], { perm: integersAttribute(order) }, { name: `${node.name}/${name}`, version });
    const spatial = axes.slice(1, -1);
    const first = turned(x, [0, axes.length - 1, ...spatial], "channels first");
    const y = context.emit(op, [first], attributes, { version: 11 });
    return turned(y, [0, ...spatial.map((axis) => axis + 1), 1], "channels last");
  });

export const quantisedAdd = binary("Add");
export const quantisedMul = binary("Mul");
export const quantisedSigmoid = emitted("Sigmoid", version);
export const quantisedLeakyRelu = emitted("LeakyRelu", 6);
export const quantisedAveragePool = pool("AveragePool");
export const quantisedGlobalAveragePool = pool("GlobalAveragePool");

/** Attribute opset says how the axis is meant. */
export const quantisedSoftmax = unary((node, x, context) => {
  const opset = integerOf(node, "opset", version);
  const axis = integerAttribute(integerOf(node, "axis", opset < 13 ? 1 : -1));
  return context.emit("Softmax", [x], { axis }, { version: opset });
});

/** Inputs: scale and zero point of the result, then each member with its own. */
export function quantisedConcat(node: Node, context: RewriteContext): Value {
  const members = Array.from({ length: Math.floor(node.inputs.length / 3) }, (_, k) =>
    floatsAt(node, 2 + 3 * k, context),
  );
  return quantisedBy(node, context.emit("Concat", members, node.attributes, { version }), 0, context);
}
