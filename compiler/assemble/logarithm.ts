/**
 * Logarithms and what follows from them, on four float32 lanes. x = 2^k (1 + f) with 1 + f in 2/3..4/3, and
 * ln(1 + f) = f - f²/2 + f³ P(f) with P a minimax fit made for this project.
 */

import { exp } from "./exponential.ts";
import type { Local } from "./expression.ts";
import { f32x4, i32x4, v128 } from "./vector.ts";
import { choose, splat, splatBits, type Vector, type VectorCode, withSign } from "./vector-code.ts";

const ln2 = Math.LN2;
/** ln 2 in 16 bits, and the rest. */
const ln2High = 0.693145751953125;
const ln2Low = 1.428606765330187e-6;
const twoThirds = 0x3f2aaaab;
/** Above this asinh(x) and acosh(x) are ln(x) + ln(2) to the last bit. */
const huge = 2 ** 30;

/** P on -1/3..1/3: 4.7e-9 of the logarithm. */
const rest = [
  0.3333321511745453, -0.2499980479478836, 0.20010438561439514, -0.1668020784854889, 0.14005474746227264,
  -0.12187749892473221, 0.13985975086688995, -0.1287769079208374,
];

/** ln(2^k (1 + f)), k as float32. */
function logarithmOf(code: VectorCode, f: Local<"v128">, k: Local<"v128">): Vector {
  const square = code.keep(f32x4.mul(f, f));
  const tail = code.multiplyAdd(f32x4.mul(square, f), code.polynomial(f, rest), f32x4.mul(k, splat(ln2Low)));
  const small = code.keep(code.multiplyAdd(square, splat(-0.5), tail));
  return f32x4.add(code.multiplyAdd(k, splat(ln2High), f), small);
}

/** k as an integer such that x / 2^k is in 2/3..4/3, for positive normal x. */
function binaryExponent(x: Vector): Vector {
  return i32x4.shrS(i32x4.sub(x, splatBits(twoThirds)), 23);
}

/** The result where x is positive and finite; -Infinity at 0, NaN below, x itself at infinity and NaN. */
function withSpecialCases(code: VectorCode, x: Local<"v128">, atInfinity: Vector, result: Vector): Vector {
  const kept = code.keep(result);
  const nanBelowZero = v128.or(atInfinity, f32x4.lt(x, splat(0)));
  const special = choose(f32x4.eq(x, splat(0)), splat(-Infinity), nanBelowZero);
  return choose(v128.and(f32x4.gt(x, splat(0)), f32x4.lt(x, splat(Infinity))), kept, special);
}

export function log(code: VectorCode, x: Local<"v128">): Vector {
  const subnormal = code.keep(f32x4.lt(x, splat(2 ** -126)));
  const normal = code.keep(choose(subnormal, f32x4.mul(x, splat(2 ** 23)), x));
  const exponent = code.keep(binaryExponent(normal));
  const f = code.keep(f32x4.sub(i32x4.sub(normal, i32x4.shl(exponent, 23)), splat(1)));
  const k = f32x4.sub(f32x4.convertI32x4S(exponent), v128.and(subnormal, splat(23)));
  return withSpecialCases(code, x, x, logarithmOf(code, f, code.keep(k)));
}

/** ln(1 + x), accurate near 0: what rounding 1 + x lost is added to f. */
export function log1p(code: VectorCode, x: Local<"v128">): Vector {
  const sum = code.keep(f32x4.add(x, splat(1)));
  const exponent = code.keep(binaryExponent(sum));
  const lost = f32x4.sub(x, f32x4.sub(sum, splat(1)));
  // 2^-k; above 2^100 nothing that was lost matters.
  const scale = i32x4.sub(splat(1), i32x4.shl(i32x4.minS(exponent, splatBits(100)), 23));
  const mantissa = f32x4.sub(i32x4.sub(sum, i32x4.shl(exponent, 23)), splat(1));
  const f = code.keep(code.multiplyAdd(lost, scale, mantissa));
  const k = code.keep(f32x4.convertI32x4S(exponent));
  const result = withSpecialCases(code, sum, x, logarithmOf(code, f, k));
  return choose(f32x4.eq(x, splat(0)), x, result);
}

/** ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|). */
export function softplus(code: VectorCode, x: Local<"v128">): Vector {
  const decay = code.functions.unary("exp", exp, f32x4.neg(f32x4.abs(x)));
  return f32x4.add(f32x4.pmax(x, splat(0)), code.functions.unary("log1p", log1p, decay));
}

/** ln(1 + y), or ln(y) + ln(2) in the lanes of `isHuge`. */
function logarithmPlus(code: VectorCode, y: Vector, isHuge: Vector): Vector {
  return f32x4.add(code.functions.unary("log1p", log1p, y), v128.and(isHuge, splat(ln2)));
}

export function asinh(code: VectorCode, x: Local<"v128">): Vector {
  const magnitude = code.keep(f32x4.abs(x));
  const square = code.keep(f32x4.mul(magnitude, magnitude));
  const root = f32x4.sqrt(f32x4.add(square, splat(1)));
  const y = f32x4.add(magnitude, f32x4.div(square, f32x4.add(root, splat(1))));
  const isHuge = code.keep(f32x4.gt(magnitude, splat(huge)));
  return withSign(logarithmPlus(code, choose(isHuge, magnitude, y), isHuge), x);
}

/** NaN below 1, by the square root of x - 1. */
export function acosh(code: VectorCode, x: Local<"v128">): Vector {
  const excess = code.keep(f32x4.sub(x, splat(1)));
  const root = f32x4.mul(f32x4.sqrt(excess), f32x4.sqrt(f32x4.add(x, splat(1))));
  const isHuge = code.keep(f32x4.gt(x, splat(huge)));
  return logarithmPlus(code, choose(isHuge, x, f32x4.add(excess, root)), isHuge);
}

/** NaN above 1, by the logarithm of a negative number. */
export function atanh(code: VectorCode, x: Local<"v128">): Vector {
  const magnitude = code.keep(f32x4.abs(x));
  const ratio = f32x4.div(f32x4.add(magnitude, magnitude), f32x4.sub(splat(1), magnitude));
  return withSign(f32x4.mul(code.functions.unary("log1p", log1p, ratio), splat(0.5)), x);
}
