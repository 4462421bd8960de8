/** Integer convolutions against their definition, bit by bit: shapes, types, views, epilogues, split ranges, extreme values. */
import { describe, expect, test } from "vitest";
import { wasmSimd } from "../../compiler/assemble/target.ts";
import { integerConvFamily } from "../../compiler/kernels/conv-i8/family.ts";
import { integerConvCases } from "./integer-conv-cases.ts";
import { checkInteger } from "./integer-product.ts";

describe.each(integerConvFamily.variants.map((variant) => ({ variant, name: variant.name })))(
  "$name",
  ({ variant }) => {
    const accepted = Object.entries(integerConvCases).filter(([, { problem }]) =>
      integerConvFamily.accepts(variant, problem),
    );
    test.each(accepted)("%s", (_, item) => checkInteger(integerConvFamily, variant, item, wasmSimd));
  },
);

test("every variant accepts some convolution", () => {
  for (const variant of integerConvFamily.variants)
    expect(Object.values(integerConvCases).some(({ problem }) => integerConvFamily.accepts(variant, problem))).toBe(
      true,
    );
});
