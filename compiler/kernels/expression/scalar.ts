/**
 * Scalar expressions one element at a time, for every dtype: integers up to 32 bits and bools in i32 (kept
 * normalised to their width), 64-bit integers in i64, float64 in f64, the other floats in f32.
 */
import { type DType, isBigInteger } from "../../../runtime/format/dtype.ts";
import {
  type BinaryOperation,
  type Expression,
  expressionType,
  type UnaryOperation,
} from "../../../runtime/format/expression.ts";
import type { BodyBuilder } from "../../assemble/body.ts";
import { type Expression as Code, select, type ValueType } from "../../assemble/expression.ts";
import type { MathLibrary } from "../../assemble/math.ts";
import { f32, f64, i32, i64 } from "../../assemble/scalar.ts";
import { f32x4 } from "../../assemble/vector.ts";
import { keyOf, Memo } from "./memo.ts";

export interface ScalarEnvironment {
  readonly body: BodyBuilder;
  readonly math: MathLibrary;
  readonly operands: readonly DType[];
  /** One element of a leaf, in the representation of its dtype. */
  leaf(
    expression: Extract<Expression, { kind: "input" | "load" | "axis" | "parameter" }>,
    visit: (expression: Expression) => Code<ValueType>,
  ): Code<ValueType>;
}

/** The WebAssembly type that holds one element. */
export function scalarType(dtype: DType): "i32" | "i64" | "f32" | "f64" {
  if (isBigInteger(dtype)) return "i64";
  if (dtype === "float64") return "f64";
  return dtype === "float32" || dtype === "float16" || dtype === "bfloat16" ? "f32" : "i32";
}

const narrow: ReadonlySet<UnaryOperation> = new Set<UnaryOperation>([
  "negate",
  "abs",
  "sqrt",
  "floor",
  "ceil",
  "round",
  "truncate",
  "reciprocal",
  "sign",
]);

/** Whether every operation has a scalar form (float64 has no transcendental functions). */
export function isEmittable(expression: Expression, operands: readonly DType[]): boolean {
  const recur = (child: Expression): boolean => isEmittable(child, operands);
  switch (expression.kind) {
    case "input":
    case "axis":
    case "parameter":
    case "constant":
      return true;
    case "load":
      return expression.at.every(recur);
    case "unary": {
      const dtype = expressionType(expression.value, operands);
      const test = expressionType(expression, operands) === "bool";
      return (dtype !== "float64" || test || narrow.has(expression.operation)) && recur(expression.value);
    }
    case "binary": {
      const dtype = expressionType(expression.left, operands);
      const wide = dtype === "float64" && ["power", "modulo", "remainder"].includes(expression.operation);
      const integerPower = expression.operation === "power" && scalarType(dtype) !== "f32";
      return !wide && !integerPower && recur(expression.left) && recur(expression.right);
    }
    case "select":
      return recur(expression.condition) && recur(expression.whenTrue) && recur(expression.whenFalse);
    case "cast":
      return recur(expression.value);
  }
}

type Scalar = Code<ValueType>;
const asI32 = (value: Scalar): Code<"i32"> => value as Code<"i32">;
const asI64 = (value: Scalar): Code<"i64"> => value as Code<"i64">;
const asF32 = (value: Scalar): Code<"f32"> => value as Code<"f32">;
const asF64 = (value: Scalar): Code<"f64"> => value as Code<"f64">;

/** The expression's value in the representation of its dtype. */
export function emitScalar(
  environment: ScalarEnvironment,
  expression: Expression,
  memo = new Memo(environment.body),
): Scalar {
  const { operands } = environment;
  const visit = (node: Expression): Scalar => {
    switch (node.kind) {
      case "constant":
        return constantOf(node.dtype, node.value);
      case "input":
      case "load":
      case "axis":
      case "parameter":
        return memo.once(keyOf(node), () => environment.leaf(node, visit));
      case "unary":
        return memo.once(keyOf(node), () =>
          unaryScalar(environment, node.operation, expressionType(node.value, operands), visit(node.value)),
        );
      case "binary":
        return memo.once(keyOf(node), () => {
          const dtype = expressionType(node.left, operands);
          return wrap(
            expressionType(node, operands),
            binaryScalar(environment, node.operation, dtype, visit(node.left), visit(node.right)),
          );
        });
      case "select":
        return memo.once(keyOf(node), () => {
          const [condition, whenTrue, whenFalse] = [visit(node.condition), visit(node.whenTrue), visit(node.whenFalse)];
          return select(whenTrue.type, asI32(condition), whenTrue, whenFalse);
        });
      case "cast":
        return memo.once(keyOf(node), () =>
          castScalar(expressionType(node.value, operands), node.dtype, visit(node.value)),
        );
    }
  };
  return visit(expression);
}

