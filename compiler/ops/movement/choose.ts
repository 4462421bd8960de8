/**
 * NonZero, Compress, Unique: shapes that depend on data, computed by the host. TopK: every element's rank is how many
 * others come before it; the ranks say where the indices of the best go. Long axes are left to the host, which sorts.
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
import * as reference from "../../../runtime/reference/choose.ts";
import { integerOf } from "../../graph/attribute.ts";
import type { TensorType } from "../../graph/graph.ts";
import { along, identityAccess, type LoopNest } from "../../loop/loop.ts";
import { hasGeneratedCode, temporaryOperand } from "../contraction/operands.ts";
import { defineOperator, exactTolerance, type Lowering, type Operator, type OperatorContext } from "../operator.ts";
import { axisOf, dimsOf, inputOperand, nestOver, nestStep, outputOperand } from "./copy.ts";
import { discoveredTypes } from "./discover.ts";
import { clampIndex } from "./index-expression.ts";

const discovered = (op: string, meaning: Operator["reference"]): Operator =>
  defineOperator({
    op,
    infer: (context) => discoveredTypes(context, meaning),
    reference: meaning,
    tolerance: exactTolerance,
  });

export const nonZero = discovered("NonZero", reference.nonZero);
export const compress = discovered("Compress", reference.compress);
export const unique = discovered("Unique", reference.unique);

/** Ranks are found by comparing all pairs of an axis. */
const longestRanked = 2048;

function lowerTopK(context: OperatorContext): Lowering | undefined {
  const { dtype, shape } = context.type(0);
  const axis = axisOf(context, integerOf(context.node, "axis", -1), shape.length);
  const extent = shape[axis];
  if (typeof extent !== "number" || extent > longestRanked || !hasGeneratedCode(dtype) || dtype === "bool")
    return undefined;
  const rank = shape.length;
  const [own, other] = [axisIndex(axis), axisIndex(rank)];
  const [mine, theirs] = [input(0), input(1)];
  const isBetter = binary(integerOf(context.node, "largest", 1) === 0 ? "less" : "greater", theirs, mine);
  // Of equal ones the first comes first; what is no number compares with nothing.
  const isTied = binary("and", binary("equal", theirs, mine), binary("less", other, own));
  const ranks: LoopNest = {
    extents: [...shape, extent],
    reductions: 1,
    operands: [
      { dtype, access: identityAccess(rank) },
      { dtype, access: shape.map((_, at) => along(at === axis ? rank : at)) },
    ],
    parameters: [],
    body: select(binary("or", isBetter, isTied), constant(1, "int32"), constant(0, "int32")),
    combine: "add",
    output: { dtype: "int32", access: identityAccess(rank) },
  };
  const insideAxis = (index: Expression): Expression =>
    clampIndex(index, constant(0, "int32"), constant(extent - 1, "int32"));
  const at = (index: Expression): readonly Expression[] =>
    shape.map((_, position) => (position === axis ? insideAxis(index) : axisIndex(position)));
  const whole: TensorType = { dtype: "int32", shape };
  const order: LoopNest = {
    ...nestOver(whole, [{ dtype: "int32", access: identityAccess(rank) }], own),
    output: { dtype: "int32", access: { computed: at(input(0)) } },
  };
  const [values, indices] = topK.infer(context) as readonly [TensorType, TensorType];
  const ordered = { dtype: "int32", access: identityAccess(rank) } as const;
  const picked = nestOver(values, [{ dtype, access: "indexed" }, ordered], load(0, at(input(1))));
  const places = nestOver(indices, [ordered], cast("int64", insideAxis(input(0))));
  return {
    kind: "steps",
    steps: [
      nestStep(ranks, [inputOperand(0), inputOperand(0)], temporaryOperand(0)),
      nestStep(order, [temporaryOperand(0)], temporaryOperand(1)),
      nestStep(picked, [inputOperand(0), temporaryOperand(1)]),
      ...(context.node.outputs.length > 1 ? [nestStep(places, [temporaryOperand(1)], outputOperand(1))] : []),
    ],
    temporaries: [whole, whole],
  };
}

export const topK: Operator = defineOperator({
  op: "TopK",
  infer: (context) => {
    const { dtype, shape } = context.type(0);
    const [count] = dimsOf(context, "k", 1) ?? context.fail("k is missing");
    if (count === undefined) return context.fail("k is empty");
    const axis = axisOf(context, integerOf(context.node, "axis", -1), shape.length);
    const extent = shape[axis];
    if (typeof count === "number" && typeof extent === "number" && count > extent)
      context.fail("k is greater than the axis", `at most ${extent}`, String(count));
    const kept = shape.map((own, i) => (i === axis ? count : own));
    return [
      { dtype, shape: kept },
      { dtype: "int64", shape: kept },
    ];
  },
  reference: reference.topK,
  lower: lowerTopK,
  tolerance: exactTolerance,
});
