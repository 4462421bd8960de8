/**
 * The epilogues of integer products with as few operations as their meaning needs: steps, divisions by a scale and factors
 * per channel become one multiplication, activations that only clip become the bounds of the saturation, and integers
 * in between stay in float32 registers. Valid within one quantisation step: products of scales are rounded once instead of twice.
 */
import { constant, type Expression, input } from "../../runtime/format/expression.ts";
import { tensorOf } from "../../runtime/format/tensor.ts";
import { expressionAttribute, expressionOf } from "../graph/attribute.ts";
import type { Node, Value } from "../graph/graph.ts";
import type { RewriteContext } from "../graph/rewrite.ts";
import { substitute } from "./elementwise.ts";
import { rewritePass } from "./pass.ts";
import { Scales, simplified } from "./scaled-expression.ts";

const firstOperand = 3;

export const mergeScales = rewritePass(
  "merge-scales",
  "requantisation is one multiplication, and clipping is part of its saturation",
  (node, context) => {
    const given = expressionOf(node, "epilogue");
    if (!given || !/^leafcutter\.Integer(Conv|MatMul)$/.test(node.op)) return undefined;
    const operands = node.inputs.slice(firstOperand) as readonly Value[];
    const scales = new Scales(
      operands.map((value) => value.type.dtype),
      operands.map((value) => vectorOf(value, context)),
    );
    // Operands of one element are numbers.
    const epilogue = substitute(given, (index) => (index === 0 ? undefined : numberOf(operands[index - 1], context)));
    const merged = simplified(epilogue, scales);
    return JSON.stringify(merged) === JSON.stringify(given) ? undefined : emit(node, merged, scales, context);
  },
);

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

function emit(node: Node, epilogue: Expression, scales: Scales, context: RewriteContext): Value {
  const operands: Value[] = [];
  const places = new Map<number, Expression>();
  const place = (index: number): Expression => {
    const known = places.get(index);
    if (known) return known;
    const given = node.inputs[firstOperand + index - 1];
    const vector = scales.vector(index) as Float64Array;
    const [first = 0] = vector ?? [];
    let found: Expression;
    if (given) found = input(operands.push(given));
    else if (vector.every((value) => value === first)) found = constant(Math.fround(first));
    else {
      const tensor = tensorOf("float32", [vector.length], vector);
      found = input(operands.push(context.addConstant(`${node.name}/scales`, tensor)));
    }
    places.set(index, found);
    return found;
  };
  const expression = substitute(epilogue, (index) => (index === 0 ? undefined : place(index)));
  const leading = Array.from({ length: firstOperand }, (_, index) => node.inputs[index]);
  return context.emit(node.op, [...leading, ...operands], {
    ...node.attributes,
    epilogue: expressionAttribute(expression),
  });
}
