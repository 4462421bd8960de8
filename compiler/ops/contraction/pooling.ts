/** MaxPool, AveragePool, LpPool and the global pools in their ONNX form: channels first, one to three spatial axes. */
import type { DType } from "../../../runtime/format/dtype.ts";
import { isFloat } from "../../../runtime/format/dtype.ts";
import { axis, binary, cast, constant, type Expression, input, unary } from "../../../runtime/format/expression.ts";
import {
  averagePool,
  globalAveragePool,
  globalLpPool,
  globalMaxPool,
  lpPool,
  maxPool,
} from "../../../runtime/reference/pool.ts";
import { floatOf, integerOf } from "../../graph/attribute.ts";
import { addDims, productOf } from "../../graph/dimension.ts";
import type { TensorType } from "../../graph/graph.ts";
import type { ReduceProblem } from "../../kernels/problem.ts";
import { identityAccess, type LoopNest } from "../../loop/loop.ts";
import {
  closeTolerance,
  defineOperator,
  exactTolerance,
  type Lowering,
  type Operator,
  type OperatorContext,
} from "../operator.ts";
import { tapIndex } from "./convolution.ts";
import { guardedLoad, integer, minus, over, Parameters, plus, times } from "./integer-expression.ts";
import { firstOutput, hasGeneratedCode, inputOperand, stepsOf } from "./operands.ts";
import { kernelShapeOf, resolveWindow, type WindowAxis } from "./window.ts";

const axesOf = (context: OperatorContext): readonly WindowAxis[] =>
  resolveWindow(context, context.type(0).shape.slice(2), kernelShapeOf(context));

function infer(context: OperatorContext): readonly TensorType[] {
  const { dtype, shape } = context.type(0);
  if (shape.length < 3) context.fail("the input has no spatial axis", "rank 3 or more", `rank ${shape.length}`);
  const pooled = [...shape.slice(0, 2), ...axesOf(context).map(({ output }) => output)];
  return context.node.outputs.length > 1
    ? [
        { dtype, shape: pooled },
        { dtype: "int64", shape: pooled },
      ]
    : [{ dtype, shape: pooled }];
}

/** The smallest value of a type: what maximum leaves alone. */
function lowest(dtype: DType): number {
  if (isFloat(dtype)) return Number.NEGATIVE_INFINITY;
  return dtype === "int8" ? -128 : 0;
}

/** |value|^p without a call to power for the usual p. */
function powerOfMagnitude(value: Expression, p: number): Expression {
  if (p === 1) return unary("abs", value);
  return p === 2 ? binary("multiply", value, value) : binary("power", unary("abs", value), constant(p));
}

function rootOfSum(sum: Expression, p: number): Expression {
  if (p === 1) return sum;
  return p === 2 ? unary("sqrt", sum) : binary("power", sum, constant(1 / p));
}

/** How many taps of a window along one axis fall on -`before`… of an extent that ends `after` behind the input. */
function tapCount(parameters: Parameters, window: WindowAxis, output: Expression, includePad: boolean): Expression {
  const start = minus(times(output, integer(window.stride)), parameters.of(window.padBefore));
  const end = parameters.of(includePad ? addDims(window.input, window.padAfter) : window.input);
  const dilation = integer(window.dilation);
  const upTo = (limit: Expression): Expression =>
    over(plus(binary("maximum", integer(0), minus(limit, start)), integer(window.dilation - 1)), dilation);
  const last = binary("minimum", integer(window.kernel), upTo(end));
  return includePad ? last : minus(last, binary("minimum", integer(window.kernel), upTo(integer(0))));
}

/** One reduction over the window's taps; `outside` is what a tap in the padding gives. */
function nestOf(
  context: OperatorContext,
  combine: "add" | "maximum",
  outside: number,
  body: (value: Expression) => Expression,
  finish: (parameters: Parameters, axes: readonly WindowAxis[]) => Expression | undefined,
): Lowering | undefined {
  const { dtype, shape } = context.type(0);
  if (!hasGeneratedCode(dtype) || context.node.outputs.length > 1) return undefined;
  const axes = axesOf(context);
  const rank = axes.length;
  const parameters = new Parameters();
  const taps = axes.map((window, i) => tapIndex(parameters, window, axis(2 + i), axis(2 + rank + i)));
  const finished = finish(parameters, axes);
  const nest: LoopNest = {
    extents: [...shape.slice(0, 2), ...axes.map(({ output }) => output), ...axes.map(({ kernel }) => kernel)],
    reductions: rank,
    operands: [{ dtype, access: "indexed" }],
    parameters: parameters.values,
    body: body(guardedLoad(0, [{ index: axis(0) }, { index: axis(1) }, ...taps], constant(outside, dtype))),
    combine,
    ...(finished ? { finish: finished } : {}),
    output: { dtype, access: identityAccess(2 + rank) },
  };
  return stepsOf({ kind: "nest", nest, operands: [inputOperand(0)], output: firstOutput });
}

