/**
 * Where the elements of a resized axis come from: the coordinate, rounding and weight formulas of the ONNX operator
 * Resize, written once as float32 expressions of the output index. The reference evaluates them; generated code computes them.
 */
import { binary, cast, constant, type Expression, select, unary } from "../format/expression.ts";

/** One axis; everything but the modes is float32. */
export interface ResizeAxis {
  readonly coordinateMode: string;
  readonly scale: Expression;
  readonly inputExtent: Expression;
  readonly outputExtent: Expression;
  /** Part of the axis that tf_crop_and_resize takes, in fractions of it. */
  readonly roi: readonly [start: number, end: number];
}

const float = (value: number): Expression => constant(Math.fround(value));
const constantValue = (expression: Expression): number | undefined =>
  expression.kind === "constant" ? expression.value : undefined;

/** A float32 operation, computed now when both sides are constants. */
function operate(
  operation: "add" | "subtract" | "multiply" | "divide",
  left: Expression,
  right: Expression,
): Expression {
  const [a, b] = [constantValue(left), constantValue(right)];
  if (a === undefined || b === undefined) return binary(operation, left, right);
  return float({ add: a + b, subtract: a - b, multiply: a * b, divide: a / b }[operation]);
}
const plus = (left: Expression, right: Expression): Expression => operate("add", left, right);
const minus = (left: Expression, right: Expression): Expression => operate("subtract", left, right);
const times = (left: Expression, right: Expression): Expression => operate("multiply", left, right);
const over = (left: Expression, right: Expression): Expression => operate("divide", left, right);

const [half, one] = [float(0.5), float(1)];

/** `more` where the extent is greater than 1, else `single`. */
function unlessSingle(extent: Expression, more: Expression, single: Expression): Expression {
  const value = constantValue(extent);
  if (value !== undefined) return value > 1 ? more : single;
  return select(binary("greater", extent, one), more, single);
}

/** The input coordinate of output index `x` (float32); undefined for a mode that does not exist. */
export function sourceCoordinate(axis: ResizeAxis, x: Expression): Expression | undefined {
  const { scale, inputExtent, outputExtent } = axis;
  const last = minus(inputExtent, one);
  // The resized length as a real number: the scale need not give a whole one.
  const length = times(scale, inputExtent);
  const centred = minus(over(plus(x, half), scale), half);
  switch (axis.coordinateMode) {
    case "asymmetric":
      return over(x, scale);
    case "half_pixel":
      return centred;
    case "pytorch_half_pixel":
      return unlessSingle(outputExtent, centred, float(0));
    case "half_pixel_symmetric": {
      const adjustment = over(outputExtent, length);
      return plus(times(over(inputExtent, float(2)), minus(one, adjustment)), centred);
    }
    case "align_corners":
      return unlessSingle(outputExtent, over(times(x, last), minus(length, one)), float(0));
    case "tf_half_pixel_for_nn":
      return over(plus(x, half), scale);
    case "tf_crop_and_resize": {
      const [start, end] = [float(axis.roi[0]), float(axis.roi[1])];
      const many = plus(times(start, last), over(times(times(x, minus(end, start)), last), minus(length, one)));
      return unlessSingle(outputExtent, many, times(times(half, plus(start, end)), last));
    }
    default:
      return undefined;
  }
}

/** Whether a coordinate lies outside the input. */
export const isOutside = (axis: ResizeAxis, coordinate: Expression): Expression =>
  binary("or", binary("less", coordinate, float(0)), binary("greater", coordinate, minus(axis.inputExtent, one)));

/** The element nearest to a coordinate, as a whole float32 that may lie outside; undefined for a mode that does not exist. */
export function nearestIndex(mode: string, axis: ResizeAxis, coordinate: Expression): Expression | undefined {
  switch (mode) {
    case "round_prefer_floor":
      return unary("ceil", binary("subtract", coordinate, half));
    case "round_prefer_ceil":
      return unary("floor", binary("add", coordinate, half));
    case "floor":
      return unary("floor", coordinate);
    case "ceil":
      return unary("ceil", coordinate);
    // Version 10 did not say; its test cases round up when they make an axis shorter.
    case "simple":
      return select(binary("less", axis.scale, one), unary("ceil", coordinate), unary("floor", coordinate));
    default:
      return undefined;
  }
}

/** Clamps a float32 coordinate to the input. */
export const clampCoordinate = (axis: ResizeAxis, coordinate: Expression): Expression =>
  binary("minimum", binary("maximum", coordinate, float(0)), minus(axis.inputExtent, one));

/** An element that contributes: its index as a whole float32, which may lie outside, and its weight. */
export interface Tap {
  readonly index: Expression;
  readonly weight: Expression;
}

/** The two neighbours of a coordinate with linear weights. */
export function linearTaps(coordinate: Expression): readonly Tap[] {
  const low = unary("floor", coordinate);
  const fraction = binary("subtract", coordinate, low);
  return [
    { index: low, weight: binary("subtract", one, fraction) },
    { index: binary("add", low, one), weight: fraction },
  ];
}

/** The four neighbours of a coordinate with the weights of cubic convolution (Keys 1981), `a` = cubic_coeff_a. */
export function cubicTaps(coordinate: Expression, a: number): readonly Tap[] {
  const low = unary("floor", coordinate);
  const fraction = binary("subtract", coordinate, low);
  const polynomial = (x: Expression, ...coefficients: readonly number[]): Expression =>
    coefficients.reduce<Expression>((sum, coefficient) => plus(times(sum, x), float(coefficient)), float(0));
  const near = (x: Expression): Expression => polynomial(x, a + 2, -(a + 3), 0, 1);
  const far = (x: Expression): Expression => polynomial(x, a, -5 * a, 8 * a, -4 * a);
  const rest = binary("subtract", one, fraction);
  return [
    { index: binary("subtract", low, one), weight: far(binary("add", fraction, one)) },
    { index: low, weight: near(fraction) },
    { index: binary("add", low, one), weight: near(rest) },
    { index: binary("add", low, float(2)), weight: far(binary("add", rest, one)) },
  ];
}

/** The same taps with those outside the input weighing nothing and the others adding up to 1. */
export function excludeOutside(axis: ResizeAxis, taps: readonly Tap[]): readonly Tap[] {
  const kept = taps.map(({ index, weight }) => select(isOutside(axis, index), float(0), weight));
  const total = kept.reduce((sum, weight) => binary("add", sum, weight));
  return taps.map(({ index }, i) => ({ index, weight: binary("divide", kept[i] as Expression, total) }));
}

/** A whole float32 as an int32 index inside the input. */
export const indexOf = (axis: ResizeAxis, index: Expression): Expression => cast("int32", clampCoordinate(axis, index));
