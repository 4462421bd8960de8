import { expect, test } from "vitest";
import { type DeviceProfile, parseDeviceProfile } from "../../compiler/budget/device-profile.ts";
import { energyOf, publishedEnergy } from "../../compiler/budget/energy.ts";
import { bandwidthAt, costOf } from "../../compiler/kernels/cost-table.ts";
import { defaultProfile } from "../../compiler/plan/default-profile.ts";
import { LeafcutterError } from "../../runtime/format/diagnostic.ts";

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

test("a rate by storage and by the amount of work, bandwidth by footprint", () => {
  const table = {
    host: "",
    stepOverhead: 10,
    rates: {
      "matmul/6x8": 20,
      "matmul/6x8 int8": [
        { work: 100, rate: 10 },
        { work: 10_000, rate: 30 },
      ],
    },
    bandwidth: [
      { footprint: 1000, rate: 50 },
      { footprint: 1e6, rate: 8 },
    ],
  };
  expect(costOf(table, "matmul", "6x8", 200)).toBe(20);
  expect(costOf(table, "matmul", "6x8", 200, "float16")).toBe(20);
  expect(costOf(table, "matmul", "6x8", 1000, "int8")).toBeCloseTo(10 + 1000 / 20, 9);
  expect(costOf(table, "matmul", "6x8", 10, "int8")).toBeCloseTo(10 + 10 / 10, 9);
  expect(costOf(table, "matmul", "6x8", 1e6, "int8")).toBeCloseTo(10 + 1e6 / 30, 6);
  expect(costOf(table, "matmul", "4x8", 1)).toBeUndefined();
  expect([500, 2000, 1e9].map((footprint) => bandwidthAt(table, footprint))).toEqual([50, 8, 8]);
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
