import { expect, test } from "vitest";
import { type DeviceProfile, parseDeviceProfile } from "../../compiler/budget/device-profile.ts";
import { energyOf, publishedEnergy } from "../../compiler/budget/energy.ts";
import { bandwidthAt, costOf, elementwiseNanoseconds, runNanoseconds } from "../../compiler/kernels/cost-table.ts";
import { defaultProfile } from "../../compiler/plan/default-profile.ts";
import { LeafcutterError } from "../../runtime/format/diagnostic.ts";
import { binary, input, unary } from "../../runtime/format/expression.ts";

const parse = (profile: unknown): DeviceProfile => parseDeviceProfile(JSON.stringify(profile), "device.json");

test("the built-in profile is one, and comes back as it was written", () => {
  expect(parse(defaultProfile)).toEqual(defaultProfile);
});

test("what is wrong with a profile is said by its place", () => {
  const { energy } = defaultProfile;
  const costs = defaultProfile.costs["wasm-relaxed"];
  const wrong: readonly (readonly [unknown, RegExp])[] = [
    [{ ...defaultProfile, format: "leafcutter-device/7" }, /leafcutter-device\/1.*leafcutter-device\/7/],
    [costs, /this is a cost table, not a device profile/],
    [{ ...defaultProfile, costs: {} }, /no module of WebAssembly/],
    [{ ...defaultProfile, costs: { "wasm-simd": { ...costs, stepOverhead: -1 } } }, /wasm-simd\.stepOverhead/],
    [{ ...defaultProfile, costs: { "wasm-simd": { ...costs, rates: { "conv/6x8": 0 } } } }, /rates\.conv\/6x8/],
    [
      {
        ...defaultProfile,
        costs: {
          "wasm-simd": {
            ...costs,
            bandwidth: [
              { footprint: 9, rate: 1 },
              { footprint: 8, rate: 1 },
            ],
          },
        },
      },
      /bandwidth\[1\]\.footprint/,
    ],
    [{ ...defaultProfile, energy: { ...energy, tier: "D" } }, /energy\.tier/],
    [{ ...defaultProfile, energy: { ...energy, band: 0.5 } }, /energy\.band/],
    [{ ...defaultProfile, energy: { ...energy, operations: { float32: 1 } } }, /energy\.operations\.int8/],
    [{ ...defaultProfile, host: { cpu: "x" } }, /host\.engine/],
  ];
  for (const [profile, message] of wrong) {
    expect(() => parse(profile)).toThrow(message);
    try {
      parse(profile);
    } catch (error) {
      expect((error as LeafcutterError).code).toBe("profile-invalid");
    }
  }
  expect(() => parseDeviceProfile("no json", "device.json")).toThrow(LeafcutterError);
});

test("rates and prices by storage, bandwidth between footprints", () => {
  const table = {
    host: "",
    stepOverhead: 10,
    rates: { "matmul/6x8": 20, "matmul/6x8 int8": { work: 0.1, tiles: 2 } },
    bandwidth: [
      { footprint: 1000, rate: 50 },
      { footprint: 1e5, rate: 10 },
    ],
  };
  const counts = { work: 200, tiles: 3, pages: 7 };
  expect(costOf(table, "matmul", "6x8", counts)).toBe(20);
  expect(costOf(table, "matmul", "6x8", counts, "float16")).toBe(20);
  expect(costOf(table, "matmul", "6x8", counts, "int8")).toBeCloseTo(10 + 20 + 6, 9);
  expect(costOf(table, "matmul", "4x8", counts)).toBeUndefined();
  expect([500, 1e9].map((footprint) => bandwidthAt(table, footprint))).toEqual([50, 10]);
  expect(bandwidthAt(table, 1e4)).toBeCloseTo(1 / ((1 / 50 + 1 / 10) / 2), 9);
});

test("a run costs its ports and its slices", () => {
  const run = {
    fixed: 100,
    input: [
      { bytes: 4, nanoseconds: 10 },
      { bytes: 1004, nanoseconds: 60 },
    ],
    output: [{ bytes: 4, nanoseconds: 5 }],
    slice: { every: 1000, nanoseconds: 7 },
  };
  const table = { host: "", stepOverhead: 0, rates: {}, run };
  expect(runNanoseconds(table, [504, 2008], [4, 1], 2500)).toBe(100 + 35 + 120 + 5 + 5 + 14);
  expect(runNanoseconds({ ...table, run: undefined } as never, [1], [1], 1e9)).toBe(0);
});

test("an operation that occurs twice is computed once; scalar code costs as much per element as four lanes", () => {
  const costs = { point: 1, row: 10 };
  const known = {
    forms: { vector: costs, scalar: costs, copy: costs, transpose: costs, fill: costs },
    operations: { add: 0.5, sigmoid: 3 },
  };
  const swish = binary("multiply", input(0), unary("sigmoid", input(0)));
  const twice = binary("add", swish, swish);
  expect(elementwiseNanoseconds({ form: "vector", expression: twice }, 100, 2, known)).toBe(
    20 + 100 * (1 + 3 + 2 * 0.5),
  );
  expect(elementwiseNanoseconds({ form: "scalar", expression: swish }, 10, 0, known)).toBe(10 * (1 + 4 * 3.5));
});

test("energy: operations by type, bytes by level, launches, and the idle share of the time", () => {
  const counts = { nanoseconds: 1000, type: "int8", operations: 1e6, weightBytes: 1e5, valueBytes: 1000 } as const;
  const coefficients = { ...publishedEnergy, idleWatts: 2 };
  const { operations, levels, launch } = publishedEnergy;
  const [near, , far] = levels.map(({ perByte }) => perByte) as [number, number, number];
  const picojoules = 1e6 * operations.int8 + 1e5 * far + 1000 * near + launch;
  expect(energyOf(counts, 1e8, coefficients)).toBeCloseTo(picojoules * 1e-12 + 2 * 1000e-9, 15);
  expect(operations.int8).toBeLessThan(operations.float32);
});
