/**
 * Scalar expressions in WGSL. Floats are f32, integers up to 32 bits i32 or u32, 64-bit integers vec2u(low, high).
 * float64 can be moved and selected, but not computed with. What has no form is told by `hasWgsl`.
 */
import type { DType } from "../../../runtime/format/dtype.ts";
import {
  type BinaryOperation,
  type Expression,
  expressionType,
  type UnaryOperation,
} from "../../../runtime/format/expression.ts";
import type { Wgsl, WgslBody } from "../wgsl/body.ts";
import { floatLiteral, wgslType } from "../wgsl/element.ts";
import type { WgslFunctionName } from "../wgsl/functions.ts";
import { keyOf } from "./memo.ts";

type Leaf = Extract<Expression, { kind: "input" | "load" | "axis" | "parameter" }>;

export interface WgslEnvironment {
  readonly body: WgslBody;
  /** Element types of the operands. */
  readonly operands: readonly DType[];
  /** One element of a leaf, in the WGSL type of its dtype. */
  leaf(expression: Leaf, visit: (expression: Expression) => Wgsl): Wgsl;
}

const pairUnary: ReadonlySet<UnaryOperation> = new Set<UnaryOperation>([
  "negate",
  "abs",
  "sign",
  "bitNot",
  "isNaN",
  "isPositiveInfinity",
  "isNegativeInfinity",
]);
const pairBinary: ReadonlySet<BinaryOperation> = new Set<BinaryOperation>([
  "add",
  "subtract",
  "multiply",
  "divide",
  "modulo",
  "remainder",
  "minimum",
  "maximum",
  "equal",
  "less",
  "lessOrEqual",
  "greater",
  "greaterOrEqual",
  "bitAnd",
  "bitOr",
  "bitXor",
  "shiftLeft",
  "shiftRight",
]);
const boolUnary: ReadonlySet<UnaryOperation> = new Set<UnaryOperation>(["not", "bitNot"]);
const boolBinary: ReadonlySet<BinaryOperation> = new Set<BinaryOperation>([
  "equal",
  "less",
  "lessOrEqual",
  "greater",
  "greaterOrEqual",
  "and",
  "or",
  "xor",
  "bitAnd",
  "bitOr",
  "bitXor",
]);

/** Whether every operation inside has a WGSL form. */
export function hasWgsl(expression: Expression, operands: readonly DType[]): boolean {
  const recur = (child: Expression): boolean => hasWgsl(child, operands);
  switch (expression.kind) {
    case "input":
    case "axis":
    case "parameter":
      return true;
    case "constant":
      return expression.dtype !== "float64";
    case "load":
      return expression.at.every(recur);
    case "unary": {
      const dtype = expressionType(expression.value, operands);
      const type = wgslType(dtype);
      const { operation } = expression;
      if (type === "vec2u" && (dtype === "float64" || !pairUnary.has(operation))) return false;
      if (type === "bool" && !boolUnary.has(operation)) return false;
      return recur(expression.value);
    }
    case "binary": {
      const dtype = expressionType(expression.left, operands);
      const type = wgslType(dtype);
      const { operation } = expression;
      if (type === "vec2u" && (dtype === "float64" || !pairBinary.has(operation))) return false;
      if (type === "bool" && !boolBinary.has(operation)) return false;
      if (operation === "power" && type !== "f32") return false;
      return recur(expression.left) && recur(expression.right);
    }
    case "select":
      return recur(expression.condition) && recur(expression.whenTrue) && recur(expression.whenFalse);
    case "cast": {
      const from = expressionType(expression.value, operands);
      if (from !== expression.dtype && (from === "float64" || expression.dtype === "float64")) return false;
      return recur(expression.value);
    }
  }
}

/** The expression's value. The caller has checked `hasWgsl`. */
export function emitWgslExpression(environment: WgslEnvironment, expression: Expression, scope = ""): Wgsl {
  const { body, operands } = environment;
  const visit = (node: Expression): Wgsl =>
    body.once(scope + keyOf(node), () => {
      switch (node.kind) {
        case "constant":
          return constantOf(body, node.dtype, node.value);
        case "input":
        case "load":
        case "axis":
        case "parameter":
          return environment.leaf(node, visit);
        case "unary":
          return unaryOf(body, node.operation, expressionType(node.value, operands), visit(node.value));
        case "binary": {
          const dtype = expressionType(node.left, operands);
          return binaryOf(body, node.operation, dtype, visit(node.left), visit(node.right));
        }
        case "select": {
          const [condition, whenTrue, whenFalse] = [visit(node.condition), visit(node.whenTrue), visit(node.whenFalse)];
          const test = wgslType(expressionType(node.condition, operands)) === "bool" ? condition : `${condition} != 0`;
          return `select(${whenFalse}, ${whenTrue}, ${test})`;
        }
        case "cast":
          return castOf(body, expressionType(node.value, operands), node.dtype, visit(node.value));
      }
    });
  return visit(expression);
}