function constantOf(dtype: DType, value: number): Scalar {
  switch (scalarType(dtype)) {
    case "i64":
      return i64.const(BigInt.asIntN(64, BigInt(Math.trunc(value))));
    case "f64":
      return f64.const(value);
    case "f32":
      return f32.const(value);
    case "i32":
      return i32.const(dtype === "bool" ? Number(value !== 0) : value | 0);
  }
}

/** Keeps narrow integers within their width after arithmetic. */
function wrap(dtype: DType, value: Scalar): Scalar {
  switch (dtype) {
    case "int8":
      return i32.extend8S(asI32(value));
    case "int16":
      return i32.extend16S(asI32(value));
    case "uint8":
      return i32.and(asI32(value), 0xff);
    case "uint16":
      return i32.and(asI32(value), 0xffff);
    default:
      return value;
  }
}

const isUnsigned = (dtype: DType): boolean => dtype.startsWith("uint") || dtype === "bool";

function unaryScalar(environment: ScalarEnvironment, operation: UnaryOperation, dtype: DType, x: Scalar): Scalar {
  const { body, math } = environment;
  const type = scalarType(dtype);
  if (operation === "not") return i32.eqz(asI32(x));
  if (type === "i32" || type === "i64") return wrap(dtype, integerUnary(body, operation, dtype, x));
  if (operation === "isNaN") {
    const held = body.local(type, x as never);
    return type === "f32" ? f32.ne(asF32(held), asF32(held)) : f64.ne(asF64(held), asF64(held));
  }
  const infinity =
    operation === "isPositiveInfinity" ? Infinity : operation === "isNegativeInfinity" ? -Infinity : undefined;
  if (infinity !== undefined) return type === "f32" ? f32.eq(asF32(x), infinity) : f64.eq(asF64(x), infinity);
  if (type === "f64") {
    const value = asF64(x);
    switch (operation) {
      case "negate":
        return f64.neg(value);
      case "abs":
        return f64.abs(value);
      case "sqrt":
        return f64.sqrt(value);
      case "floor":
        return f64.floor(value);
      case "ceil":
        return f64.ceil(value);
      case "round":
        return f64.nearest(value);
      case "truncate":
        return f64.trunc(value);
      case "reciprocal":
        return f64.div(f64.const(1), value);
      case "sign": {
        const held = body.local("f64", value);
        return select("f64", f64.gt(held, 0), f64.const(1), select("f64", f64.lt(held, 0), f64.const(-1), held));
      }
      default:
        throw new TypeError(`${operation} has no float64 form`);
    }
  }
  const value = asF32(x);
  switch (operation) {
    case "negate":
      return f32.neg(value);
    case "abs":
      return f32.abs(value);
    case "sqrt":
      return f32.sqrt(value);
    case "floor":
      return f32.floor(value);
    case "ceil":
      return f32.ceil(value);
    case "round":
      return f32.nearest(value);
    case "truncate":
      return f32.trunc(value);
    case "reciprocal":
      return f32.div(f32.const(1), value);
    case "bitNot":
      return value;
    default:
      return f32x4.extractLane(math[operation as "exp"](f32x4.splat(value)), 0);
  }
}

