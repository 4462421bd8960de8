/** A host that compiles the relaxed dot wrongly, or not at all, is told from one that has it. */
import { setFlagsFromString } from "node:v8";
import { expect, test } from "vitest";
import { missingFeature } from "../../runtime/engine/probe.ts";

setFlagsFromString("--experimental-wasm-relaxed-simd");

test("the relaxed dot is probed by its answer", () => {
  // V8 11 (Node 20) has it only behind its flag, and computes it wrongly.
  const isWrong = Number.parseInt(process.versions.v8, 10) < 12;
  const why = missingFeature("wasm-relaxed");
  if (isWrong) expect(why).toContain("i32x4.relaxed_dot_i8x16_i7x16_add_s (relaxed SIMD) gives");
  else expect(why).toBeUndefined();
});
