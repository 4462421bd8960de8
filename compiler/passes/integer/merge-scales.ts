/**
 * Epilogues of integer products, and elementwise chains over 8-bit integers, with as few operations as their meaning needs:
 * steps, divisions by a scale and factors per channel become one multiplication, activations that only clip become the bounds
 * of the saturation, and integers in between stay in float32 registers. Valid within one quantisation step: products of
 * scales are rounded once instead of twice.
 */
import type { DType } from "../../../runtime/format/dtype.ts";
import { constant, type Expression, input } from "../../../runtime/format/expression.ts";
import { tensorOf } from "../../../runtime/format/tensor.ts";
import { expressionAttribute, expressionOf } from "../../graph/attribute.ts";
import { sameShape } from "../../graph/dimension.ts";
import type { Node, Value } from "../../graph/graph.ts";
import type { RewriteContext } from "../../graph/rewrite.ts";
import { substitute } from "../elementwise.ts";
import { rewritePass } from "../pass.ts";
import { Scales, simplified } from "./scaled-expression.ts";

export const mergeScales = rewritePass(
  "merge-scales",
  "requantisation is one multiplication, and clipping is part of its saturation",
  (node, context) => {
    const form = formOf(node);
    if (!form) return undefined;
    const { expression, sum, operands } = form;
    const scales = new Scales(
      [...sum, ...operands.map((value) => value.type.dtype)],
      [...sum.map(() => undefined), ...operands.map((value) => vectorOf(value, context))],
    );
    // Operands of one element are numbers.
    const plain = substitute(expression, (index) =>
      index < sum.length ? undefined : numberOf(operands[index - sum.length], context),
    );
    const merged = simplified(plain, scales);
    return JSON.stringify(merged) === JSON.stringify(expression)
      ? undefined
      : emit(node, form, { expression: merged, scales }, context);
  },
);

/** An expression of a node, over what the node computes (if that is an input of it) and the operands behind `leading` inputs. */
interface Form {
  readonly attribute: "epilogue" | "expression";
  readonly expression: Expression;
  readonly sum: readonly DType[];
  readonly leading: readonly (Value | undefined)[];
  readonly operands: readonly Value[];
}

const isByte = (value: Value | undefined): boolean => /^u?int8$/.test(value?.type.dtype ?? "");

function formOf(node: Node): Form | undefined {
  const product = /^leafcutter\.Integer(Conv|MatMul)$/.test(node.op);
  if (!product && (node.op !== "leafcutter.Elementwise" || ![...node.inputs, node.outputs[0]].some(isByte)))
    return undefined;
  const attribute = product ? "epilogue" : "expression";
  const expression = expressionOf(node, attribute);
  const count = product ? 3 : 0;
  const operands = node.inputs.slice(count) as readonly Value[];
  const leading = Array.from({ length: count }, (_, index) => node.inputs[index]);
  return expression && { attribute, expression, sum: product ? ["int32"] : [], leading, operands };
}

/** A constant of one element. */
function numberOf(value: Value | undefined, context: RewriteContext): Expression | undefined {
  const tensor = value && context.constant(value);
  return tensor?.dtype === "float32" && tensor.data.length === 1 ? constant(Number(tensor.data[0])) : undefined;
}

/** A constant with one value per channel. */
function vectorOf(value: Value, context: RewriteContext): Float64Array | undefined {
  const tensor = context.constant(value);
  return tensor?.dtype === "float32" && tensor.shape.length === 1
    ? Float64Array.from(tensor.data as Float32Array)
    : undefined;
}

function emit(
  node: Node,
  { attribute, sum, leading, operands }: Form,
  merged: { readonly expression: Expression; readonly scales: Scales },
  context: RewriteContext,
): Value | undefined {
  const used: Value[] = [];
  const places = new Map<number, Expression>();
  const operand = (value: Value): Expression => input(sum.length + used.push(value) - 1);
  const placed = (index: number): Expression => {
    const given = operands[index - sum.length];
    if (given) return operand(given);
    const vector = merged.scales.vector(index) as Float64Array;
    const [first = 0] = vector;
    if (vector.every((value) => value === first)) return constant(Math.fround(first));
    return operand(context.addConstant(`${node.name}/scales`, tensorOf("float32", [vector.length], vector)));
  };
  const expression = substitute(merged.expression, (index) => {
    if (index < sum.length) return undefined;
    const place = places.get(index) ?? placed(index);
    places.set(index, place);
    return place;
  });
  const attributes = { ...node.attributes, [attribute]: expressionAttribute(expression) };
  const result = context.emit(node.op, [...leading, ...used], attributes);
  // A constant may have given an elementwise result its shape.
  return sameShape(result.type.shape, (node.outputs[0] as Value).type.shape) ? result : undefined;
}
