/**
 * Scalar expressions on four lanes at once. float32 lanes are f32x4, lanes of int32 and of narrower integers i32x4, bool
 * lanes masks of all ones or zeros. Leaves come from the caller. What cannot be done on four lanes is told by `isVectorisable`.
 */
import type { DType } from "../../../runtime/format/dtype.ts";
import {
  type BinaryOperation,
  type Expression,
  expressionType,
  type UnaryOperation,
} from "../../../runtime/format/expression.ts";
import type { BodyBuilder } from "../../assemble/body.ts";
import type { Expression as Code } from "../../assemble/expression.ts";
import type { MathLibrary } from "../../assemble/math.ts";
import { f32x4, i32x4, v128 } from "../../assemble/vector.ts";
import { keyOf, Memo } from "./memo.ts";
import { emitRounded, integerRange, isNumber, isWithin, roundedValue, typeRange } from "./rounded-cast.ts";

type Vector = Code<"v128">;

export interface VectorEnvironment {
  readonly body: BodyBuilder;
  readonly math: MathLibrary;
  /** Element types of the operands. */
  readonly operands: readonly DType[];
  /** Four lanes of a leaf, in the representation of its dtype (narrow integers widened to i32x4, float16 to f32x4). */
  leaf(expression: Extract<Expression, { kind: "input" | "load" | "axis" | "parameter" }>): Vector;
  /** Whether short functions are written in place instead of called: for loops that are little more than one. */
  readonly inline?: boolean;
  /** Four equal lanes for an expression that does not vary over the lanes, when the caller computes those apart. */
  uniform?(expression: Expression): Vector | undefined;
}

const lanes: ReadonlySet<DType> = new Set<DType>(["float32", "int32", "bool", "int8", "uint8"]);
const readable: ReadonlySet<DType> = new Set<DType>([...lanes, "float16"]);
const integers: ReadonlySet<DType> = new Set<DType>(["int32", "int8", "uint8"]);
const floatOnly: ReadonlySet<BinaryOperation> = new Set<BinaryOperation>(["power", "modulo", "remainder"]);

/** Whether every value inside can be held in four 32-bit lanes. */
export function isVectorisable(expression: Expression, operands: readonly DType[]): boolean {
  const recur = (child: Expression): boolean => isVectorisable(child, operands);
  const dtype = expressionType(expression, operands);
  switch (expression.kind) {
    case "input":
      return readable.has(dtype);
    case "load":
      return readable.has(dtype);
    case "axis":
    case "parameter":
      return true;
    case "constant":
      return lanes.has(dtype);
    case "unary":
      return lanes.has(dtype) && lanes.has(expressionType(expression.value, operands)) && recur(expression.value);
    case "binary": {
      const inner = expressionType(expression.left, operands);
      if (!lanes.has(dtype) || !lanes.has(inner)) return false;
      if (integers.has(inner) && (floatOnly.has(expression.operation) || expression.operation === "divide"))
        return false;
      if (expression.operation === "shiftLeft" || expression.operation === "shiftRight") return false;
      return recur(expression.left) && recur(expression.right);
    }
    case "select":
      return (
        lanes.has(dtype) && recur(expression.condition) && recur(expression.whenTrue) && recur(expression.whenFalse)
      );
    case "cast":
      return lanes.has(dtype) && recur(expression.value);
  }
}

/** The expression's four lanes. The caller has checked `isVectorisable`. */
export function emitVector(environment: VectorEnvironment, expression: Expression): Vector {
  const memo = new Memo(environment.body);
  const { math, operands } = environment;
  const visit = (node: Expression): Vector => {
    const uniform = environment.uniform?.(node);
    if (uniform) return uniform;
    switch (node.kind) {
      case "input":
      case "load":
      case "axis":
      case "parameter":
        return memo.once(keyOf(node), () => environment.leaf(node));
      case "constant":
        return node.dtype === "float32"
          ? f32x4.const(node.value, node.value, node.value, node.value)
          : splatInteger(node.dtype === "bool" ? -Number(node.value !== 0) : node.value);
      case "unary":
        return memo.once(keyOf(node), () =>
          wrapLanes(
            expressionType(node, operands),
            unaryLanes(environment, node.operation, expressionType(node.value, operands), visit(node.value)),
          ),
        );
      case "binary":
        return memo.once(keyOf(node), () => {
          const inner = expressionType(node.left, operands);
          const bound = boundedLanes(node, inner, visit);
          if (bound) return bound;
          const value = binaryLanes(math, node.operation, inner, visit(node.left), visit(node.right));
          return staysWithin.has(node.operation) ? value : wrapLanes(inner, value);
        });
      case "select":
        return memo.once(keyOf(node), () =>
          v128.bitselect(visit(node.whenTrue), visit(node.whenFalse), visit(node.condition)),
        );
      case "cast":
        return memo.once(keyOf(node), () => {
          const from = expressionType(node.value, operands);
          const rounded = integers.has(node.dtype) && from === "float32" ? roundedValue(node.value) : undefined;
          const value = rounded
            ? emitRounded(rounded, visit(rounded.value), !isNumber(rounded.value, operands))
            : castLanes(from, node.dtype, visit(node.value));
          const range = rounded ? ([rounded.low, rounded.high] as const) : integerRange(node.value, operands);
          return isWithin(range, typeRange(node.dtype)) ? value : wrapLanes(node.dtype, value);
        });
    }
  };
  return visit(expression);
}

