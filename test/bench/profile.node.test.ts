/** Device profiles: rates out of measured kernels, and a profile that the compiler reads again. */
import { expect, test } from "vitest";
import type { KernelTime, ProfileTimes } from "../../bench/measure/kernel-bench.ts";
import type { KernelCase } from "../../bench/measure/kernel-cases.ts";
import { profileCases } from "../../bench/measure/profile-cases.ts";
import { nameOf, portModels } from "../../bench/measure/run-costs.ts";
import { syntheticModels } from "../../bench/port-models.ts";
import { costTableOf } from "../../bench/profile.ts";
import { bytesSource, compile, parseDeviceProfile } from "../../compiler/compile.ts";
import { costOf } from "../../compiler/kernels/cost-table.ts";
import { allFamilies, familyOf } from "../../compiler/kernels/families.ts";
import { defaultProfile } from "../../compiler/plan/default-profile.ts";

const problem = (profileCases[0] as KernelCase).problem;

/** A kernel of so much work and so many tiles that takes `nanoseconds`. */
const kernel = (work: number, tiles: number, nanoseconds: number, changes: Partial<KernelTime> = {}): KernelTime => ({
  family: "conv",
  variant: "6x8",
  target: "wasm-relaxed",
  label: "3x3",
  storage: "float32",
  nanoseconds,
  ordinary: nanoseconds,
  flops: 3000,
  bytes: 0,
  counts: { work, tiles },
  problem,
  outputs: 10,
  ...changes,
});

/** 4 ns of entering, 0.05 of a unit of work, 3 of a tile. */
const timed = (work: number, tiles: number, factor = 1, changes: Partial<KernelTime> = {}): KernelTime =>
  kernel(work, tiles, 4 + factor * (0.05 * work + 3 * tiles), changes);

const costs = { point: 0.1, row: 1 };
const times = (kernels: readonly KernelTime[]): ProfileTimes => ({
  target: "wasm-relaxed",
  kernels,
  stepOverhead: 4,
  run: {
    fixed: 3000,
    input: [{ bytes: 4, nanoseconds: 1000 }],
    output: [{ bytes: 4, nanoseconds: 500 }],
    slice: { every: 5e6, nanoseconds: 40_000 },
  },
  elementwise: {
    forms: { vector: costs, scalar: costs, copy: costs, transpose: costs, fill: costs },
    operations: { add: 0.05, exp: 1.5 },
  },
  epilogue: { inline: 0, pass: 0, operations: {}, integer: {} },
  bandwidth: [{ footprint: 1e6, rate: 90 }],
});

const shapes = [
  [1000, 10],
  [2000, 200],
  [5000, 100],
  [100_000, 1000],
  [300_000, 90_000],
] as const;

test("work and overheads have prices that predict other problems, whatever one disturbed kernel says", () => {
  const disturbed = timed(7000, 70, 3);
  const table = costTableOf(times([...shapes.map(([work, tiles]) => timed(work, tiles)), disturbed]), "host");
  expect(table.stepOverhead).toBe(4);
  for (const [work, tiles] of [
    [4000, 10],
    [50_000, 2000],
  ] as const)
    expect(costOf(table, "conv", "6x8", { work, tiles })).toBeCloseTo(4 + 0.05 * work + 3 * tiles, -2);
});

test("weights stored otherwise are slower by one factor", () => {
  const floats = shapes.map(([work, tiles]) => timed(work, tiles));
  const bytes = shapes.slice(0, 2).map(([work, tiles]) => timed(work, tiles, 1.5, { storage: "int8" }));
  const table = costTableOf(times([...floats, ...bytes]), "host");
  const counts = { work: 50_000, tiles: 2000 };
  expect((costOf(table, "conv", "6x8", counts, "int8") ?? 0) - 4).toBeCloseTo(1.5 * (0.05 * 50_000 + 3 * 2000), -2);
  expect(costOf(table, "conv", "6x8", counts, "float16")).toBe(costOf(table, "conv", "6x8", counts));
});

test("ordinary calls count, not the best ones", () => {
  const unrest = shapes.map(([work, tiles]) => {
    const best = timed(work, tiles);
    return { ...best, ordinary: best.nanoseconds * 1.1 };
  });
  const table = costTableOf(times(unrest), "host");
  expect((costOf(table, "conv", "6x8", { work: 100_000, tiles: 1000 }) ?? 0) / 8004).toBeCloseTo(1.1, 2);
});

test("a measured profile is one that the compiler reads", () => {
  const table = costTableOf(times(shapes.map(([work, tiles]) => timed(work, tiles))), "host");
  const profile = { ...defaultProfile, costs: { "wasm-relaxed": table } };
  expect(parseDeviceProfile(JSON.stringify(profile), "device.json")).toEqual(profile);
});

test("the synthetic models compile", async () => {
  for (const [name, bytes] of syntheticModels()) {
    const { manifest } = await compile(bytesSource(`${name}.onnx`, bytes));
    const model = portModels.find((item) => nameOf(item) === name);
    expect(manifest.inputs).toHaveLength(model?.ports ?? 1);
    expect(manifest.outputs).toHaveLength(model?.copies ? model.ports : 1);
  }
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
