/**
 * Moves Reshapes behind the elementwise operators that read them, so that these meet the convolution or product
 * whose epilogue they can become. Valid because an elementwise operator does not see the shape, as long as its other
 * operands take the shape along: scalars, operands behind the same Reshape, constants, rows along an unchanged last axis.
 */
import { type Dim, sameDim, sameShape } from "../graph/dimension.ts";
import type { Node, Value } from "../graph/graph.ts";
import type { RewriteContext } from "../graph/rewrite.ts";
import { isElementwise } from "./elementwise.ts";
import { rewritePass } from "./pass.ts";
import { reshape } from "./reshape.ts";
import { reshaped } from "./tensor-transform.ts";

export const sinkViews = rewritePass("sink-views", "activations meet the kernel in front of a view", (node, context) => {
  const output = node.outputs[0];
  if (!output || node.outputs.length !== 1 || !node.inputs.some((value) => sourceOf(value, context)) || !isElementwise(node, context)) return undefined;
  for (const value of node.inputs) {
    const source = sourceOf(value, context);
    if (!source || !value || !sameShape(value.type.shape, output.type.shape) || !context.isOnlyUse(value, node) || !isWorthIt(source, context)) continue;
    const inputs = node.inputs.map((operand) => operand && viewedOperand(operand, output.type.shape, source.type.shape, context));
    if (inputs.some((operand, index) => node.inputs[index] && !operand)) continue;
    return reshape(context, context.emit(node.op, inputs, node.attributes), output.type.shape, `${node.name}/view`);
  }
  return undefined;
});

/** The value behind a Reshape. */
function sourceOf(value: Value | undefined, context: RewriteContext): Value | undefined {
  const producer = value && context.producer(value);
  return producer?.op === "Reshape" ? producer.inputs[0] : undefined;
}

/** Only a computing producer has an epilogue to offer, or is elementwise itself. */
function isWorthIt(source: Value, context: RewriteContext): boolean {
  const producer: Node | undefined = context.producer(source);
  return producer !== undefined && (/^leafcutter\.(Conv|ConvTranspose|MatMul|Pool)$/.test(producer.op) || isElementwise(producer, context));
}

function viewedOperand(operand: Value, from: readonly Dim[], to: readonly Dim[], context: RewriteContext): Value | undefined {
  const { shape } = operand.type;
  const source = sourceOf(operand, context);
  if (source && sameShape(source.type.shape, to) && sameShape(shape, from)) return source;
  const tensor = context.constant(operand);
  const leading = shape.findIndex((dim) => !sameDim(dim, 1));
  if (leading < 0) return shape.length <= to.length ? operand : tensor && context.addConstant(operand.name, reshaped(tensor, []));
  const row = leading === shape.length - 1 && sameDim(shape[leading] as Dim, to.at(-1) ?? 1) && sameDim(from.at(-1) ?? 1, to.at(-1) ?? 1);
  if (row && shape.length <= to.length) return operand;
  if (tensor && sameShape(shape, from) && to.every((dim) => typeof dim === "number")) return context.addConstant(operand.name, reshaped(tensor, to), operand.type.storage);
  return undefined;
}
