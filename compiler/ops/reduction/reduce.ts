/**
 * The ten Reduce* operators. Adjacent float32 axes go to the reduce family, everything else to a nest that iterates
 * the kept axes and reduces the others. ReduceLogSumExp subtracts the largest element first.
 */
import { isFloat } from "../../../runtime/format/dtype.ts";
import { binary, cast, constant, type Expression, input, unary } from "../../../runtime/format/expression.ts";
import {
  reduceL1,
  reduceL2,
  reduceLogSum,
  reduceLogSumExp,
  reduceMax,
  reduceMean,
  reduceMin,
  reduceProd,
  reduceSum,
  reduceSumSquare,
} from "../../../runtime/reference/reduce.ts";
import { integerOf } from "../../graph/attribute.ts";
import { productOf } from "../../graph/dimension.ts";
import type { ReduceProblem } from "../../kernels/problem.ts";
import { along, fixed, type LoopNest } from "../../loop/loop.ts";
import { Parameters } from "../contraction/integer-expression.ts";
import {
  firstOutput,
  hasGeneratedCode,
  inputOperand,
  replaceInputs,
  stepsOf,
  temporaryOperand,
} from "../contraction/operands.ts";
import {
  closeTolerance,
  defineOperator,
  exactTolerance,
  type Lowering,
  type Operator,
  type OperatorContext,
} from "../operator.ts";
import { reducedAxes, reducedShape } from "./axes.ts";

interface Reduction {
  readonly combine: ReduceProblem["combine"];
  readonly map?: Expression;
  /** Input 0 is the combined value, input 1 the number of elements in the same type. */
  readonly finish?: Expression;
  /** Whether map and finish are defined on integers. */
  readonly integers: boolean;
}

const square = binary("multiply", input(0), input(0));

/** Iteration axes: the kept ones in order, then the reduced ones. Gives the input's coordinates and the output's. */
function accessOf(context: OperatorContext, axes: readonly number[]) {
  const { shape } = context.type(0);
  const kept = shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const order = [...kept, ...axes];
  const keep = integerOf(context.node, "keepdims", 1) === 1;
  return {
    extents: order.map((axis) => shape[axis] ?? 1),
    source: shape.map((_, axis) => along(order.indexOf(axis))),
    target: shape.flatMap((_, axis) => (axes.includes(axis) ? (keep ? [fixed(0)] : []) : [along(kept.indexOf(axis))])),
    kept: kept.map((_, position) => along(position)),
    keptExtents: kept.map((axis) => shape[axis] ?? 1),
  };
}

function lowerToNest(context: OperatorContext, axes: readonly number[], { combine, map, finish }: Reduction): Lowering {
  const { dtype, shape } = context.type(0);
  const { extents, source, target } = accessOf(context, axes);
  const parameters = new Parameters();
  const count = cast(dtype, parameters.of(productOf(axes.map((axis) => shape[axis] ?? 1))));
  const nest: LoopNest = {
    extents,
    reductions: axes.length,
    operands: [{ dtype, access: source }],
    parameters: parameters.values,
    body: map ?? input(0),
    combine,
    ...(finish ? { finish: replaceInputs(finish, (index) => (index === 1 ? count : input(index))) } : {}),
    output: { dtype, access: target },
  };
  return stepsOf({ kind: "nest", nest, operands: [inputOperand(0)], output: firstOutput });
}

const adjacent = (axes: readonly number[]): boolean => axes.every((axis, i) => i === 0 || axis === axes[i - 1]! + 1);

/** The dense [outer, reduced, inner] form of adjacent axes. */
function denseExtents(context: OperatorContext, axes: readonly number[]) {
  const { shape } = context.type(0);
  const [first = 0, last = first] = [axes[0], axes[axes.length - 1]];
  return {
    outer: productOf(shape.slice(0, first)),
    reduced: productOf(shape.slice(first, last + 1)),
    inner: productOf(shape.slice(last + 1)),
  };
}

