/**
 * The seeded generator of the format: 32-bit linear congruential, x' = 1664525 x + 1013904223 mod 2^32
 * (Numerical Recipes), used by kernel probes and the self-test so that no inputs travel in a package.
 * Floats: (x' >>> 8) / 2^23 - 1, in [-1, 1). Integers and bools: the top bit, 0 or 1.
 */
import { type DType, isBigInteger, isFloat } from "./dtype.ts";
import type { TensorArray } from "./tensor.ts";

/** Fills `array` from `seed`; float16 and bfloat16 arrays get the bit pattern of 0 or 1. */
export function fillRandom(dtype: DType, array: TensorArray, seed: number): void {
  const one = dtype === "float16" ? 0x3c00 : dtype === "bfloat16" ? 0x3f80 : 1;
  const real = isFloat(dtype) && one === 1;
  const wide = isBigInteger(dtype);
  let state = seed >>> 0;
  for (let i = 0; i < array.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const value = real ? (state >>> 8) / 8388608 - 1 : (state >>> 31) * one;
    array[i] = (wide ? BigInt(value) : value) as never;
  }
}
