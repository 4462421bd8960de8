/**
 * pow, fmod and floored modulo on four float32 lanes, computed in float64 two lanes at a time: a float32 power
 * needs its logarithm to 2^-32, and a float32 remainder is exact in float64. Polynomials are minimax fits made for
 * this project. Special cases are those of IEEE 754-2019 (pow(1, NaN) = pow(NaN, 0) = pow(-1, ±Infinity) = 1).
 */
import type { Local } from "./expression.ts";
import { f64, i32, i64 } from "./scalar.ts";
import { f32x4, f64x2, i8x16, i32x4, i64x2, v128 } from "./vector.ts";
import { choose, signBit, splat, splatBits, type Vector, type VectorCode, withSign } from "./vector-code.ts";

const twoThirds = 0x3f2aaaab;

const splat64 = (value: number): Vector => f64x2.splat(f64.const(value));
const upperHalf = (x: Vector): Vector =>
  i8x16.shuffle(x, x, [8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15]);
const joinHalves = (lower: Vector, upper: Vector): Vector =>
  i8x16.shuffle(lower, upper, [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23]);

function polynomial64(x: Local<"v128">, coefficients: readonly number[]): Vector {
  return coefficients.map(splat64).reduceRight((sum, coefficient) => f64x2.add(f64x2.mul(sum, x), coefficient));
}

/** log2((1 + s)/(1 - s)) / s in s² on |s| <= 0.2: 2^-42. */
const log2Series = [
  2.885390081777429, 0.9617966948198421, 0.5770777568302361, 0.41222607703650893, 0.31928808578629714,
  0.29079780728302307,
];
/** 2^r on |r| <= 0.5: 2^-29. */
const exp2Series = [
  1.0000000005541672, 0.6931472057372582, 0.2402264689061755, 0.055503287769771564, 0.009618488958928232,
  0.0013399931215128127, 0.00015345811516941852,
];
/** Adding 1.5 * 2^52 rounds to an integer, which then stands in the low bits. */
const rounder = 1.5 * 2 ** 52;

/** (2^k m)^y for the two lower lanes; k may be infinite or NaN. */
function powerOfHalf(code: VectorCode, m: Vector, k: Vector, y: Vector): Vector {
  const mantissa = code.keep(f64x2.promoteLowF32x4(m));
  const s = code.keep(f64x2.div(f64x2.sub(mantissa, splat64(1)), f64x2.add(mantissa, splat64(1))));
  const square = code.keep(f64x2.mul(s, s));
  const logarithm = f64x2.add(f64x2.promoteLowF32x4(k), f64x2.mul(s, polynomial64(square, log2Series)));
  const product = f64x2.mul(logarithm, f64x2.promoteLowF32x4(y));
  const exponent = code.keep(f64x2.pmax(f64x2.pmin(product, splat64(200)), splat64(-200)));
  const rounded = code.keep(f64x2.add(exponent, splat64(rounder)));
  const rest = code.keep(f64x2.sub(exponent, f64x2.sub(rounded, splat64(rounder))));
  const scale = i64x2.add(i64x2.shl(rounded, 52), i64x2.splat(i64.const(0x3ff0000000000000n)));
  return f32x4.demoteF64x2Zero(f64x2.mul(polynomial64(rest, exp2Series), scale));
}

export function power(code: VectorCode, x: Local<"v128">, y: Local<"v128">): Vector {
  const magnitude = code.keep(f32x4.abs(x));
  const subnormal = code.keep(f32x4.lt(magnitude, splat(2 ** -126)));
  const normal = code.keep(choose(subnormal, f32x4.mul(magnitude, splat(2 ** 23)), magnitude));
  const exponent = code.keep(i32x4.shrS(i32x4.sub(normal, splatBits(twoThirds)), 23));
  const m = code.keep(i32x4.sub(normal, i32x4.shl(exponent, 23)));
  const finite = f32x4.sub(f32x4.convertI32x4S(exponent), v128.and(subnormal, splat(23)));
  const infiniteOrNot = choose(f32x4.lt(magnitude, splat(Infinity)), finite, magnitude);
  const k = code.keep(choose(f32x4.eq(magnitude, splat(0)), splat(-Infinity), infiniteOrNot));
  const lower = code.keep(powerOfHalf(code, m, k, y));
  const upper = powerOfHalf(code, upperHalf(m), upperHalf(k), upperHalf(y));
  // 0 * Infinity above: |x| = 1 with infinite y.
  const ofOne = v128.and(f32x4.eq(magnitude, splat(1)), f32x4.eq(y, y));
  const positive = choose(ofOne, splat(1), joinHalves(lower, upper));

  const half = code.keep(f32x4.mul(y, splat(0.5)));
  const integer = code.keep(f32x4.eq(f32x4.trunc(y), y));
  const odd = v128.and(integer, f32x4.ne(f32x4.trunc(half), half));
  const signed = v128.xor(positive, v128.and(v128.and(x, signBit), odd));
  const negative = v128.and(f32x4.lt(x, splat(0)), f32x4.gt(x, splat(-Infinity)));
  const undefinedPower = v128.andnot(negative, integer);
  const always = v128.or(f32x4.eq(x, splat(1)), f32x4.eq(y, splat(0)));
  return choose(always, splat(1), v128.or(signed, undefinedPower));
}

/** x - y trunc(x / y) for the two lower lanes, exact: quotients are taken 29 bits at a time. */
function remainderOfHalf(code: VectorCode, x: Vector, y: Vector): Vector {
  const { body } = code;
  const dividend = code.keep(f64x2.promoteLowF32x4(x));
  const divisor = code.keep(f64x2.promoteLowF32x4(y));
  const size = code.keep(f64x2.abs(divisor));
  const rest = body.local("v128", dividend);
  body.block((done) => {
    body.loop((again) => {
      const open = code.keep(f64x2.ge(f64x2.abs(rest), size));
      const quotient = v128.and(f64x2.trunc(f64x2.div(rest, divisor)), i64x2.splat(i64.const(-(1n << 24n))));
      body.branchIf(done, i32.eqz(v128.anyTrue(open)));
      body.set(rest, choose(open, f64x2.sub(rest, f64x2.mul(quotient, divisor)), rest));
      body.branch(again);
    });
  });
  // A quotient rounded up to the next integer leaves a rest of the wrong sign.
  const overshot = f64x2.lt(f64x2.mul(rest, dividend), splat64(0));
  const correction = v128.or(size, v128.and(dividend, splat64(-0)));
  return f32x4.demoteF64x2Zero(f64x2.add(rest, v128.and(correction, overshot)));
}

/** The remainder of truncated division, exact; it has the sign of x. NaN for y = 0 and infinite x. */
export function remainder(code: VectorCode, x: Local<"v128">, y: Local<"v128">): Vector {
  const lower = code.keep(remainderOfHalf(code, x, y));
  const upper = remainderOfHalf(code, upperHalf(x), upperHalf(y));
  const result = withSign(f32x4.abs(joinHalves(lower, upper)), x);
  return v128.or(result, f32x4.ne(y, y));
}

/** The remainder of floored division; it has the sign of y. */
export function modulo(code: VectorCode, x: Local<"v128">, y: Local<"v128">): Vector {
  const rest = code.keep(code.functions.binary("remainder", remainder, x, y));
  const differs = v128.xor(f32x4.lt(rest, splat(0)), f32x4.lt(y, splat(0)));
  const wraps = v128.and(differs, f32x4.ne(rest, splat(0)));
  return choose(wraps, f32x4.add(rest, y), rest);
}
