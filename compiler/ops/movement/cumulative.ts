/**
 * CumSum and CumProd: a nest whose iterations run in order and read what they have written, one element back.
 * ReverseSequence: coordinates that run backwards up to a length given as data.
 */
import {
  axis as axisIndex,
  binary,
  cast,
  constant,
  type Expression,
  input,
  load,
  select,
} from "../../../runtime/format/expression.ts";
import {
  cumulativeProduct,
  cumulativeSum,
  reverseSequence as reverseReference,
} from "../../../runtime/reference/cumulative.ts";
import { integerOf } from "../../graph/attribute.ts";
import type { Dim } from "../../graph/dimension.ts";
import { along, fixed, identityAccess } from "../../loop/loop.ts";
import { Parameters } from "../contraction/integer-expression.ts";
import { defineOperator, exactTolerance, type Operator, type OperatorContext, sumTolerance } from "../operator.ts";
import { axisOf, inputOperand, nestOver, nestStep, numberOfDim, outputOperand, steps } from "./copy.ts";
import { clampIndex, lastOf } from "./index-expression.ts";

const [zero, one] = [constant(0, "int32"), constant(1, "int32")];

const cumulative = (op: string, combine: "add" | "multiply", reference: Operator["reference"]): Operator =>
  defineOperator({
    op,
    infer: (context) => [context.type(0)],
    reference,
    lower: (context) => {
      const { dtype, shape } = context.type(0);
      const named = context.elements(1)?.[0];
      if (named === undefined) return undefined;
      const axis = axisOf(context, numberOfDim(context, "the axis", named), shape.length);
      const isExclusive = integerOf(context.node, "exclusive", 0) !== 0;
      const isReverse = integerOf(context.node, "reverse", 0) !== 0;
      const parameters = new Parameters();
      const last = lastOf(parameters.of(shape[axis] as Dim));
      const position = axisIndex(axis);
      const before = binary("maximum", binary("subtract", position, one), zero);
      const turned = (index: Expression): Expression => (isReverse ? binary("subtract", last, index) : index);
      const at = (index: Expression): readonly Expression[] =>
        shape.map((_, i) => (i === axis ? turned(index) : axisIndex(i)));
      const isFirst = binary("equal", position, zero);
      const identity = constant(combine === "add" ? 0 : 1, dtype);
      const value = isExclusive ? select(isFirst, identity, load(0, at(before))) : load(0, at(position));
      const body = select(isFirst, value, binary(combine, load(1, at(before)), value));
      const indexed = { dtype, access: "indexed" as const };
      const nest = {
        extents: shape,
        reductions: 0,
        operands: [indexed, indexed],
        parameters: parameters.values,
        body,
        output: { dtype, access: { computed: at(position) } },
      };
      return steps(nestStep(nest, [inputOperand(0), outputOperand(0)]));
    },
    tolerance: sumTolerance,
  });

export const cumSum = cumulative("CumSum", "add", cumulativeSum);
export const cumProd = cumulative("CumProd", "multiply", cumulativeProduct);

function axesOf(context: OperatorContext): { readonly time: number; readonly batch: number } {
  const rank = context.type(0).shape.length;
  const at = (name: string, fallback: number): number => axisOf(context, integerOf(context.node, name, fallback), rank);
  return { time: at("time_axis", 0), batch: at("batch_axis", 1) };
}

export const reverseSequence = defineOperator({
  op: "ReverseSequence",
  infer: (context) => {
    axesOf(context);
    return [context.type(0)];
  },
  reference: reverseReference,
  lower: (context) => {
    const { dtype, shape } = context.type(0);
    const lengths = context.type(1);
    const { time, batch } = axesOf(context);
    const parameters = new Parameters();
    const length = cast("int32", input(1));
    const position = axisIndex(time);
    const mirrored = binary("subtract", binary("subtract", length, one), position);
    const index = select(binary("less", position, length), mirrored, position);
    const inside = clampIndex(index, zero, lastOf(parameters.of(shape[time] as Dim)));
    const operands = [
      { dtype, access: "indexed" as const },
      { dtype: lengths.dtype, access: [lengths.shape[0] === 1 ? fixed(0) : along(batch)] },
    ];
    const at = identityAccess(shape.length).map((_, i) => (i === time ? inside : axisIndex(i)));
    return steps(
      nestStep(nestOver({ dtype, shape }, operands, load(0, at), parameters.values), [
        inputOperand(0),
        inputOperand(1),
      ]),
    );
  },
  tolerance: exactTolerance,
});
