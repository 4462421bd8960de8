/**
 * ArgMax, ArgMin and Hardmax. Lowered to nests: the extreme value of every group, then the smallest (or largest) position
 * where an element equals it or is NaN.
 */
import { isFloat } from "../../../runtime/format/dtype.ts";
import {
  axis,
  binary,
  cast,
  constant,
  type Expression,
  input,
  select,
  unary,
} from "../../../runtime/format/expression.ts";
import { argMax, argMin, hardmax } from "../../../runtime/reference/arg-extreme.ts";
import { integerOf } from "../../graph/attribute.ts";
import type { Dim } from "../../graph/dimension.ts";
import { type AffineIndex, along, fixed, identityAccess, type LoopNest } from "../../loop/loop.ts";
import { integer, Parameters, plus, times } from "../contraction/integer-expression.ts";
import { firstOutput, hasGeneratedCode, inputOperand, temporaryOperand } from "../contraction/operands.ts";
import { rowsOf } from "../normalisation/softmax.ts";
import {
  defineOperator,
  exactTolerance,
  type LoweredStep,
  type Lowering,
  type Operator,
  type OperatorContext,
  type StepOperand,
} from "../operator.ts";
import { axisOf, reducedShape } from "./axes.ts";

const largestPosition = 0x7fffffff;

/** Iteration axes: the kept axes in order, then the searched ones. */
interface Search {
  readonly extents: readonly Dim[];
  readonly source: readonly AffineIndex[];
  readonly kept: readonly AffineIndex[];
  readonly keptExtents: readonly Dim[];
  readonly searched: readonly Dim[];
}

function searchOf(shape: readonly Dim[], axes: readonly number[]): Search {
  const keptAxes = shape.map((_, index) => index).filter((index) => !axes.includes(index));
  const order = [...keptAxes, ...axes];
  return {
    extents: order.map((index) => shape[index] ?? 1),
    source: shape.map((_, index) => along(order.indexOf(index))),
    kept: keptAxes.map((_, position) => along(position)),
    keptExtents: keptAxes.map((index) => shape[index] ?? 1),
    searched: axes.map((index) => shape[index] ?? 1),
  };
}

/** Position within the searched axes, row-major, as an int32. `first`: the iteration axis of the first of them. */
function positionOf(parameters: Parameters, searched: readonly Dim[], first: number): Expression {
  return searched.reduce<Expression>(
    (position, extent, index) => plus(times(position, parameters.of(extent)), axis(first + index)),
    integer(0),
  );
}

/** Two steps: extreme values into temporary 0, positions of type `dtype` into `output`. */
function searchSteps(
  context: OperatorContext,
  search: Search,
  form: { readonly combine: "maximum" | "minimum"; readonly last: boolean },
  target: { readonly output: StepOperand; readonly access: readonly AffineIndex[]; readonly dtype: "int32" | "int64" },
): readonly LoweredStep[] {
  const { dtype } = context.type(0);
  const { extents, source, kept, searched } = search;
  const parameters = new Parameters();
  const shared = { extents, reductions: searched.length };
  const values: LoopNest = {
    ...shared,
    operands: [{ dtype, access: source }],
    parameters: [],
    body: input(0),
    combine: form.combine,
    output: { dtype, access: kept },
  };
  const equal = binary("equal", input(0), input(1));
  const found = isFloat(dtype) ? binary("or", equal, unary("isNaN", input(0))) : equal;
  const positions: LoopNest = {
    ...shared,
    operands: [
      { dtype, access: source },
      { dtype, access: kept },
    ],
    body: select(found, positionOf(parameters, searched, kept.length), integer(form.last ? -1 : largestPosition)),
    parameters: parameters.values,
    combine: form.last ? "maximum" : "minimum",
    ...(target.dtype === "int32" ? {} : { finish: cast(target.dtype, input(0)) }),
    output: { dtype: target.dtype, access: target.access },
  };
  return [
    { kind: "nest", nest: values, operands: [inputOperand(0)], output: temporaryOperand(0) },
    { kind: "nest", nest: positions, operands: [inputOperand(0), temporaryOperand(0)], output: target.output },
  ];
}

const argAxis = (context: OperatorContext): number =>
  axisOf(context, integerOf(context.node, "axis", 0), context.type(0).shape.length);

const keepsDims = (context: OperatorContext): boolean => integerOf(context.node, "keepdims", 1) === 1;

function lowerArg(context: OperatorContext, combine: "maximum" | "minimum"): Lowering | undefined {
  const { dtype, shape } = context.type(0);
  if (!hasGeneratedCode(dtype)) return undefined;
  const searchedAxis = argAxis(context);
  const search = searchOf(shape, [searchedAxis]);
  const access = keepsDims(context) ? search.kept.toSpliced(searchedAxis, 0, fixed(0)) : search.kept;
  const last = integerOf(context.node, "select_last_index", 0) === 1;
  return {
    kind: "steps",
    steps: searchSteps(context, search, { combine, last }, { output: firstOutput, access, dtype: "int64" }),
    temporaries: [{ dtype, shape: search.keptExtents }],
  };
}

const argRecord = (op: string, reference: Operator["reference"], combine: "maximum" | "minimum"): Operator =>
  defineOperator({
    op,
    infer: (context) => [
      { dtype: "int64", shape: reducedShape(context.type(0).shape, [argAxis(context)], keepsDims(context)) },
    ],
    reference,
    lower: (context) => lowerArg(context, combine),
    tolerance: exactTolerance,
  });

/** The axes that one row of Hardmax covers: one since version 13, before that all from `axis` on. */
function lowerHardmax(context: OperatorContext): Lowering | undefined {
  const { dtype, shape } = context.type(0);
  if (!hasGeneratedCode(dtype)) return undefined;
  const first = rowsOf(context).axis;
  const all = shape.map((_, index) => index);
  const axes = context.node.version < 13 ? all.slice(first) : all.slice(first, first + 1);
  const search = searchOf(shape, axes);
  const parameters = new Parameters();
  const position = axes.reduce<Expression>(
    (flat, index) => plus(times(flat, parameters.of(shape[index] ?? 1)), axis(index)),
    integer(0),
  );
  const keptAxes = all.filter((index) => !axes.includes(index));
  const marks: LoopNest = {
    extents: shape,
    reductions: 0,
    operands: [{ dtype: "int32", access: keptAxes.map((index) => along(index)) }],
    body: select(binary("equal", position, input(0)), constant(1, dtype), constant(0, dtype)),
    parameters: parameters.values,
    output: { dtype, access: identityAccess(shape.length) },
  };
  const target = { output: temporaryOperand(1), access: search.kept, dtype: "int32" } as const;
  return {
    kind: "steps",
    steps: [
      ...searchSteps(context, search, { combine: "maximum", last: false }, target),
      { kind: "nest", nest: marks, operands: [temporaryOperand(1)], output: firstOutput },
    ],
    temporaries: [
      { dtype, shape: search.keptExtents },
      { dtype: "int32", shape: search.keptExtents },
    ],
  };
}

export const argExtremeOperators: readonly Operator[] = [
  argRecord("ArgMax", argMax, "maximum"),
  argRecord("ArgMin", argMin, "minimum"),
  defineOperator({
    op: "Hardmax",
    infer: (context) => {
      rowsOf(context);
      return [{ dtype: context.type(0).dtype, shape: context.type(0).shape }];
    },
    reference: hardmax,
    lower: lowerHardmax,
    tolerance: exactTolerance,
  }),
];
