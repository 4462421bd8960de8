/**
 * The one lowering of elementwise operators: a loop nest over the output whose operands are the inputs that the
 * expression reads, broadcast. Constants of one element become literals of the expression.
 */
import { type DType, isBigInteger } from "../../../runtime/format/dtype.ts";
import { constant, type Expression, expressionType, input, mapExpression } from "../../../runtime/format/expression.ts";
import { readerOf } from "../../../runtime/reference/element.ts";
import { broadcastAccess, identityAccess, type LoopNest } from "../../loop/loop.ts";
import type { Lowering, OperatorContext, StepOperand } from "../operator.ts";
import { broadcastDims } from "./broadcast.ts";

/** The literal that stands for input `index`, when it is a constant of one element that a literal can hold. */
function literalOf(context: OperatorContext, index: number): Expression | undefined {
  const tensor = context.constant(index);
  if (tensor?.data.length !== 1) return undefined;
  const value = readerOf(tensor)(0);
  const held = Number(value);
  return isBigInteger(tensor.dtype) && BigInt(held) !== value ? undefined : constant(held, tensor.dtype);
}

/** Input types as the expression sees them; an absent input is never read. */
export const operandTypes = (context: OperatorContext): readonly DType[] =>
  context.node.inputs.map((value) => value?.type.dtype ?? "float32");

/** Lowers an expression over the node's inputs to output 0. */
export function lowerElementwise(context: OperatorContext, expression: Expression): Lowering {
  const present = context.node.inputs.flatMap((value, index) => (value ? [index] : []));
  const shape = broadcastDims(
    context,
    present.map((index) => context.type(index).shape),
  );
  const read: number[] = [];
  const body = mapExpression(expression, (leaf) => {
    if (leaf.kind !== "input") return leaf;
    const literal = literalOf(context, leaf.index);
    if (literal) return literal;
    if (!read.includes(leaf.index)) read.push(leaf.index);
    return input(read.indexOf(leaf.index));
  });
  const types = read.map((index) => context.type(index));
  const nest: LoopNest = {
    extents: shape,
    reductions: 0,
    operands: types.map((type) => ({ dtype: type.dtype, access: broadcastAccess(type.shape, shape.length) })),
    parameters: [],
    body,
    output: {
      dtype: expressionType(
        body,
        types.map((type) => type.dtype),
      ),
      access: identityAccess(shape.length),
    },
  };
  const operands = read.map((index): StepOperand => ({ kind: "input", index }));
  return {
    kind: "steps",
    steps: [{ kind: "nest", nest, operands, output: { kind: "output", index: 0 } }],
    temporaries: [],
  };
}
