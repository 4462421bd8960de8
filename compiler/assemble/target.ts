/** What a WebAssembly target can do, as data, and the few operations that differ between targets. */
import type { Expression } from "./expression.ts";
import { f32x4 } from "./vector.ts";

export interface WasmTarget {
  readonly name: "wasm-simd" | "wasm-relaxed";
  /** f32x4.relaxed_madd exists (fused or not: results may differ between hosts). */
  readonly relaxedMadd: boolean;
  /** i32x4.relaxed_dot_i8x16_i7x16_add_s exists. */
  readonly relaxedDot: boolean;
}

export const wasmSimd: WasmTarget = { name: "wasm-simd", relaxedMadd: false, relaxedDot: false };
export const wasmRelaxed: WasmTarget = { name: "wasm-relaxed", relaxedMadd: true, relaxedDot: true };

/** `a * b + c` per f32 lane: one relaxed instruction, or a product rounded before the sum. */
export function multiplyAdd(
  target: WasmTarget,
  a: Expression<"v128">,
  b: Expression<"v128">,
  c: Expression<"v128">,
): Expression<"v128"> {
  return target.relaxedMadd ? f32x4.relaxedMadd(a, b, c) : f32x4.add(f32x4.mul(a, b), c);
}
