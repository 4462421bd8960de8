/**
 * Trigonometric functions and their inverses on four float32 lanes. Arguments are reduced by multiples of π/2 in
 * float64, which is accurate to 1.1e-7 (absolute) up to |x| = 2^20; far beyond, results stay within [-1, 1] but mean
 * nothing. Polynomials are minimax fits made for this project.
 */
import type { Local } from "./expression.ts";
import { f64 } from "./scalar.ts";
import { f32x4, f64x2, i8x16, i32x4, v128 } from "./vector.ts";
import { choose, clamp, signBit, splat, type Vector, type VectorCode, withSign } from "./vector-code.ts";

/** Adding 1.5 * 2^23 rounds to an integer, which then stands in the low bits. */
const rounder = 12582912;
const halfPi = Math.fround(Math.PI / 2);
const halfPiRest = Math.PI / 2 - halfPi;

/** (sin(r)/r - 1) / r² in r² on |r| <= 0.9: 1.2e-8 of sin. */
const sineRest = [-0.16666638851165771, 0.008331290446221828, -0.0001941154623636976];
/** (cos(r) - 1 + r²/2) / r⁴ in r² on |r| <= 0.9: 5.1e-10 of cos. */
const cosineRest = [0.04166661947965622, -0.0013886187225580215, 2.4318833311554044e-5];

interface Reduced {
  /** sin and cos of r = x - q π/2, |r| at most π/4, or 0.9 for large x. */
  readonly sine: Local<"v128">;
  readonly cosine: Local<"v128">;
  /** q in the low bits. */
  readonly quadrant: Local<"v128">;
}

function upperHalf(x: Vector): Vector {
  return i8x16.shuffle(x, x, [8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15]);
}

function reduce(code: VectorCode, x: Local<"v128">): Reduced {
  const quadrant = code.keep(code.multiplyAdd(x, splat(2 / Math.PI), splat(rounder)));
  const n = code.keep(f32x4.sub(quadrant, splat(rounder)));
  const difference = (a: Vector, b: Vector): Vector =>
    f32x4.demoteF64x2Zero(
      f64x2.sub(f64x2.promoteLowF32x4(a), f64x2.mul(f64x2.promoteLowF32x4(b), f64x2.splat(f64.const(Math.PI / 2)))),
    );
  const lower = difference(x, n);
  const upper = difference(upperHalf(x), upperHalf(n));
  const both = i8x16.shuffle(lower, upper, [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23]);
  const r = code.keep(clamp(both, -0.9, 0.9));
  const square = code.keep(f32x4.mul(r, r));
  const sine = f32x4.mul(r, code.multiplyAdd(square, code.polynomial(square, sineRest), splat(1)));
  const fourth = f32x4.mul(square, square);
  const start = code.multiplyAdd(square, splat(-0.5), splat(1));
  const cosine = code.multiplyAdd(fourth, code.polynomial(square, cosineRest), start);
  return { sine: code.keep(sine), cosine: code.keep(cosine), quadrant };
}

/** All ones where q is odd. */
function odd(quadrant: Vector): Vector {
  return i32x4.shrS(i32x4.shl(quadrant, 31), 31);
}

/** The sign bit where bit 1 of q is set. */
function lowerHalfPlane(quadrant: Vector): Vector {
  return v128.and(i32x4.shl(quadrant, 30), signBit);
}

export function sin(code: VectorCode, x: Local<"v128">): Vector {
  const { sine, cosine, quadrant } = reduce(code, x);
  return v128.xor(choose(odd(quadrant), cosine, sine), lowerHalfPlane(quadrant));
}

export function cos(code: VectorCode, x: Local<"v128">): Vector {
  const { sine, cosine, quadrant } = reduce(code, x);
  const next = i32x4.sub(quadrant, i32x4.splat(-1));
  return v128.xor(choose(odd(quadrant), sine, cosine), lowerHalfPlane(next));
}

export function tan(code: VectorCode, x: Local<"v128">): Vector {
  const { sine, cosine, quadrant } = reduce(code, x);
  const swapped = code.keep(odd(quadrant));
  const quotient = f32x4.div(choose(swapped, cosine, sine), choose(swapped, sine, cosine));
  return v128.xor(quotient, v128.and(swapped, signBit));
}

/** (asin(z)/z - 1) / z² in z² on 0..0.5: 4.9e-9 of asin. */
const asinRest = [
  0.16666752099990845, 0.074953094124794, 0.04546914994716644, 0.024184778332710266, 0.042158305644989014,
];

interface ArcSine {
  /** asin of min(|x|, sqrt((1 - |x|) / 2)). */
  readonly angle: Local<"v128">;
  /** |x| > 0.5, where asin(|x|) is π/2 - 2 angle. */
  readonly outer: Local<"v128">;
}

function arcSine(code: VectorCode, magnitude: Local<"v128">): ArcSine {
  const outer = code.keep(f32x4.gt(magnitude, splat(0.5)));
  const halfComplement = f32x4.mul(f32x4.sub(splat(1), magnitude), splat(0.5));
  const square = code.keep(choose(outer, halfComplement, f32x4.mul(magnitude, magnitude)));
  const z = code.keep(choose(outer, f32x4.sqrt(square), magnitude));
  const angle = code.multiplyAdd(f32x4.mul(z, square), code.polynomial(square, asinRest), z);
  return { angle: code.keep(angle), outer };
}

/** π/2 - x, to the last bit. */
function complement(x: Vector): Vector {
  return f32x4.add(f32x4.sub(splat(halfPi), x), splat(halfPiRest));
}

/** NaN outside [-1, 1]. */
export function asin(code: VectorCode, x: Local<"v128">): Vector {
  const { angle, outer } = arcSine(code, code.keep(f32x4.abs(x)));
  return withSign(choose(outer, complement(f32x4.add(angle, angle)), angle), x);
}

/** NaN outside [-1, 1]. */
export function acos(code: VectorCode, x: Local<"v128">): Vector {
  const { angle, outer } = arcSine(code, code.keep(f32x4.abs(x)));
  const double = code.keep(f32x4.add(angle, angle));
  const obtuse = f32x4.add(f32x4.sub(splat(2 * halfPi), double), splat(2 * halfPiRest));
  const far = choose(f32x4.lt(x, splat(0)), obtuse, double);
  return choose(outer, far, complement(withSign(angle, x)));
}

/** (atan(z)/z - 1) / z² in z² on 0..1: 2.7e-9 of atan. */
const atanRest = [
  -0.33333298563957214, 0.1999853104352951, -0.14264051616191864, 0.10951174795627594, -0.08400474488735199,
  0.057906508445739746, -0.03112693317234516, 0.010887304320931435, -0.0017875299090519547,
];

export function atan(code: VectorCode, x: Local<"v128">): Vector {
  const magnitude = code.keep(f32x4.abs(x));
  const steep = code.keep(f32x4.gt(magnitude, splat(1)));
  const z = code.keep(f32x4.div(f32x4.pmin(magnitude, splat(1)), f32x4.pmax(magnitude, splat(1))));
  const square = code.keep(f32x4.mul(z, z));
  const angle = code.keep(code.multiplyAdd(f32x4.mul(z, square), code.polynomial(square, atanRest), z));
  return withSign(choose(steep, complement(angle), angle), x);
}
