/**
 * Normalisation of any groups of elements as three nests: means, inverse deviations, normalised values with scale and
 * shift. What the norm family cannot express: scattered axes, channels last, per-channel parameters within a group.
 */
import { binary, cast, constant, type Expression, input, unary } from "../../../runtime/format/expression.ts";
import { type Dim, productOf } from "../../graph/dimension.ts";
import type { TensorType } from "../../graph/graph.ts";
import { type AffineIndex, along, type LoopNest } from "../../loop/loop.ts";
import { Parameters } from "../contraction/integer-expression.ts";
import { firstOutput, inputOperand, temporaryOperand } from "../contraction/operands.ts";
import type { LoweredStep, Lowering, OperatorContext } from "../operator.ts";

/** All accesses are over the iteration axes `extents`. */
export interface Normalisation {
  readonly extents: readonly Dim[];
  /** The axes that one group covers. */
  readonly reduced: readonly number[];
  /** Coordinates of x, and of y. */
  readonly source: readonly AffineIndex[];
  readonly centered: boolean;
  /** What to multiply by, from the mean square of the deviations. */
  readonly inverse: (variance: Expression) => Expression;
  readonly scale?: readonly AffineIndex[];
  readonly shift?: readonly AffineIndex[];
}

/** 1 / sqrt(variance + epsilon). */
export const inverseDeviation =
  (epsilon: number, dtype: TensorType["dtype"]) =>
  (variance: Expression): Expression =>
    unary("reciprocal", unary("sqrt", binary("add", variance, constant(epsilon, dtype))));

/** Inputs 0, 1 and 2 of the node are x, scale and shift. */
export function normaliseByNests(context: OperatorContext, form: Normalisation): Lowering {
  const { dtype } = context.type(0);
  const { extents, reduced, source, centered, inverse, scale, shift } = form;
  const kept = extents.map((_, axis) => axis).filter((axis) => !reduced.includes(axis));
  const order = [...kept, ...reduced];
  const reordered = (access: readonly AffineIndex[]): readonly AffineIndex[] =>
    access.map(({ offset, terms }) => ({
      offset,
      terms: terms.map(({ axis, coefficient }) => ({ axis: order.indexOf(axis), coefficient })),
    }));
  const parameters = new Parameters();
  const count = cast(dtype, parameters.of(productOf(reduced.map((axis) => extents[axis] ?? 1))));
  const statistic = { dtype, access: kept.map((_, position) => along(position)) };
  const statistics = {
    extents: order.map((axis) => extents[axis] ?? 1),
    reductions: reduced.length,
    combine: "add",
    parameters: parameters.values,
    output: statistic,
  } as const;
  const x = { dtype, access: reordered(source) };
  const mean: LoopNest = { ...statistics, operands: [x], body: input(0), finish: binary("divide", input(0), count) };
  const deviation = centered ? binary("subtract", input(0), input(1)) : input(0);
  const spread: LoopNest = {
    ...statistics,
    operands: centered ? [x, statistic] : [x],
    body: binary("multiply", deviation, deviation),
    finish: inverse(binary("divide", input(0), count)),
  };
  // Operands of the last nest: x, the mean if there is one, the inverse deviation, scale, shift.
  const group = { dtype, access: kept.map((axis) => along(axis)) };
  const first = centered ? 2 : 1;
  let value: Expression = binary("multiply", deviation, input(first));
  if (scale) value = binary("multiply", value, input(first + 1));
  if (shift) value = binary("add", value, input(first + (scale ? 2 : 1)));
  const result: LoopNest = {
    extents,
    reductions: 0,
    operands: [
      { dtype, access: source },
      ...(centered ? [group] : []),
      group,
      ...(scale ? [{ dtype, access: scale }] : []),
      ...(shift ? [{ dtype, access: shift }] : []),
    ],
    parameters: [],
    body: value,
    output: { dtype, access: source },
  };
  const means = centered ? [temporaryOperand(0)] : [];
  const spreads = temporaryOperand(means.length);
  const affine = [...(scale ? [inputOperand(1)] : []), ...(shift ? [inputOperand(2)] : [])];
  const steps: LoweredStep[] = [
    ...(centered
      ? [{ kind: "nest", nest: mean, operands: [inputOperand(0)], output: temporaryOperand(0) } as const]
      : []),
    { kind: "nest", nest: spread, operands: [inputOperand(0), ...means], output: spreads },
    { kind: "nest", nest: result, operands: [inputOperand(0), ...means, spreads, ...affine], output: firstOutput },
  ];
  const type: TensorType = { dtype, shape: kept.map((axis) => extents[axis] ?? 1) };
  return { kind: "steps", steps, temporaries: centered ? [type, type] : [type] };
}
