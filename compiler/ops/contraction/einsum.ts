/** Einsum: one iteration axis per letter, those outside the result reduced; "..." stands for broadcast leading axes. */
import { binary, type Expression, input } from "../../../runtime/format/expression.ts";
import { einsum } from "../../../runtime/reference/einsum.ts";
import { stringOf } from "../../graph/attribute.ts";
import type { Dim } from "../../graph/dimension.ts";
import { along, fixed, type LoopNest } from "../../loop/loop.ts";
import { defineOperator, type Lowering, type OperatorContext, sumTolerance } from "../operator.ts";
import { firstOutput, hasGeneratedCode, inputOperand, stepsOf } from "./operands.ts";
import { broadcastDims } from "./product.ts";

/** Axis labels of operands and result. An axis of "..." is labelled "-1", "-2", … by its distance from the end. */
interface Labels {
  readonly operands: readonly (readonly string[])[];
  readonly result: readonly string[];
}

function labelsOf(context: OperatorContext): Labels {
  const equation = stringOf(context.node, "equation", "").replaceAll(/\s/g, "");
  const [inputs = "", output] = equation.split("->");
  const terms = inputs.split(",");
  const ranks = context.node.inputs.map((_, index) => context.type(index).shape.length);
  const fail = (): never =>
    context.fail(
      "attribute equation does not fit the inputs",
      `${ranks.length} terms of ranks ${ranks.join(", ")}`,
      equation,
    );
  if (terms.length !== ranks.length) fail();
  const spread = terms.map((term, index) => (term.includes("...") ? ranks[index]! - term.length + 3 : 0));
  if (spread.some((count) => count < 0)) fail();
  const expanded = (term: string, count: number): readonly string[] =>
    (term.match(/\.\.\.|[A-Za-z]/g) ?? []).flatMap((part) =>
      part === "..." ? Array.from({ length: count }, (_, index) => String(index - count)) : [part],
    );
  const operands = terms.map((term, index) => expanded(term, spread[index]!));
  if (operands.some((labels, index) => labels.length !== ranks[index])) fail();
  const widest = Math.max(0, ...spread);
  if (output !== undefined) {
    const result = expanded(output, widest);
    if (result.some((label) => !operands.flat().includes(label)) || new Set(result).size !== result.length) fail();
    return { operands, result };
  }
  // Without a result: the broadcast axes, then every letter that occurs once, in alphabetical order.
  const all = operands.flat();
  const single = all.filter((label) => all.indexOf(label) === all.lastIndexOf(label) && !label.startsWith("-"));
  return { operands, result: [...expanded("...", widest), ...single.sort()] };
}

function extentsOf(context: OperatorContext, { operands }: Labels): ReadonlyMap<string, Dim> {
  const extents = new Map<string, Dim>();
  operands.forEach((labels, operand) => {
    labels.forEach((label, axis) => {
      const extent = context.type(operand).shape[axis]!;
      extents.set(label, broadcastDims(context, extents.get(label) ?? 1, extent));
    });
  });
  return extents;
}

function lower(context: OperatorContext): Lowering | undefined {
  const { dtype } = context.type(0);
  if (!hasGeneratedCode(dtype)) return undefined;
  const labels = labelsOf(context);
  const extents = extentsOf(context, labels);
  const order = [...labels.result, ...[...extents.keys()].filter((label) => !labels.result.includes(label))];
  const reductions = order.length - labels.result.length;
  const body = labels.operands
    .map((_, operand): Expression => input(operand))
    .reduce((left, right) => binary("multiply", left, right));
  const nest: LoopNest = {
    extents: order.map((label) => extents.get(label) ?? 1),
    reductions,
    operands: labels.operands.map((own, operand) => ({
      dtype,
      access: own.map((label, axis) =>
        context.type(operand).shape[axis] === 1 ? fixed(0) : along(order.indexOf(label)),
      ),
    })),
    parameters: [],
    body,
    ...(reductions > 0 ? { combine: "add" } : {}),
    output: { dtype, access: labels.result.map((_, axis) => along(axis)) },
  };
  const operands = labels.operands.map((_, operand) => inputOperand(operand));
  return stepsOf({ kind: "nest", nest, operands, output: firstOutput });
}

export const einsumOperator = defineOperator({
  op: "Einsum",
  infer: (context) => {
    const labels = labelsOf(context);
    const extents = extentsOf(context, labels);
    return [{ dtype: context.type(0).dtype, shape: labels.result.map((label) => extents.get(label) ?? 1) }];
  },
  reference: einsum,
  lower,
  tolerance: sumTolerance,
});
