/**
 * exp and its family on four float32 lanes. The argument is split as x = n ln 2 + r with |r| <= ln(2)/2
 * (Cody and Waite: ln 2 in two parts, so that n times the first is exact), e^r is a polynomial, 2^n is made of
 * exponent bits. Polynomials are minimax fits made for this project; the bound on each is its relative error.
 */

import type { Local } from "./expression.ts";
import { f32x4, i32x4 } from "./vector.ts";
import { choose, clamp, splat, splatBits, type Vector, type VectorCode, withSign } from "./vector-code.ts";

/** ln 2 in 16 bits, and the rest. */
const ln2High = 0.693145751953125;
const ln2Low = 1.428606765330187e-6;
/** Adding 1.5 * 2^23 rounds to an integer, which then stands in the low bits. */
const rounder = 12582912;
const one = 0x3f800000;

/** e^r on |r| <= 0.35: 3.4e-9. */
const exponential = [
  1, 1, 0.4999999403953552, 0.16666516661643982, 0.041668280959129333, 0.008369248360395432, 0.0013820742024108768,
];
/** e^-r on |r| <= 0.35: 9.8e-8. */
const decay = [
  1, -0.9999997019767761, 0.49999117851257324, -0.16667649149894714, 0.041902314871549606, -0.008290749974548817,
];

/** r, and n as exponent bits (n * 2^23). `sign` -1 splits -x instead, and gives -r. */
function reduce(code: VectorCode, x: Local<"v128">, sign: 1 | -1): { rest: Local<"v128">; exponent: Local<"v128"> } {
  const rounded = code.keep(code.multiplyAdd(x, splat(sign * Math.LOG2E), splat(rounder)));
  const n = code.keep(f32x4.sub(rounded, splat(rounder)));
  const first = code.keep(code.multiplyAdd(n, splat(-sign * ln2High), x));
  const rest = code.keep(code.multiplyAdd(n, splat(-sign * ln2Low), first));
  return { rest, exponent: code.keep(i32x4.shl(rounded, 23)) };
}

/** e^x / 2^halvings. 2^n is applied in two factors, so that results overflow to infinity and fade to zero. */
function scaledExponential(code: VectorCode, x: Vector, low: number, high: number, halvings: 0 | 1): Vector {
  const { rest, exponent } = reduce(code, code.keep(clamp(x, low, high)), 1);
  const half = code.keep(i32x4.shl(i32x4.shrS(exponent, 24), 23));
  const firstFactor = i32x4.add(half, splatBits(one));
  const secondFactor = i32x4.add(i32x4.sub(exponent, half), splatBits(one - halvings * 0x800000));
  return f32x4.mul(f32x4.mul(code.polynomial(rest, exponential), firstFactor), secondFactor);
}

export function exp(code: VectorCode, x: Vector): Vector {
  return scaledExponential(code, x, -104, 89, 0);
}

/** 1 / (1 + e^-x); below -88.3 it is 0. */
export function sigmoid(code: VectorCode, x: Vector): Vector {
  const { rest, exponent } = reduce(code, code.keep(clamp(x, -89, 87)), -1);
  const power = i32x4.add(exponent, splatBits(one));
  return f32x4.div(splat(1), code.multiplyAdd(code.polynomial(rest, decay), power, splat(1)));
}

/** Rational minimax x P(x²) / Q(x²) on |x| <= 9.02 (3.4e-8), where tanh rounds to 1. */
const tanhNumerator = [1, 0.13379716873168945, 0.0034940377809107304, 2.05834730877541e-5, 1.3319315428361733e-8];
const tanhDenominator = [1, 0.4671303331851959, 0.02587107941508293, 0.0003283095429651439, 7.762033078506647e-7];

export function tanh(code: VectorCode, x: Vector): Vector {
  return oddRational(code, x, 9.02, tanhNumerator, tanhDenominator);
}

/** (sinh(x)/x - 1) / x² in x² on |x| <= 1: 3.2e-10 of sinh. */
const sinhSmall = [0.1666666716337204, 0.008333311416208744, 0.00019842573965433985, 2.7847088404087117e-6];

export function sinh(code: VectorCode, x: Local<"v128">): Vector {
  const square = code.keep(f32x4.mul(x, x));
  const small = code.keep(code.multiplyAdd(f32x4.mul(x, square), code.polynomial(square, sinhSmall), x));
  const magnitude = code.keep(f32x4.abs(x));
  const half = code.keep(scaledExponential(code, magnitude, 0, 90, 1));
  const large = withSign(f32x4.sub(half, f32x4.div(splat(0.25), half)), x);
  return choose(f32x4.gt(magnitude, splat(1)), large, small);
}

export function cosh(code: VectorCode, x: Local<"v128">): Vector {
  const half = code.keep(scaledExponential(code, f32x4.abs(x), 0, 90, 1));
  return f32x4.add(half, f32x4.div(splat(0.25), half));
}

/** Rational minimax x P(x²) / Q(x²) of erf on |x| <= 3.9 (5.0e-8), where it rounds to 1. */
const erfNumerator = [
  1.1283791065216064, 0.1860097348690033, 0.05240185186266899, 0.0036454785149544477, 0.0002935827651526779,
  2.228998482678435e-6,
];
const erfDenominator = [
  1, 0.4981788694858551, 0.11250518262386322, 0.014714428223669529, 0.0011550539638847113, 4.0411960071651265e-5,
];

/** Gauss error function. */
export function erf(code: VectorCode, x: Vector): Vector {
  return oddRational(code, x, 3.92, erfNumerator, erfDenominator);
}

/** x P(x²) / Q(x²) within -1..1, with |x| bounded by `limit`. */
function oddRational(
  code: VectorCode,
  x: Vector,
  limit: number,
  numerator: readonly number[],
  denominator: readonly number[],
): Vector {
  const bounded = code.keep(clamp(x, -limit, limit));
  const square = code.keep(f32x4.mul(bounded, bounded));
  const product = f32x4.mul(bounded, code.polynomial(square, numerator));
  return clamp(f32x4.div(product, code.polynomial(square, denominator)), -1, 1);
}
