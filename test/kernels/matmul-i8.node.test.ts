/** Integer matrix products against their definition, bit by bit: shapes, batches, epilogues, split ranges, extreme values. */
import { describe, expect, test } from "vitest";
import { wasmSimd } from "../../compiler/assemble/target.ts";
import { integerMatmulFamily } from "../../compiler/kernels/matmul-i8/family.ts";
import { integerMatmulCases } from "./integer-matmul-cases.ts";
import { checkInteger } from "./integer-product.ts";

describe.each(integerMatmulFamily.variants.map((variant) => ({ variant, name: variant.name })))(
  "$name",
  ({ variant }) => {
    const accepted = Object.entries(integerMatmulCases).filter(([, { problem }]) =>
      integerMatmulFamily.accepts(variant, problem),
    );
    test.each(accepted)("%s", (_, item) => checkInteger(integerMatmulFamily, variant, item, wasmSimd));
  },
);

test("every variant accepts some product", () => {
  for (const variant of integerMatmulFamily.variants)
    expect(Object.values(integerMatmulCases).some(({ problem }) => integerMatmulFamily.accepts(variant, problem))).toBe(
      true,
    );
});