function integerUnary(body: BodyBuilder, operation: UnaryOperation, dtype: DType, x: Scalar): Scalar {
  if (scalarType(dtype) === "i64") {
    const held = body.local("i64", asI64(x));
    const negative = i64.ltS(held, 0n as never);
    switch (operation) {
      case "negate":
        return i64.sub(i64.const(0), held);
      case "abs":
        return isUnsigned(dtype) ? held : select("i64", negative, i64.sub(i64.const(0), held), held);
      case "bitNot":
        return i64.xor(held, i64.const(-1));
      case "sign":
        return select(
          "i64",
          i64.eqz(held),
          i64.const(0),
          isUnsigned(dtype) ? i64.const(1) : select("i64", negative, i64.const(-1), i64.const(1)),
        );
      default:
        return held;
    }
  }
  const held = body.local("i32", asI32(x));
  switch (operation) {
    case "negate":
      return i32.sub(i32.const(0), held);
    case "abs":
      return isUnsigned(dtype) ? held : select("i32", i32.ltS(held, 0), i32.sub(i32.const(0), held), held);
    case "bitNot":
      return i32.xor(held, -1);
    case "sign":
      return isUnsigned(dtype) ? i32.ne(held, 0) : i32.sub(i32.gtS(held, 0), i32.ltS(held, 0));
    default:
      return held;
  }
}

function binaryScalar(
  environment: ScalarEnvironment,
  operation: BinaryOperation,
  dtype: DType,
  left: Scalar,
  right: Scalar,
): Scalar {
  const { body, math } = environment;
  switch (scalarType(dtype)) {
    case "f32": {
      const [a, b] = [asF32(left), asF32(right)];
      switch (operation) {
        case "power":
          return f32x4.extractLane(math.power(f32x4.splat(a), f32x4.splat(b)), 0);
        case "modulo":
          return f32x4.extractLane(math.modulo(f32x4.splat(a), f32x4.splat(b)), 0);
        case "remainder":
          return f32x4.extractLane(math.remainder(f32x4.splat(a), f32x4.splat(b)), 0);
        default:
          return f32[floatOperation(operation)](a, b);
      }
    }
    case "f64":
      return f64[floatOperation(operation)](asF64(left), asF64(right));
    case "i64":
      return integerBinary(body, operation, dtype, asI64(left), asI64(right), i64 as unknown as typeof i32);
    case "i32":
      return integerBinary(body, operation, dtype, asI32(left), asI32(right), i32);
  }
}

function floatOperation(
  operation: BinaryOperation,
): "add" | "sub" | "mul" | "div" | "min" | "max" | "eq" | "lt" | "le" | "gt" | "ge" {
  switch (operation) {
    case "add":
      return "add";
    case "subtract":
      return "sub";
    case "multiply":
      return "mul";
    case "divide":
      return "div";
    case "minimum":
      return "min";
    case "maximum":
      return "max";
    case "equal":
      return "eq";
    case "less":
      return "lt";
    case "lessOrEqual":
      return "le";
    case "greater":
      return "gt";
    case "greaterOrEqual":
      return "ge";
    default:
      throw new TypeError(`${operation} has no floating-point form`);
  }
}

