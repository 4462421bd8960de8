/**
 * Conversion between float16 and float32 as vector code: four lanes, the half in the low 16 bits of an i32
 * lane. Exact one way, rounded to nearest even the other; subnormals, infinities and NaN included.
 */
import type { Local } from "./expression.ts";
import { f32x4, i32x4, v128 } from "./vector.ts";
import { choose, signBit, splat, splatBits, type Vector, type VectorCode } from "./vector-code.ts";

/** The bits above the low 16 are ignored. */
export function halfToFloat(code: VectorCode, half: Local<"v128">): Vector {
  const magnitude = code.keep(i32x4.shrU(i32x4.shl(half, 17), 4));
  const rebiased = i32x4.add(magnitude, splatBits(112 << 23));
  const infiniteExponent = v128.and(i32x4.gtS(magnitude, splatBits(0x0f7fffff)), splatBits(0x7f800000));
  // A subnormal half is 2^-14 (1 + mantissa) - 2^-14. (Scaling it as a subnormal float32 would take one
  // operation instead of three, but a hundred cycles on x86.)
  const subnormal = f32x4.sub(i32x4.add(magnitude, splatBits(113 << 23)), splat(2 ** -14));
  const isSubnormal = i32x4.ltS(magnitude, splatBits(1 << 23));
  const value = v128.or(choose(isSubnormal, subnormal, rebiased), infiniteExponent);
  return v128.or(value, v128.and(i32x4.shl(half, 16), signBit));
}

/** The high 16 bits of each lane are zero. */
export function floatToHalf(code: VectorCode, x: Local<"v128">): Vector {
  const sign = v128.and(x, signBit);
  const magnitude = code.keep(v128.andnot(x, signBit));
  // 65536 and above: infinity, or a quiet NaN.
  const nan = i32x4.gtS(magnitude, splatBits(0x7f800000));
  const special = v128.or(splatBits(0x7c00), v128.and(nan, splatBits(0x200)));
  // Below 2^-14: adding 0.5 rounds at the last place of a subnormal half and leaves it in the low bits.
  const subnormal = i32x4.sub(f32x4.add(magnitude, splat(0.5)), splat(0.5));
  // Else: rebias the exponent, round half to even by hand; a carry out of the mantissa is right.
  const odd = v128.and(i32x4.shrU(magnitude, 13), splatBits(1));
  const rebias = splatBits((-112 << 23) + 0xfff);
  const normal = i32x4.shrU(i32x4.add(i32x4.add(magnitude, rebias), odd), 13);
  const finite = choose(i32x4.ltS(magnitude, splatBits(113 << 23)), subnormal, normal);
  const result = choose(i32x4.gtS(magnitude, splatBits((143 << 23) - 1)), special, finite);
  return v128.or(result, i32x4.shrU(sign, 16));
}
