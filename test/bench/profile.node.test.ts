/** Device profiles: rates out of measured kernels, and a profile that the compiler reads again. */
import { expect, test } from "vitest";
import type { KernelTime, ProfileTimes } from "../../bench/measure/kernel-bench.ts";
import { profileCases } from "../../bench/measure/profile-cases.ts";
import { costTableOf } from "../../bench/profile.ts";
import { costOf } from "../../compiler/kernels/cost-table.ts";
import { allFamilies, familyOf } from "../../compiler/kernels/families.ts";

const kernel = (changes: Partial<KernelTime>): KernelTime => ({
  family: "conv",
  variant: "6x8",
  target: "wasm-relaxed",
  label: "3x3",
  storage: "float32",
  nanoseconds: 104,
  flops: 3000,
  bytes: 1200,
  work: 2000,
  ...changes,
});

const times = (kernels: readonly KernelTime[]): ProfileTimes => ({
  target: "wasm-relaxed",
  kernels,
  stepOverhead: 4,
  runOverhead: 3000,
  elementwise: { vector: 0.1, scalar: 0.5, copy: 0.08, operations: { add: 0.05, exp: 1.5 } },
  bandwidth: [{ footprint: 1e6, rate: 90 }],
});

test("rates that hardly differ are one, others follow the work; storages have their own", () => {
  const { rates, stepOverhead } = costTableOf(
    times([
      kernel({}),
      kernel({ work: 4000, nanoseconds: 204 }),
      kernel({ storage: "int8", work: 1000, nanoseconds: 104 }),
      kernel({ family: "reduce", variant: "rows", storage: undefined, work: 100, nanoseconds: 104 }),
      kernel({ family: "reduce", variant: "rows", storage: undefined, work: 10_000, nanoseconds: 1004 }),
    ]),
    "host",
  );
  expect(stepOverhead).toBe(4);
  expect(rates).toEqual({
    "conv/6x8": 20,
    "conv/6x8 int8": 10,
    "reduce/rows": [
      { work: 100, rate: 1 },
      { work: 10_000, rate: 10 },
    ],
  });
  expect(costOf(costTableOf(times([kernel({})]), "host"), "conv", "6x8", 2000)).toBe(104);
});

test("every variant of every family is measured", () => {
  for (const family of allFamilies) {
    const cases = profileCases.filter(({ problem }) => problem.family === family.name);
    for (const variant of family.variants) {
      const accepted = cases.filter(({ problem }) => familyOf(problem).accepts(variant, problem));
      expect(accepted.length, `${family.name}/${variant.name}`).toBeGreaterThan(0);
    }
  }
});
