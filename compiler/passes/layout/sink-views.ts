/**
 * Moves Reshapes behind the elementwise operators that read them, so that these meet the convolution or product
 * whose epilogue they can become. Valid because an elementwise operator does not see the shape, as long as its other
 * operands take the shape along: scalars, operands of the same shape, and those that are broadcast along leading axes.
 */
import { type Dim, productOf, sameDim, sameShape } from "../../graph/dimension.ts";
import type { Node, Value } from "../../graph/graph.ts";
import type { RewriteContext } from "../../graph/rewrite.ts";
import { isElementwise } from "../elementwise.ts";
import { rewritePass } from "../pass.ts";
import { reshape } from "../reshape.ts";
import { reshapedStorage } from "../storage.ts";
import { reshaped } from "../tensor-transform.ts";

export const sinkViews = rewritePass(
  "sink-views",
  "activations meet the kernel in front of a view",
  (node, context) => {
    const output = node.outputs[0];
    if (
      !output ||
      node.outputs.length !== 1 ||
      !node.inputs.some((value) => sourceOf(value, context)) ||
      !isElementwise(node, context)
    )
      return undefined;
    for (const value of node.inputs) {
      const source = sourceOf(value, context);
      if (
        !source ||
        !value ||
        !sameShape(value.type.shape, output.type.shape) ||
        !isReadElementwise(value, context) ||
        !isWorthIt(source, context)
      )
        continue;
      // A residual takes the view in the other direction, unless a kernel is next to the node already.
      const mayView =
        isKernel(context.producer(source)) &&
        !node.inputs.some((operand) => operand && isKernel(context.producer(operand)));
      const inputs = node.inputs.map(
        (operand) => operand && viewedOperand(operand, output.type.shape, source.type.shape, mayView, context),
      );
      if (inputs.some((operand, index) => node.inputs[index] && !operand)) continue;
      return reshape(context, context.emit(node.op, inputs, node.attributes), output.type.shape, `${node.name}/view`);
    }
    return undefined;
  },
);

/** The value behind a Reshape. */
function sourceOf(value: Value | undefined, context: RewriteContext): Value | undefined {
  const producer = value && context.producer(value);
  return producer?.op === "Reshape" ? producer.inputs[0] : undefined;
}

/** Whether the node has an epilogue to offer. */
const isKernel = (node: Node | undefined): boolean =>
  node !== undefined && /^leafcutter\.(Conv|ConvTranspose|MatMul|Pool|IntegerConv|IntegerMatMul)$/.test(node.op);

/** Behind anything else a view is as good in front of the node as after it. */
function isWorthIt(source: Value, context: RewriteContext): boolean {
  const producer = context.producer(source);
  return producer !== undefined && (isKernel(producer) || isElementwise(producer, context));
}

/** A view that something else reads as well stays anyway. */
const isReadElementwise = (value: Value, context: RewriteContext): boolean =>
  !context.isOutput(value) &&
  context.consumers(value).every((consumer) => consumer.outputs.length === 1 && isElementwise(consumer, context));

/** What an operand of a result of shape `from` becomes when the result has the shape `to`. */
function viewedOperand(
  operand: Value,
  from: readonly Dim[],
  to: readonly Dim[],
  mayView: boolean,
  context: RewriteContext,
): Value | undefined {
  const source = sourceOf(operand, context);
  if (source && sameShape(source.type.shape, to) && sameShape(operand.type.shape, from)) return source;
  const { shape } = operand.type;
  const leading = shape.findIndex((dim) => !sameDim(dim, 1));
  const used = leading < 0 ? [] : shape.slice(leading);
  // Trailing axes that are present in full: as many elements at the end of both shapes are the same ones.
  if (!sameShape(used, from.slice(from.length - used.length))) return undefined;
  const count = productOf(used);
  const start = to.findIndex((_, axis) => sameDim(productOf(to.slice(axis)), count));
  const target = used.length === 0 ? [] : start < 0 ? undefined : to.slice(start);
  if (!target) return undefined;
  const tensor = context.constant(operand);
  if (!tensor && !mayView && sameShape(operand.type.shape, from)) return undefined;
  if (!tensor || sameShape(shape, target)) return reshape(context, operand, target);
  const extents = target as readonly number[];
  const storage = reshapedStorage(operand.type.storage, tensor.shape, extents);
  return context.addConstant(operand.name, reshaped(tensor, extents), storage);
}