/** A reduction of no axes: the elements themselves through map and finish, or unchanged when axes are empty on purpose. */
function lower(context: OperatorContext, reduction: Reduction): Lowering | undefined {
  const { dtype } = context.type(0);
  if (!hasGeneratedCode(dtype) || (!isFloat(dtype) && !reduction.integers)) return undefined;
  const axes = reducedAxes(context);
  if (!axes) return { kind: "view" };
  const { combine, map, finish } = reduction;
  if (dtype !== "float32" || axes.length === 0 || !adjacent(axes)) return lowerToNest(context, axes, reduction);
  const problem: ReduceProblem = { family: "reduce", combine, ...denseExtents(context, axes), map, finish };
  return stepsOf({ kind: "family", problem, operands: [inputOperand(0)], outputs: [firstOutput] });
}

/** log(sum(exp(x - m))) + m with m the largest element, or 0 where that is infinite. */
function lowerLogSumExp(context: OperatorContext): Lowering | undefined {
  const { dtype } = context.type(0);
  if (!isFloat(dtype) || !hasGeneratedCode(dtype)) return undefined;
  const axes = reducedAxes(context);
  if (!axes) return { kind: "view" };
  const { extents, source, target, kept, keptExtents } = accessOf(context, axes);
  const operand = { dtype, access: source };
  const infinite = (value: Expression): Expression =>
    binary("equal", unary("abs", value), constant(Number.POSITIVE_INFINITY, dtype));
  const finiteMaximum = (value: Expression): Expression => ({
    kind: "select",
    condition: infinite(value),
    whenTrue: constant(0, dtype),
    whenFalse: value,
  });
  const shared = { extents, reductions: axes.length, parameters: [] };
  const largest: LoopNest = {
    ...shared,
    operands: [operand],
    body: input(0),
    combine: "maximum",
    output: { dtype, access: kept },
  };
  const sum: LoopNest = {
    ...shared,
    operands: [operand, { dtype, access: kept }],
    body: unary("exp", binary("subtract", input(0), finiteMaximum(input(1)))),
    combine: "add",
    finish: binary("add", unary("log", input(0)), finiteMaximum(input(2))),
    output: { dtype, access: target },
  };
  return {
    kind: "steps",
    steps: [
      { kind: "nest", nest: largest, operands: [inputOperand(0)], output: temporaryOperand(0) },
      { kind: "nest", nest: sum, operands: [inputOperand(0), temporaryOperand(0)], output: firstOutput },
    ],
    temporaries: [{ dtype, shape: keptExtents }],
  };
}

const record = (
  op: string,
  reference: Operator["reference"],
  lowerNode: NonNullable<Operator["lower"]>,
  tolerance: Operator["tolerance"],
): Operator =>
  defineOperator({
    op,
    infer: (context) => {
      const { dtype, shape } = context.type(0);
      const axes = reducedAxes(context);
      return [{ dtype, shape: axes ? reducedShape(shape, axes, integerOf(context.node, "keepdims", 1) === 1) : shape }];
    },
    reference,
    lower: lowerNode,
    tolerance,
  });

const simple = (
  op: string,
  reference: Operator["reference"],
  reduction: Reduction,
  tolerance = closeTolerance,
): Operator => record(op, reference, (context) => lower(context, reduction), tolerance);

export const reduceOperators: readonly Operator[] = [
  simple("ReduceSum", reduceSum, { combine: "add", integers: true }),
  simple("ReduceMean", reduceMean, { combine: "add", finish: binary("divide", input(0), input(1)), integers: true }),
  simple("ReduceMax", reduceMax, { combine: "maximum", integers: true }, exactTolerance),
  simple("ReduceMin", reduceMin, { combine: "minimum", integers: true }, exactTolerance),
  defineOperator({
    ...simple("ReduceProd", reduceProd, { combine: "multiply", integers: true }),
    // The number of elements behind some axes, as exporters compute it.
    elements: (context) => {
      const elements = context.elements(0);
      return elements && context.type(0).shape.length === 1 && reducedAxes(context) ? [productOf(elements)] : undefined;
    },
  }),
  simple("ReduceL1", reduceL1, { combine: "add", map: unary("abs", input(0)), integers: true }),
  simple("ReduceL2", reduceL2, { combine: "add", map: square, finish: unary("sqrt", input(0)), integers: false }),
  simple("ReduceLogSum", reduceLogSum, { combine: "add", finish: unary("log", input(0)), integers: false }),
  simple("ReduceSumSquare", reduceSumSquare, { combine: "add", map: square, integers: true }),
  record("ReduceLogSumExp", reduceLogSumExp, lowerLogSumExp, closeTolerance),
];
