/**
 * ScatterElements (Scatter before version 11) and ScatterND: a copy of the data, then a nest that stores each update where
 * its wrapped and clamped index says. With a reduction the nest also reads the output there: its iterations run in order.
 */
import {
  axis as axisIndex,
  type BinaryOperation,
  binary,
  type Expression,
  input,
  load,
} from "../../../runtime/format/expression.ts";
import * as reference from "../../../runtime/reference/scatter.ts";
import { integerOf, stringOf } from "../../graph/attribute.ts";
import { type Dim, sameShape } from "../../graph/dimension.ts";
import { identityAccess, type LoopOperand } from "../../loop/loop.ts";
import { Parameters } from "../contraction/integer-expression.ts";
import {
  defineOperator,
  type LoweredStep,
  type Lowering,
  type Operator,
  type OperatorContext,
  sumTolerance,
} from "../operator.ts";
import { axisOf, copyNest, inputOperand, nestStep, outputOperand, steps } from "./copy.ts";
import { checkElementIndices, insideAxis, rowCoordinates, rowLength } from "./gather-elements.ts";
import { checkIndexType, wrapIndex } from "./index-expression.ts";

const combinations: Readonly<Record<string, BinaryOperation>> = {
  add: "add",
  mul: "multiply",
  max: "maximum",
  min: "minimum",
};

/** How an update meets what is there; undefined when it replaces it. */
function combinationOf(context: OperatorContext): BinaryOperation | undefined {
  const name = stringOf(context.node, "reduction", "none");
  return name === "none"
    ? undefined
    : (combinations[name] ?? context.fail("the reduction is not known", "none, add, mul, min or max", name));
}

/** Stores input 2 over `extents` at `at`; operand 0 is the indices, operand 1 the updates, operand 2 the output itself. */
function scatter(
  context: OperatorContext,
  extents: readonly Dim[],
  indices: LoopOperand,
  at: readonly Expression[],
  parameters: Parameters,
): Lowering {
  const { dtype, shape } = context.type(0);
  const combination = combinationOf(context);
  const update = input(1);
  const store: LoweredStep = nestStep(
    {
      extents,
      reductions: 0,
      operands: [
        indices,
        { dtype, access: identityAccess(extents.length) },
        ...(combination ? [{ dtype, access: "indexed" as const }] : []),
      ],
      parameters: parameters.values,
      body: combination ? binary(combination, load(2, at), update) : update,
      output: { dtype, access: { computed: at } },
    },
    [inputOperand(1), inputOperand(2), ...(combination ? [outputOperand(0)] : [])],
  );
  return steps(nestStep(copyNest(dtype, shape, identityAccess(shape.length))), store);
}

const elementsRecord = (op: string): Operator =>
  defineOperator({
    op,
    infer: (context) => {
      checkElementIndices(context, axisOf(context, integerOf(context.node, "axis", 0), context.type(0).shape.length));
      combinationOf(context);
      return [context.type(0)];
    },
    reference: reference.scatterElements,
    lower: (context) => {
      const [data, indices, updates] = [context.type(0), context.type(1), context.type(2)];
      if (!sameShape(indices.shape, updates.shape) || (data.dtype === "bool" && combinationOf(context)))
        return undefined;
      const axis = axisOf(context, integerOf(context.node, "axis", 0), data.shape.length);
      const parameters = new Parameters();
      const at = data.shape.map((extent, i) =>
        i === axis
          ? wrapIndex(0, indices.dtype, parameters.of(extent))
          : insideAxis(i, extent, indices.shape[i] as Dim, parameters),
      );
      return scatter(
        context,
        indices.shape,
        { dtype: indices.dtype, access: identityAccess(data.shape.length) },
        at,
        parameters,
      );
    },
    tolerance: sumTolerance,
  });

export const scatterElements = elementsRecord("ScatterElements");
/** The name of ScatterElements before version 11. */
export const scatterOld = elementsRecord("Scatter");

export const scatterND = defineOperator({
  op: "ScatterND",
  infer: (context) => {
    checkIndexType(context, 1);
    const [length, rank] = [rowLength(context), context.type(0).shape.length];
    if (length > rank) context.fail("an index row is longer than the data's rank", `at most ${rank}`, String(length));
    combinationOf(context);
    return [context.type(0)];
  },
  reference: reference.scatterND,
  lower: (context) => {
    const [data, indices, updates] = [context.type(0), context.type(1), context.type(2)];
    const length = rowLength(context);
    const rows = indices.shape.length - 1;
    const extents = [...indices.shape.slice(0, -1), ...data.shape.slice(length)];
    if (!sameShape(extents, updates.shape) || (data.dtype === "bool" && combinationOf(context))) return undefined;
    const parameters = new Parameters();
    const row = Array.from({ length: rows }, (_, i) => axisIndex(i));
    const named = rowCoordinates(context, 0, row, data.shape.slice(0, length), parameters);
    const at = [...named, ...data.shape.slice(length).map((_, i) => axisIndex(rows + i))];
    return scatter(context, extents, { dtype: indices.dtype, access: "indexed" }, at, parameters);
  },
  tolerance: sumTolerance,
});
