/**
 * Semantics of the scalar operations of runtime/format/expression.ts, for every dtype.
 * Floats: computed in float64, then rounded to the dtype. Integers: two's complement, wrapping around; division
 * truncates, by zero gives 0. Shift counts are taken modulo 32 (64 for 64-bit types); shiftRight of signed types keeps the sign.
 * Casts: float to integer truncates and saturates at the bounds of int32/uint32/int64/uint64 (narrower types then
 * keep the low bits of the int32), NaN gives 0; to bool is "differs from zero".
 */
import { type DType, isBigInteger, isFloat } from "../format/dtype.ts";
import type { BinaryOperation, UnaryOperation } from "../format/expression.ts";
import { bfloat16ToNumber, float16ToNumber, numberToBfloat16, numberToFloat16, roundHalfEven } from "../format/half.ts";
import type { Scalar } from "./element.ts";
import { erf, power, sigmoid, softplus } from "./special.ts";

/** Brings a number (bigint for 64-bit integers) into the range and precision of `dtype`. */
export function rounding(dtype: DType): (value: Scalar) => Scalar {
  switch (dtype) {
    case "float64":
      return (value) => value;
    case "float32":
      return (value) => Math.fround(value as number);
    case "float16":
      return (value) => float16ToNumber(numberToFloat16(value as number));
    case "bfloat16":
      return (value) => bfloat16ToNumber(numberToBfloat16(value as number));
    case "int8":
      return (value) => ((value as number) << 24) >> 24;
    case "uint8":
      return (value) => (value as number) & 0xff;
    case "int16":
      return (value) => ((value as number) << 16) >> 16;
    case "uint16":
      return (value) => (value as number) & 0xffff;
    case "int32":
      return (value) => (value as number) | 0;
    case "uint32":
      return (value) => (value as number) >>> 0;
    case "int64":
      return (value) => BigInt.asIntN(64, value as bigint);
    case "uint64":
      return (value) => BigInt.asUintN(64, value as bigint);
    case "bool":
      return (value) => (value ? 1 : 0);
  }
}

type NumberUnary = (value: number) => number;

/** Meaning on floats; `not` and `bitNot` do not exist there. */
const floatUnary: Readonly<Partial<Record<UnaryOperation, NumberUnary>>> = {
  negate: (x) => -x,
  abs: Math.abs,
  sign: Math.sign,
  reciprocal: (x) => 1 / x,
  sqrt: Math.sqrt,
  exp: Math.exp,
  log: Math.log,
  floor: Math.floor,
  ceil: Math.ceil,
  round: roundHalfEven,
  truncate: Math.trunc,
  sin: Math.sin,
  cos: Math.cos,
  tan: Math.tan,
  asin: Math.asin,
  acos: Math.acos,
  atan: Math.atan,
  sinh: Math.sinh,
  cosh: Math.cosh,
  tanh: Math.tanh,
  asinh: Math.asinh,
  acosh: Math.acosh,
  atanh: Math.atanh,
  erf,
  sigmoid,
  softplus,
  isNaN: (x) => (Number.isNaN(x) ? 1 : 0),
  isPositiveInfinity: (x) => (x === Infinity ? 1 : 0),
  isNegativeInfinity: (x) => (x === -Infinity ? 1 : 0),
};

const integerUnary: Readonly<Partial<Record<UnaryOperation, NumberUnary>>> = {
  negate: (x) => -x,
  abs: Math.abs,
  sign: Math.sign,
  bitNot: (x) => ~x,
  not: (x) => (x === 0 ? 1 : 0),
  isNaN: () => 0,
  isPositiveInfinity: () => 0,
  isNegativeInfinity: () => 0,
};

const bigUnary: Readonly<Partial<Record<UnaryOperation, (value: bigint) => Scalar>>> = {
  negate: (x) => -x,
  abs: (x) => (x < 0n ? -x : x),
  sign: (x) => (x > 0n ? 1n : x < 0n ? -1n : 0n),
  bitNot: (x) => ~x,
  isNaN: () => 0,
  isPositiveInfinity: () => 0,
  isNegativeInfinity: () => 0,
};

const comparisons: Readonly<Partial<Record<BinaryOperation, (left: Scalar, right: Scalar) => number>>> = {
  equal: (a, b) => (a === b ? 1 : 0),
  less: (a, b) => (a < b ? 1 : 0),
  lessOrEqual: (a, b) => (a <= b ? 1 : 0),
  greater: (a, b) => (a > b ? 1 : 0),
  greaterOrEqual: (a, b) => (a >= b ? 1 : 0),
};

type NumberBinary = (left: number, right: number) => number;

function floatModulo(left: number, right: number): number {
  const rest = left % right;
  return rest !== 0 && rest < 0 !== right < 0 ? rest + right : rest;
}

const floatBinary: Readonly<Partial<Record<BinaryOperation, NumberBinary>>> = {
  add: (a, b) => a + b,
  subtract: (a, b) => a - b,
  multiply: (a, b) => a * b,
  divide: (a, b) => a / b,
  modulo: floatModulo,
  remainder: (a, b) => a % b,
  minimum: Math.min,
  maximum: Math.max,
  power,
};