function constantOf(body: WgslBody, dtype: DType, value: number): Wgsl {
  switch (wgslType(dtype)) {
    case "f32":
      return floatLiteral(body, value);
    case "i32":
      return `i32(${value | 0})`;
    case "u32":
      return `${value >>> 0}u`;
    case "bool":
      return String(value !== 0);
    case "vec2u": {
      const wide = BigInt.asUintN(64, BigInt(Math.trunc(value)));
      return `vec2u(${wide & 0xffffffffn}u, ${wide >> 32n}u)`;
    }
  }
}

/** Keeps narrow integers within their width after arithmetic. */
function wrap(dtype: DType, value: Wgsl): Wgsl {
  switch (dtype) {
    case "int8":
      return `extractBits(${value}, 0u, 8u)`;
    case "int16":
      return `extractBits(${value}, 0u, 16u)`;
    case "uint8":
      return `(${value}) & 0xffu`;
    case "uint16":
      return `(${value}) & 0xffffu`;
    default:
      return value;
  }
}

const floatFunctions: Readonly<Partial<Record<UnaryOperation, WgslFunctionName>>> = {
  sign: "signFloat",
  exp: "expFloat",
  log: "logFloat",
  sin: "sinFloat",
  cos: "cosFloat",
  tan: "tanFloat",
  asin: "asinFloat",
  acos: "acosFloat",
  atan: "atanFloat",
  sinh: "sinhFloat",
  cosh: "coshFloat",
  tanh: "tanhFloat",
  asinh: "asinhFloat",
  acosh: "acoshFloat",
  atanh: "atanhFloat",
  erf: "erf",
  sigmoid: "sigmoid",
  softplus: "softplus",
  isNaN: "isNaN",
};

function unaryOf(body: WgslBody, operation: UnaryOperation, dtype: DType, x: Wgsl): Wgsl {
  const type = wgslType(dtype);
  if (type === "bool") return `!${x}`;
  if (type === "vec2u") return pairUnaryOf(body, operation, dtype, x);
  if (type === "f32") {
    const name = floatFunctions[operation];
    if (name !== undefined) return body.call(name, x);
    switch (operation) {
      case "negate":
        return `-${x}`;
      case "reciprocal":
        return `1f / ${x}`;
      case "truncate":
        return `trunc(${x})`;
      case "isPositiveInfinity":
        return `bitcast<u32>(${x}) == 0x7f800000u`;
      case "isNegativeInfinity":
        return `bitcast<u32>(${x}) == 0xff800000u`;
      default:
        return `${operation}(${x})`;
    }
  }
  switch (operation) {
    case "negate":
      return wrap(dtype, type === "i32" ? `0i - ${x}` : `0u - ${x}`);
    case "abs":
      return wrap(dtype, `abs(${x})`);
    case "sign":
      return type === "i32" ? `sign(${x})` : `min(${x}, 1u)`;
    case "not":
      return type === "i32" ? `select(0i, 1i, ${x} == 0i)` : `select(0u, 1u, ${x} == 0u)`;
    case "bitNot":
      return wrap(dtype, `~${x}`);
    case "isNaN":
    case "isPositiveInfinity":
    case "isNegativeInfinity":
      return "false";
    default:
      return x;
  }
}

function pairUnaryOf(body: WgslBody, operation: UnaryOperation, dtype: DType, x: Wgsl): Wgsl {
  const signed = dtype === "int64";
  switch (operation) {
    case "negate":
      return body.call("negatePair", x);
    case "abs":
      return signed ? body.call("absLong", x) : x;
    case "sign":
      return body.call(signed ? "signLong" : "signUlong", x);
    case "bitNot":
      return `~${x}`;
    default:
      return "false";
  }
}

const infix: Readonly<Partial<Record<BinaryOperation, string>>> = {
  add: "+",
  subtract: "-",
  multiply: "*",
  equal: "==",
  less: "<",
  lessOrEqual: "<=",
  greater: ">",
  greaterOrEqual: ">=",
  and: "&",
  bitAnd: "&",
  or: "|",
  bitOr: "|",
  xor: "^",
  bitXor: "^",
};

