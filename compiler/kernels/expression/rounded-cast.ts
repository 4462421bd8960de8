/**
 * Quantisation as it stands in expressions: a cast to an integer of round(value) + offset between constant bounds, in
 * any order. On four lanes the bounds come first and the rounding is one sum: added to 1.5 * 2^23, a float32 below 2^22
 * in magnitude is rounded to an integer, half to even, that stands in the low bits of the sum.
 */
import type { DType } from "../../../runtime/format/dtype.ts";
import { type Expression, expressionType } from "../../../runtime/format/expression.ts";
import type { Expression as Code } from "../../assemble/expression.ts";
import { f32x4, i32x4, v128 } from "../../assemble/vector.ts";

type Vector = Code<"v128">;

/** clamp(round(value) + offset, low, high); offset and bounds are integers. */
export interface RoundedValue {
  readonly value: Expression;
  readonly offset: number;
  readonly low: number;
  readonly high: number;
}

const shifter = 1.5 * 2 ** 23;
const shifterBits = 0x4b400000;
/** Half of what the sum could round, so that an offset does not lead out of it. */
const limit = 2 ** 21;

/** What `expression` rounds, when its bounds are narrow enough for `emitRounded`. */
export function roundedValue(expression: Expression): RoundedValue | undefined {
  const found = bounded(expression);
  if (!found) return undefined;
  const { low, high, offset } = found;
  return Math.max(Math.abs(low - offset), Math.abs(high - offset), Math.abs(offset)) <= limit ? found : undefined;
}

function bounded(expression: Expression): RoundedValue | undefined {
  if (expression.kind === "unary" && expression.operation === "round")
    return { value: expression.value, offset: 0, low: -Infinity, high: Infinity };
  if (expression.kind !== "binary") return undefined;
  const { operation, left, right } = expression;
  const [inner, constant] = left.kind === "constant" ? [right, left] : [left, right];
  if (constant.kind !== "constant" || constant.dtype !== "float32" || !Number.isInteger(constant.value))
    return undefined;
  const found = bounded(inner);
  if (!found) return undefined;
  const { value, offset, low, high } = found;
  const bound = constant.value;
  switch (operation) {
    case "add":
      return { value, offset: offset + bound, low: low + bound, high: high + bound };
    case "maximum":
      return { value, offset, low: Math.max(low, bound), high: Math.max(high, bound) };
    case "minimum":
      return { value, offset, low: Math.min(low, bound), high: Math.min(high, bound) };
    default:
      return undefined;
  }
}

const splatFloat = (value: number): Vector => f32x4.const(value, value, value, value);

/** The integers of `rounded`, whose value has the lanes `x`; NaN gives 0 when `checked`, else the lower bound. */
export function emitRounded(rounded: RoundedValue, x: Vector, checked: boolean): Vector {
  const { offset, high } = rounded;
  // A comparison with NaN is false, which leaves the bound.
  const within = f32x4.pmin(boundedBelow(rounded, x), splatFloat(high - offset));
  const integers = shifted(rounded, within);
  return checked ? v128.and(integers, f32x4.eq(x, x)) : integers;
}

/**
 * As emitRounded for a value that is no NaN, but any integer above the upper bound may stand for that bound: enough where
 * it is the largest of a type that is then narrowed to with saturation. Floats above 2^22 keep their order as integers.
 */
export const emitRoundedBelow = (rounded: RoundedValue, x: Vector): Vector =>
  shifted(rounded, boundedBelow(rounded, x));

const boundedBelow = ({ low, offset }: RoundedValue, x: Vector): Vector => f32x4.pmax(splatFloat(low - offset), x);

function shifted({ offset }: RoundedValue, within: Vector): Vector {
  const base = shifterBits - offset;
  return i32x4.sub(f32x4.add(within, splatFloat(shifter)), i32x4.const(base, base, base, base));
}

/** Whether the value is no NaN, as long as what integers are multiplied with is finite: scales are. */
export function isNumber(expression: Expression, operands: readonly DType[]): boolean {
  const recur = (child: Expression): boolean => isNumber(child, operands);
  switch (expression.kind) {
    case "constant":
      return Number.isFinite(expression.value);
    case "cast":
      return !["float32", "float64", "float16", "bfloat16"].includes(expressionType(expression.value, operands));
    case "unary":
      return ["negate", "abs", "round", "floor", "ceil", "truncate", "sigmoid", "tanh", "erf"].includes(
        expression.operation,
      )
        ? recur(expression.value)
        : false;
    case "binary": {
      const { operation, left, right } = expression;
      const scales = (scale: Expression, scaled: Expression): boolean =>
        scale.kind === "input" && scaled.kind !== "constant" && recur(scaled);
      if (operation === "multiply") return (recur(left) && recur(right)) || scales(left, right) || scales(right, left);
      return ["add", "subtract", "minimum", "maximum"].includes(operation) && recur(left) && recur(right);
    }
    default:
      return false;
  }
}

/** Least and largest value of an integer expression, as far as its type and constant bounds tell. */
export function integerRange(expression: Expression, operands: readonly DType[]): readonly [number, number] {
  const ofType = typeRange(expressionType(expression, operands));
  switch (expression.kind) {
    case "constant":
      return [expression.value, expression.value];
    case "cast": {
      const rounded = roundedValue(expression.value);
      const [low, high] = rounded ? [rounded.low, rounded.high] : integerRange(expression.value, operands);
      return isWithin([low, high], ofType) ? [low, high] : ofType;
    }
    case "binary": {
      const { operation, left, right } = expression;
      if (operation !== "minimum" && operation !== "maximum") return ofType;
      const bound = operation === "minimum" ? Math.min : Math.max;
      const [a, b] = [integerRange(left, operands), integerRange(right, operands)];
      return [bound(a[0], b[0]), bound(a[1], b[1])];
    }
    default:
      return ofType;
  }
}

export const isWithin = (inner: readonly [number, number], outer: readonly [number, number]): boolean =>
  inner[0] >= outer[0] && inner[1] <= outer[1];

export function typeRange(dtype: DType): readonly [number, number] {
  switch (dtype) {
    case "bool":
      return [0, 1];
    case "uint8":
      return [0, 255];
    case "int8":
      return [-128, 127];
    case "int32":
      return [-(2 ** 31), 2 ** 31 - 1];
    default:
      return [-Infinity, Infinity];
  }
}