const integerBinary: Readonly<Partial<Record<BinaryOperation, NumberBinary>>> = {
  add: (a, b) => a + b,
  subtract: (a, b) => a - b,
  multiply: Math.imul,
  divide: (a, b) => (b === 0 ? 0 : Math.trunc(a / b)),
  modulo: (a, b) => (b === 0 ? 0 : floatModulo(a, b)),
  remainder: (a, b) => (b === 0 ? 0 : a % b),
  minimum: Math.min,
  maximum: Math.max,
  power: (a, b) => Number(BigInt.asIntN(64, integerPower(BigInt(a), BigInt(b)))),
  and: (a, b) => (a && b ? 1 : 0),
  or: (a, b) => (a || b ? 1 : 0),
  xor: (a, b) => (!a !== !b ? 1 : 0),
  bitAnd: (a, b) => a & b,
  bitOr: (a, b) => a | b,
  bitXor: (a, b) => a ^ b,
  shiftLeft: (a, b) => a << b,
  shiftRight: (a, b) => a >> b,
};

/** Power modulo 2^64; a negative exponent gives the truncated quotient (0 but for a base of 1 or -1). */
function integerPower(base: bigint, exponent: bigint): bigint {
  if (exponent < 0n) return base === 1n ? 1n : base === -1n ? (exponent % 2n === 0n ? 1n : -1n) : 0n;
  let result = 1n;
  let square = base;
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = BigInt.asIntN(64, result * square);
    square = BigInt.asIntN(64, square * square);
  }
  return result;
}

const bigBinary: Readonly<Partial<Record<BinaryOperation, (left: bigint, right: bigint) => bigint>>> = {
  add: (a, b) => a + b,
  subtract: (a, b) => a - b,
  multiply: (a, b) => a * b,
  divide: (a, b) => (b === 0n ? 0n : a / b),
  modulo: (a, b) => {
    if (b === 0n) return 0n;
    const rest = a % b;
    return rest !== 0n && rest < 0n !== b < 0n ? rest + b : rest;
  },
  remainder: (a, b) => (b === 0n ? 0n : a % b),
  minimum: (a, b) => {
    if (a < b) return a;
    return b;
  },
  maximum: (a, b) => {
    if (a > b) return a;
    return b;
  },
  power: integerPower,
  bitAnd: (a, b) => a & b,
  bitOr: (a, b) => a | b,
  bitXor: (a, b) => a ^ b,
  shiftLeft: (a, b) => a << (b & 63n),
  shiftRight: (a, b) => a >> (b & 63n),
};

const missing = (operation: string, dtype: DType): RangeError =>
  new RangeError(`${operation} is not defined for ${dtype}`);

/** Unary operation on `dtype`; tests give 0 or 1. Throws RangeError when the type does not have it. */
export function unaryFunction(operation: UnaryOperation, dtype: DType): (value: Scalar) => Scalar {
  const table = isFloat(dtype) ? floatUnary : isBigInteger(dtype) ? bigUnary : integerUnary;
  const meaning = table[operation] as ((value: Scalar) => Scalar) | undefined;
  if (!meaning) throw missing(operation, dtype);
  if (operation.startsWith("is")) return meaning;
  const round = rounding(dtype);
  return (value) => round(meaning(value));
}

/** Binary operation on two operands of `dtype`; comparisons give 0 or 1. Throws RangeError when the type does not have it. */
export function binaryFunction(operation: BinaryOperation, dtype: DType): (left: Scalar, right: Scalar) => Scalar {
  const comparison = comparisons[operation];
  if (comparison) return comparison;
  const unsignedShift: NumberBinary | undefined =
    dtype === "uint32" && operation === "shiftRight" ? (a, b) => a >>> b : undefined;
  const table = isFloat(dtype) ? floatBinary : isBigInteger(dtype) ? bigBinary : integerBinary;
  const meaning = (unsignedShift ?? table[operation]) as ((left: Scalar, right: Scalar) => Scalar) | undefined;
  if (!meaning) throw missing(operation, dtype);
  const round = rounding(dtype);
  return (left, right) => round(meaning(left, right));
}

/** A 64-bit integer as a number whose further rounding to a narrower float is that of the integer itself (round to odd). */
function oddNumber(value: bigint): number {
  if (value === BigInt.asIntN(53, value)) return Number(value);
  return Number((value >> 12n) | (value & 4095n ? 1n : 0n)) * 4096;
}

function saturate(value: number, low: number, high: number): number {
  return Number.isNaN(value) ? 0 : Math.min(Math.max(Math.trunc(value), low), high);
}

function saturateBig(value: number, low: bigint, high: bigint): bigint {
  if (Number.isNaN(value)) return 0n;
  if (value <= Number(low)) return low;
  return value >= Number(high) ? high : BigInt(Math.trunc(value));
}

/** Conversion of a scalar of type `from` to type `to`. */
export function castFunction(from: DType, to: DType): (value: Scalar) => Scalar {
  const round = rounding(to);
  if (from === to) return (value) => value;
  if (to === "bool") return (value) => (value ? 1 : Number.isNaN(value) ? 1 : 0);
  if (isBigInteger(from)) {
    if (isBigInteger(to)) return round;
    if (to === "float64") return (value) => Number(value);
    if (isFloat(to)) return (value) => round(oddNumber(value as bigint));
    return (value) => round(Number(BigInt.asIntN(32, value as bigint)));
  }
  if (isFloat(from) && !isFloat(to)) {
    if (to === "int64") return (value) => saturateBig(value as number, -(1n << 63n), (1n << 63n) - 1n);
    if (to === "uint64") return (value) => saturateBig(value as number, 0n, (1n << 64n) - 1n);
    if (to === "uint32") return (value) => saturate(value as number, 0, 4294967295);
    return (value) => round(saturate(value as number, -2147483648, 2147483647));
  }
  return isBigInteger(to) ? (value) => round(BigInt(value)) : round;
}