const same = (value: Expression): Expression => value;

const lowerAverage = (context: OperatorContext): Lowering | undefined =>
  nestOf(context, "add", 0, same, (parameters, axes) => {
    const includePad = integerOf(context.node, "count_include_pad", 0) === 1;
    const counts = axes.map((window, i) => tapCount(parameters, window, axis(2 + i), includePad));
    return binary("divide", input(0), cast(context.type(0).dtype, counts.reduce(times)));
  });

/** Lp norms are written with float32 constants. */
const lowerNorm = (context: OperatorContext): Lowering | undefined => {
  const p = normOf(context);
  if (context.type(0).dtype !== "float32") return undefined;
  return nestOf(
    context,
    "add",
    0,
    (value) => powerOfMagnitude(value, p),
    () => rootOfSum(input(0), p),
  );
};

/** Version 1 has p as a float. */
const normOf = (context: OperatorContext): number =>
  context.node.attributes.p?.kind === "float" ? floatOf(context.node, "p", 2) : integerOf(context.node, "p", 2);

const maxPoolOperator = defineOperator({
  op: "MaxPool",
  infer,
  reference: maxPool,
  lower: (context) => nestOf(context, "maximum", lowest(context.type(0).dtype), same, () => undefined),
  tolerance: exactTolerance,
});

const averagePoolOperator = defineOperator({
  op: "AveragePool",
  infer,
  reference: averagePool,
  lower: lowerAverage,
  tolerance: closeTolerance,
});

const lpPoolOperator = defineOperator({
  op: "LpPool",
  infer,
  reference: lpPool,
  lower: lowerNorm,
  tolerance: closeTolerance,
});

function inferGlobal(context: OperatorContext): readonly TensorType[] {
  const { dtype, shape } = context.type(0);
  if (shape.length < 2) context.fail("the input has no channel axis", "rank 2 or more", `rank ${shape.length}`);
  return [{ dtype, shape: shape.map((extent, index) => (index < 2 ? extent : 1)) }];
}

/** All spatial axes are adjacent and last: one dense reduction. */
function lowerGlobal(
  context: OperatorContext,
  reduction: Pick<ReduceProblem, "combine" | "map" | "finish">,
): Lowering | undefined {
  const { dtype, shape } = context.type(0);
  if (dtype !== "float32") return undefined;
  const problem: ReduceProblem = {
    family: "reduce",
    outer: productOf(shape.slice(0, 2)),
    reduced: productOf(shape.slice(2)),
    inner: 1,
    ...reduction,
  };
  return stepsOf({ kind: "family", problem, operands: [inputOperand(0)], outputs: [firstOutput] });
}

const globalMaxPoolOperator = defineOperator({
  op: "GlobalMaxPool",
  infer: inferGlobal,
  reference: globalMaxPool,
  lower: (context) => lowerGlobal(context, { combine: "maximum", map: undefined, finish: undefined }),
  tolerance: exactTolerance,
});

const globalAveragePoolOperator = defineOperator({
  op: "GlobalAveragePool",
  infer: inferGlobal,
  reference: globalAveragePool,
  lower: (context) =>
    lowerGlobal(context, { combine: "add", map: undefined, finish: binary("divide", input(0), input(1)) }),
  tolerance: closeTolerance,
});

const globalLpPoolOperator = defineOperator({
  op: "GlobalLpPool",
  infer: inferGlobal,
  reference: globalLpPool,
  lower: (context) => {
    const p = normOf(context);
    return lowerGlobal(context, { combine: "add", map: powerOfMagnitude(input(0), p), finish: rootOfSum(input(0), p) });
  },
  tolerance: closeTolerance,
});

export const poolingOperators: readonly Operator[] = [
  maxPoolOperator,
  averagePoolOperator,
  lpPoolOperator,
  globalMaxPoolOperator,
  globalAveragePoolOperator,
  globalLpPoolOperator,
];