function binaryOf(body: WgslBody, operation: BinaryOperation, dtype: DType, a: Wgsl, b: Wgsl): Wgsl {
  switch (wgslType(dtype)) {
    case "f32":
      switch (operation) {
        case "divide":
          return `${a} / ${b}`;
        case "minimum":
          return body.call("minimumFloat", a, b);
        case "maximum":
          return body.call("maximumFloat", a, b);
        case "modulo":
          return body.call("moduloFloat", a, b);
        case "remainder":
          return body.call("remainderFloat", a, b);
        case "power":
          return body.call("power", a, b);
        default:
          return `${a} ${infix[operation]} ${b}`;
      }
    case "bool":
      switch (operation) {
        case "xor":
        case "bitXor":
          return `${a} != ${b}`;
        case "equal":
        case "and":
        case "bitAnd":
        case "or":
        case "bitOr":
          return `${a} ${infix[operation]} ${b}`;
        default:
          return `u32(${a}) ${infix[operation]} u32(${b})`;
      }
    case "vec2u":
      return pairBinaryOf(body, operation, dtype === "int64", a, b);
    case "i32":
      return wrap(integerResult(operation, dtype), integerBinary(body, operation, true, a, b));
    case "u32":
      return wrap(integerResult(operation, dtype), integerBinary(body, operation, false, a, b));
  }
}

function pairBinaryOf(body: WgslBody, operation: BinaryOperation, signed: boolean, a: Wgsl, b: Wgsl): Wgsl {
  const less = (left: Wgsl, right: Wgsl): Wgsl => body.call(signed ? "lessLong" : "lessUlong", left, right);
  switch (operation) {
    case "add":
      return body.call("addPair", a, b);
    case "subtract":
      return body.call("subtractPair", a, b);
    case "multiply":
      return body.call("multiplyPair", a, b);
    case "divide":
      return body.call(signed ? "divideLong" : "divideUlong", a, b);
    case "remainder":
      return body.call(signed ? "remainderLong" : "remainderUlong", a, b);
    case "modulo":
      return body.call(signed ? "moduloLong" : "remainderUlong", a, b);
    case "minimum":
      return `select(${b}, ${a}, ${less(a, b)})`;
    case "maximum":
      return `select(${b}, ${a}, ${less(b, a)})`;
    case "equal":
      return `all(${a} == ${b})`;
    case "less":
      return less(a, b);
    case "lessOrEqual":
      return `!${less(b, a)}`;
    case "greater":
      return less(b, a);
    case "greaterOrEqual":
      return `!${less(a, b)}`;
    case "shiftLeft":
      return body.call("shiftLeftPair", a, `${b}.x`);
    case "shiftRight":
      return body.call(signed ? "shiftRightLong" : "shiftRightUlong", a, `${b}.x`);
    default:
      return `${a} ${infix[operation]} ${b}`;
  }
}

const comparisons: ReadonlySet<BinaryOperation> = new Set<BinaryOperation>([
  "equal",
  "less",
  "lessOrEqual",
  "greater",
  "greaterOrEqual",
]);
const integerResult = (operation: BinaryOperation, dtype: DType): DType =>
  comparisons.has(operation) ? "bool" : dtype;

function integerBinary(body: WgslBody, operation: BinaryOperation, signed: boolean, a: Wgsl, b: Wgsl): Wgsl {
  switch (operation) {
    case "minimum":
      return `min(${a}, ${b})`;
    case "maximum":
      return `max(${a}, ${b})`;
    case "divide":
      return body.call(signed ? "divideInt" : "divideUint", a, b);
    case "remainder":
      return body.call(signed ? "remainderInt" : "remainderUint", a, b);
    case "modulo":
      return body.call(signed ? "moduloInt" : "remainderUint", a, b);
    case "shiftLeft":
      return `${a} << (u32(${b}) & 31u)`;
    case "shiftRight":
      return `${a} >> (u32(${b}) & 31u)`;
    default:
      return `${a} ${infix[operation]} ${b}`;
  }
}

function castOf(body: WgslBody, from: DType, to: DType, x: Wgsl): Wgsl {
  if (from === to) return x;
  const [source, target] = [wgslType(from), wgslType(to)];
  if (target === "bool") {
    if (source === "f32") return `(bitcast<u32>(${x}) & 0x7fffffffu) != 0u`;
    return source === "vec2u" ? `any(${x} != vec2u())` : `bool(${x})`;
  }
  if (target === "f32") {
    if (source === "f32") return x;
    if (source !== "vec2u") return `f32(${x})`;
    return from === "uint64" ? `f32(${x}.y) * 4294967296f + f32(${x}.x)` : body.call("floatOfPair", x);
  }
  if (target === "vec2u") {
    if (source === "vec2u") return x;
    if (source === "f32") return body.call(to === "int64" ? "longOfFloat" : "ulongOfFloat", x);
    return source === "i32" ? body.call("pairOfInt", x) : `vec2u(u32(${x}), 0u)`;
  }
  const convert = target === "i32" ? "i32" : "u32";
  if (source === "vec2u") return wrap(to, `${convert}(${x}.x)`);
  if (source !== "f32") return wrap(to, `${convert}(${x})`);
  if (to === "uint32") return body.call("uintOfFloat", x);
  return wrap(to, `${convert}(${body.call("intOfFloat", x)})`);
}
