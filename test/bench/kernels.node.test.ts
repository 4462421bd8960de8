import { expect, test } from "vitest";
import { leastNanoseconds, renderKernels, renderMatvec } from "../../bench/kernels.ts";
import { type KernelTime, measureKernels } from "../../bench/measure/kernel-bench.ts";
import { type KernelCase, kernelCases } from "../../bench/measure/kernel-cases.ts";
import { allFamilies, familyOf } from "../../compiler/kernels/families.ts";

const roof = { relaxedGflops: 60, simdGflops: 40, readGigabytes: 30, cachedReadGigabytes: 120, copyGigabytes: 20 };
const kernel = (changes: Partial<KernelTime>): KernelTime => ({
  family: "conv",
  variant: "6x8",
  target: "wasm-relaxed",
  label: "3x3",
  storage: "float32",
  nanoseconds: 100,
  ordinary: 100,
  flops: 3000,
  bytes: 1200,
  counts: { work: 2000 },
  problem: (kernelCases[0] as KernelCase).problem,
  outputs: 10,
  ...changes,
});

test("every variant of every family has a problem that it accepts", () => {
  for (const family of allFamilies) {
    const cases = kernelCases.filter(({ problem }) => problem.family === family.name);
    for (const variant of family.variants) {
      const accepted = cases.filter(({ problem }) => familyOf(problem).accepts(variant, problem));
      expect(accepted.length, `${family.name}/${variant.name}`).toBeGreaterThan(0);
    }
  }
});

test("kernels are bound, generated and run", () => {
  const { kernels, stepOverhead } = measureKernels(["norm"]);
  expect(kernels.map(({ family, variant, target }) => `${family} ${variant} ${target}`)).toContain(
    "norm rows wasm-simd",
  );
  for (const { nanoseconds, counts } of kernels) expect(nanoseconds * counts.work).toBeGreaterThan(0);
  expect(stepOverhead).toBeGreaterThan(0);
});

test("a kernel's least time is set by arithmetic or by memory", () => {
  expect(leastNanoseconds(kernel({}), roof)).toBe(50);
  expect(leastNanoseconds(kernel({ target: "wasm-simd" }), roof)).toBe(75);
  expect(leastNanoseconds(kernel({ flops: 60 }), roof)).toBe(10);
  expect(leastNanoseconds(kernel({ flops: 60, bytes: 3e6 }), roof)).toBe(1e5);
  expect(renderKernels({ kernels: [kernel({})], stepOverhead: 1, roof }, "node")).toMatch(/conv +6x8 .* 50 %$/m);
});

test("narrow weights stand beside float as ratios of medians", () => {
  const times = [
    { storage: "float32", least: 900, median: 1000 },
    { storage: "int4", least: 300, median: 400 },
  ] as const;
  expect(renderMatvec([{ target: "wasm-relaxed", rows: 1, inner: 64, columns: 32, times }])).toMatch(
    /^1x64x32 +wasm-relaxed +1\.00 µs +2\.50x$/m,
  );
});