/** Operations whose result needs no wrapping to the width of their operands. */
const staysWithin: ReadonlySet<BinaryOperation> = new Set<BinaryOperation>([
  ...(["minimum", "maximum", "equal", "less", "lessOrEqual", "greater", "greaterOrEqual"] as const),
  ...(["and", "or", "xor", "bitAnd", "bitOr", "bitXor"] as const),
]);

/** Keeps narrow integers within their width. */
function wrapLanes(dtype: DType, value: Vector): Vector {
  if (dtype === "uint8") return v128.and(value, splatInteger(0xff));
  return dtype === "int8" ? i32x4.shrS(i32x4.shl(value, 24), 24) : value;
}

const splatInteger = (value: number): Vector => i32x4.const(value, value, value, value);
const zero = splatInteger(0);

function unaryLanes(environment: VectorEnvironment, operation: UnaryOperation, dtype: DType, x: Vector): Vector {
  const { math, body } = environment;
  const held = (): Vector => body.local("v128", x);
  if (dtype === "bool") return v128.not(x);
  if (integers.has(dtype)) {
    switch (operation) {
      case "negate":
        return i32x4.neg(x);
      case "abs":
        return i32x4.abs(x);
      case "bitNot":
        return v128.not(x);
      case "sign":
        return i32x4.maxS(i32x4.minS(x, splatInteger(1)), splatInteger(-1));
      default:
        return x;
    }
  }
  switch (operation) {
    case "negate":
      return f32x4.neg(x);
    case "abs":
      return f32x4.abs(x);
    case "sqrt":
      return f32x4.sqrt(x);
    case "floor":
      return f32x4.floor(x);
    case "ceil":
      return f32x4.ceil(x);
    case "round":
      return f32x4.nearest(x);
    case "truncate":
      return f32x4.trunc(x);
    case "reciprocal":
      return f32x4.div(f32x4.const(1, 1, 1, 1), x);
    case "isNaN": {
      const value = held();
      return f32x4.ne(value, value);
    }
    case "isPositiveInfinity":
      return f32x4.eq(x, f32x4.const(Infinity, Infinity, Infinity, Infinity));
    case "isNegativeInfinity":
      return f32x4.eq(x, f32x4.const(-Infinity, -Infinity, -Infinity, -Infinity));
    case "not":
    case "bitNot":
      return v128.not(x);
    case "exp":
    case "sigmoid":
    case "tanh":
    case "erf":
      return environment.inline ? math.inline(operation, body, x) : math[operation](x);
    default:
      return math[operation](x);
  }
}

/** Minimum or maximum with a constant: one instruction where the general form is several, NaN and all. */
function boundedLanes(
  { operation, left, right }: Extract<Expression, { kind: "binary" }>,
  dtype: DType,
  visit: (expression: Expression) => Vector,
): Vector | undefined {
  if (dtype !== "float32" || (operation !== "maximum" && operation !== "minimum")) return undefined;
  const [value, bound] = left.kind === "constant" ? [right, left] : [left, right];
  if (bound.kind !== "constant" || Number.isNaN(bound.value)) return undefined;
  return (operation === "maximum" ? f32x4.pmax : f32x4.pmin)(visit(value), visit(bound));
}

function binaryLanes(math: MathLibrary, operation: BinaryOperation, dtype: DType, left: Vector, right: Vector): Vector {
  switch (operation) {
    case "and":
    case "bitAnd":
      return v128.and(left, right);
    case "or":
    case "bitOr":
      return v128.or(left, right);
    case "xor":
    case "bitXor":
      return v128.xor(left, right);
    case "equal":
      return dtype === "float32" ? f32x4.eq(left, right) : i32x4.eq(left, right);
    case "less":
      return dtype === "float32" ? f32x4.lt(left, right) : i32x4.ltS(left, right);
    case "lessOrEqual":
      return dtype === "float32" ? f32x4.le(left, right) : i32x4.leS(left, right);
    case "greater":
      return dtype === "float32" ? f32x4.gt(left, right) : i32x4.gtS(left, right);
    case "greaterOrEqual":
      return dtype === "float32" ? f32x4.ge(left, right) : i32x4.geS(left, right);
    case "add":
      return dtype === "float32" ? f32x4.add(left, right) : i32x4.add(left, right);
    case "subtract":
      return dtype === "float32" ? f32x4.sub(left, right) : i32x4.sub(left, right);
    case "multiply":
      return dtype === "float32" ? f32x4.mul(left, right) : i32x4.mul(left, right);
    case "minimum":
      return dtype === "float32" ? f32x4.min(left, right) : i32x4.minS(left, right);
    case "maximum":
      return dtype === "float32" ? f32x4.max(left, right) : i32x4.maxS(left, right);
    case "divide":
      return f32x4.div(left, right);
    case "power":
      return math.power(left, right);
    case "modulo":
      return math.modulo(left, right);
    case "remainder":
      return math.remainder(left, right);
    case "shiftLeft":
    case "shiftRight":
      throw new TypeError(`${operation} has no form on four lanes`);
  }
}

function castLanes(from: DType, to: DType, x: Vector): Vector {
  const isFloat = from === "float32" || from === "float16";
  if (to === "float32") {
    if (isFloat) return x;
    return from === "bool" ? v128.and(x, f32x4.const(1, 1, 1, 1)) : f32x4.convertI32x4S(x);
  }
  if (to === "bool") {
    if (from === "bool") return x;
    return isFloat ? f32x4.ne(x, f32x4.const(0, 0, 0, 0)) : v128.not(i32x4.eq(x, zero));
  }
  if (isFloat) return i32x4.truncSatF32x4S(x);
  return from === "bool" ? v128.and(x, splatInteger(1)) : x;
}
