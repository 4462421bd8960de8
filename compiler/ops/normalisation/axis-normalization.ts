/** MeanVarianceNormalization, LpNormalization and LRN: normalisations without parameters, by nests. */
import { axis, binary, constant, type Expression, input, select, unary } from "../../../runtime/format/expression.ts";
import { localResponseNormalization } from "../../../runtime/reference/local-response-normalization.ts";
import { lpNormalization, meanVarianceNormalization } from "../../../runtime/reference/normalization.ts";
import { floatOf, integerOf, integersOf, stringOf } from "../../graph/attribute.ts";
import type { TensorType } from "../../graph/graph.ts";
import { along, fixed, identityAccess, type LoopNest } from "../../loop/loop.ts";
import { guardedLoad, integer, minus, Parameters, plus } from "../contraction/integer-expression.ts";
import { firstOutput, hasGeneratedCode, inputOperand, stepsOf, temporaryOperand } from "../contraction/operands.ts";
import { closeTolerance, defineOperator, type Lowering, type Operator, type OperatorContext } from "../operator.ts";
import { axisOf } from "../reduction/axes.ts";
import { normaliseByNests } from "./normalise.ts";

const unchanged = (context: OperatorContext): TensorType[] => [
  { dtype: context.type(0).dtype, shape: context.type(0).shape },
];

const meanVarianceAxes = (context: OperatorContext): readonly number[] =>
  (integersOf(context.node, "axes") ?? [0, 2, 3]).map((one) => axisOf(context, one, context.type(0).shape.length));

/** The standard adds 1e-9 to the deviation instead of an epsilon to the variance. */
function lowerMeanVariance(context: OperatorContext): Lowering | undefined {
  const { dtype, shape } = context.type(0);
  if (!hasGeneratedCode(dtype)) return undefined;
  return normaliseByNests(context, {
    extents: shape,
    reduced: [...new Set(meanVarianceAxes(context))].sort((a, b) => a - b),
    source: identityAccess(shape.length),
    centered: true,
    inverse: (variance) => unary("reciprocal", binary("add", unary("sqrt", variance), constant(1e-9, dtype))),
  });
}

function normAxis(context: OperatorContext): number {
  const p = integerOf(context.node, "p", 2);
  if (p !== 1 && p !== 2) context.fail("attribute p is out of range", "1 or 2", String(p));
  return axisOf(context, integerOf(context.node, "axis", -1), context.type(0).shape.length);
}

/** The norm of every row along the axis, then x divided by it; a row of zeros stays zero. */
function lowerLpNorm(context: OperatorContext): Lowering | undefined {
  const { dtype, shape } = context.type(0);
  if (!hasGeneratedCode(dtype)) return undefined;
  const normed = normAxis(context);
  const one = integerOf(context.node, "p", 2) === 1;
  const order = [...shape.map((_, index) => index).filter((index) => index !== normed), normed];
  const rows = (access: (index: number) => number) =>
    shape.map((_, index) => (index === normed ? fixed(0) : along(access(index))));
  const norm: LoopNest = {
    extents: order.map((index) => shape[index] ?? 1),
    reductions: 1,
    operands: [{ dtype, access: shape.map((_, index) => along(order.indexOf(index))) }],
    parameters: [],
    body: one ? unary("abs", input(0)) : binary("multiply", input(0), input(0)),
    combine: "add",
    ...(one ? {} : { finish: unary("sqrt", input(0)) }),
    output: { dtype, access: rows((index) => order.indexOf(index)) },
  };
  const zero = constant(0, dtype);
  const quotient: LoopNest = {
    extents: shape,
    reductions: 0,
    operands: [
      { dtype, access: identityAccess(shape.length) },
      { dtype, access: rows((index) => index) },
    ],
    parameters: [],
    body: select(binary("equal", input(1), zero), zero, binary("divide", input(0), input(1))),
    output: { dtype, access: identityAccess(shape.length) },
  };
  return {
    kind: "steps",
    steps: [
      { kind: "nest", nest: norm, operands: [inputOperand(0)], output: temporaryOperand(0) },
      { kind: "nest", nest: quotient, operands: [inputOperand(0), temporaryOperand(0)], output: firstOutput },
    ],
    temporaries: [{ dtype, shape: shape.map((extent, index) => (index === normed ? 1 : extent)) }],
  };
}

/** base^0.75 is the usual case: two square roots. */
function powerOf(base: Expression, exponent: number, dtype: TensorType["dtype"]): Expression {
  if (exponent === 1) return base;
  const root = unary("sqrt", base);
  if (exponent === 0.5) return root;
  if (exponent === 0.75) return binary("multiply", root, unary("sqrt", root));
  return binary("power", base, constant(exponent, dtype));
}

function lowerLocalResponse(context: OperatorContext): Lowering | undefined {
  const { dtype, shape } = context.type(0);
  if (!hasGeneratedCode(dtype)) return undefined;
  const rank = shape.length;
  const channel = stringOf(context.node, "layout", "NCHW") === "NHWC" ? rank - 1 : 1;
  const size = sizeOf(context);
  const parameters = new Parameters();
  const neighbour = minus(plus(axis(channel), axis(rank)), integer(Math.floor((size - 1) / 2)));
  const value = guardedLoad(
    0,
    shape.map((extent, index) =>
      index === channel ? { index: neighbour, extent: parameters.of(extent) } : { index: axis(index) },
    ),
    constant(0, dtype),
  );
  // The sum of squares is input 0 of finish; x itself is operand 1 of the nest.
  const scaled = binary("multiply", constant(floatOf(context.node, "alpha", 1e-4) / size, dtype), input(0));
  const base = binary("add", constant(floatOf(context.node, "bias", 1), dtype), scaled);
  const nest: LoopNest = {
    extents: [...shape, size],
    reductions: 1,
    operands: [
      { dtype, access: "indexed" },
      { dtype, access: identityAccess(rank) },
    ],
    parameters: parameters.values,
    body: binary("multiply", value, value),
    combine: "add",
    finish: binary("divide", input(2), powerOf(base, floatOf(context.node, "beta", 0.75), dtype)),
    output: { dtype, access: identityAccess(rank) },
  };
  return stepsOf({ kind: "nest", nest, operands: [inputOperand(0), inputOperand(0)], output: firstOutput });
}

function sizeOf(context: OperatorContext): number {
  const size = integerOf(context.node, "size", 0);
  return size > 0 ? size : context.fail("attribute size is missing or out of range", "1 or more", String(size));
}

export const axisNormalizationOperators: readonly Operator[] = [
  defineOperator({
    op: "MeanVarianceNormalization",
    infer: (context) => {
      meanVarianceAxes(context);
      return unchanged(context);
    },
    reference: meanVarianceNormalization,
    lower: lowerMeanVariance,
    tolerance: closeTolerance,
  }),
  defineOperator({
    op: "LpNormalization",
    infer: (context) => {
      normAxis(context);
      return unchanged(context);
    },
    reference: lpNormalization,
    lower: lowerLpNorm,
    tolerance: closeTolerance,
  }),
  defineOperator({
    op: "LRN",
    infer: (context) => {
      sizeOf(context);
      if (context.type(0).shape.length < 2)
        context.fail("the input has no channel axis", "rank 2 or more", `rank ${context.type(0).shape.length}`);
      return unchanged(context);
    },
    reference: localResponseNormalization,
    lower: lowerLocalResponse,
    tolerance: closeTolerance,
  }),
];