/** `ops` is the operation table of the values' own width. Division by zero gives 0, never a trap. */
function integerBinary(
  body: BodyBuilder,
  operation: BinaryOperation,
  dtype: DType,
  left: Code<"i32"> | Code<"i64">,
  right: Code<"i32"> | Code<"i64">,
  ops: typeof i32,
): Scalar {
  const type = left.type;
  const unsigned = isUnsigned(dtype);
  const a = body.local(type, left as never) as unknown as Code<"i32">;
  const b = body.local(type, right as never) as unknown as Code<"i32">;
  const zero = ops.const(0);
  const choose = (condition: Code<"i32">, whenTrue: Code<"i32">, whenFalse: Code<"i32">): Code<"i32"> =>
    select(type as "i32", condition, whenTrue, whenFalse);
  /** `divide(a, b)` where that is defined, `otherwise` where it would trap. */
  const guarded = (divide: (x: Code<"i32">, y: Code<"i32">) => Code<"i32">, overflow: Code<"i32">): Code<"i32"> => {
    const minusOne = unsigned ? i32.const(0) : ops.eq(b, ops.const(-1));
    const bad = i32.or(ops.eqz(b), minusOne);
    const safe = choose(bad, ops.const(1), b);
    return choose(ops.eqz(b), zero, choose(minusOne, overflow, divide(a, safe)));
  };
  switch (operation) {
    case "add":
      return ops.add(a, b);
    case "subtract":
      return ops.sub(a, b);
    case "multiply":
      return ops.mul(a, b);
    case "divide":
      return guarded(unsigned ? ops.divU : ops.divS, ops.sub(zero, a));
    case "remainder":
      return guarded(unsigned ? ops.remU : ops.remS, zero);
    case "modulo": {
      if (unsigned) return guarded(ops.remU, zero);
      const rest = body.local(type as "i32", guarded(ops.remS, zero));
      const differs = i32.and(ops.ne(rest, zero), ops.ltS(ops.xor(rest, b), zero));
      return choose(differs, ops.add(rest, b), rest);
    }
    case "minimum":
      return choose(unsigned ? ops.ltU(a, b) : ops.ltS(a, b), a, b);
    case "maximum":
      return choose(unsigned ? ops.gtU(a, b) : ops.gtS(a, b), a, b);
    case "equal":
      return ops.eq(a, b);
    case "less":
      return unsigned ? ops.ltU(a, b) : ops.ltS(a, b);
    case "lessOrEqual":
      return unsigned ? ops.leU(a, b) : ops.leS(a, b);
    case "greater":
      return unsigned ? ops.gtU(a, b) : ops.gtS(a, b);
    case "greaterOrEqual":
      return unsigned ? ops.geU(a, b) : ops.geS(a, b);
    case "and":
    case "bitAnd":
      return ops.and(a, b);
    case "or":
    case "bitOr":
      return ops.or(a, b);
    case "xor":
    case "bitXor":
      return ops.xor(a, b);
    case "shiftLeft":
      return ops.shl(a, b);
    case "shiftRight":
      return unsigned ? ops.shrU(a, b) : ops.shrS(a, b);
    case "power":
      throw new TypeError("integer power has no scalar form");
  }
}

function castScalar(from: DType, to: DType, x: Scalar): Scalar {
  if (from === to) return x;
  const source = scalarType(from);
  const target = scalarType(to);
  if (to === "bool") {
    switch (source) {
      case "i32":
        return i32.ne(asI32(x), 0);
      case "i64":
        return i32.eqz(i64.eqz(asI64(x)));
      case "f32":
        return f32.ne(asF32(x), 0);
      case "f64":
        return f64.ne(asF64(x), 0);
    }
  }
  const unsigned = isUnsigned(from);
  switch (target) {
    case "f32":
      if (source === "f32") return x;
      if (source === "f64") return f32.demoteF64(asF64(x));
      if (source === "i64") return unsigned ? f32.convertI64U(asI64(x)) : f32.convertI64S(asI64(x));
      return unsigned ? f32.convertI32U(asI32(x)) : f32.convertI32S(asI32(x));
    case "f64":
      if (source === "f64") return x;
      if (source === "f32") return f64.promoteF32(asF32(x));
      if (source === "i64") return unsigned ? f64.convertI64U(asI64(x)) : f64.convertI64S(asI64(x));
      return unsigned ? f64.convertI32U(asI32(x)) : f64.convertI32S(asI32(x));
    case "i64":
      if (source === "i64") return x;
      if (source === "i32") return unsigned ? i64.extendI32U(asI32(x)) : i64.extendI32S(asI32(x));
      if (source === "f32") return to === "uint64" ? i64.truncSatF32U(asF32(x)) : i64.truncSatF32S(asF32(x));
      return to === "uint64" ? i64.truncSatF64U(asF64(x)) : i64.truncSatF64S(asF64(x));
    case "i32": {
      if (source === "i32") return wrap(to, x);
      if (source === "i64") return wrap(to, i32.wrapI64(asI64(x)));
      // Narrower types keep the low bits of the saturated int32.
      if (to === "uint32") return source === "f32" ? i32.truncSatF32U(asF32(x)) : i32.truncSatF64U(asF64(x));
      return wrap(to, source === "f32" ? i32.truncSatF32S(asF32(x)) : i32.truncSatF64S(asF64(x)));
    }
  }
}
