/** The relaxed dot gives the bits of the definition, whatever the values: integer products on wasm-relaxed. */
import { describe, expect, test } from "vitest";
import { wasmRelaxed } from "../../compiler/assemble/target.ts";
import { integerConvFamily } from "../../compiler/kernels/conv-i8/family.ts";
import { integerMatmulFamily } from "../../compiler/kernels/matmul-i8/family.ts";
import { missingFeature } from "../../runtime/engine/probe.ts";
import { integerConvCases } from "./integer-conv-cases.ts";
import { integerMatmulCases } from "./integer-matmul-cases.ts";
import { checkInteger } from "./integer-product.ts";

const why = missingFeature("wasm-relaxed");

describe.skipIf(why !== undefined)(`wasm-relaxed${why === undefined ? "" : ` (${why})`}`, () => {
  test.each(Object.entries(integerConvCases))("conv-i8: %s", (_, item) => {
    const accepting = integerConvFamily.variants.filter((variant) => integerConvFamily.accepts(variant, item.problem));
    expect(accepting.length).toBeGreaterThan(0);
    for (const variant of accepting) checkInteger(integerConvFamily, variant, item, wasmRelaxed);
  });

  test.each(Object.entries(integerMatmulCases))("matmul-i8: %s", (_, item) => {
    const accepting = integerMatmulFamily.variants.filter((variant) =>
      integerMatmulFamily.accepts(variant, item.problem),
    );
    expect(accepting.length).toBeGreaterThan(0);
    for (const variant of accepting) checkInteger(integerMatmulFamily, variant, item, wasmRelaxed);
  });
});
