/** Energy: counters out of files, coefficients out of counters. The folder stands for hardware that this machine may lack. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { EnergyCounters } from "../../bench/energy-counters.ts";
import { coefficientsOf, type EnergySample, measureEnergy } from "../../bench/energy-profile.ts";
import { nonnegativeLeastSquares } from "../../compiler/budget/nonnegative-least-squares.ts";

const folderOf = async (energies: readonly number[]): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), "leafcutter-powercap-"));
  for (const [index, energy] of energies.entries()) {
    await mkdir(join(folder, `intel-rapl:${index}`));
    await writeFile(join(folder, `intel-rapl:${index}`, "max_energy_range_uj"), "10000000");
    await writeFile(join(folder, `intel-rapl:${index}`, "energy_uj"), `${energy}`);
  }
  return folder;
};

test("counters of all packages are summed and may wrap around", async () => {
  const folder = await folderOf([9_000_000, 1_000_000]);
  const counters = await EnergyCounters.open(folder);
  await writeFile(join(folder, "intel-rapl:0", "energy_uj"), "500000");
  await writeFile(join(folder, "intel-rapl:1", "energy_uj"), "1250000");
  expect(await counters.read()).toBeCloseTo(1.75);
  expect(await counters.read()).toBeCloseTo(1.75);
  await rm(folder, { recursive: true });
});

test("without counters the published table, and a line that says why", async () => {
  const lines: string[] = [];
  const coefficients = await measureEnergy([], (line) => lines.push(line), "/nowhere");
  expect(coefficients.tier).toBe("C");
  expect(lines).toEqual([expect.stringMatching(/tier C.*cannot be read/)]);
  await expect(EnergyCounters.open("/nowhere")).rejects.toMatchObject({ code: "counters-unreadable" });
});

test("coefficients are found again, those without evidence are zero", () => {
  const truth = { watts: 5, float32: 20, int8: 4, byte: [1, 3, 200], launch: 9000 };
  const samples = Array.from({ length: 12 }, (_, i): EnergySample => {
    const kinds = { float32: i % 3 === 0 ? 3e10 : 0, int8: i % 3 === 1 ? 5e10 : 0, other: 0 };
    const bytes = [0, 1, 2].map((level) => (i % 4 === level ? (i + 1) * 1e9 : 0));
    const launches = i % 5 === 0 ? 2e7 : 0;
    const seconds = 0.5 + 0.1 * i;
    const picojoules =
      truth.float32 * kinds.float32 +
      truth.int8 * kinds.int8 +
      bytes.reduce((sum, count, level) => sum + count * (truth.byte[level] as number), 0) +
      truth.launch * launches;
    return { ...kinds, bytes, launches, seconds, joules: truth.watts * seconds + picojoules * 1e-12 };
  });
  const { tier, band, idleWatts, operations, levels, launch } = coefficientsOf(samples, "a test");
  expect([tier, band]).toEqual(["B", 1.05]);
  expect(idleWatts).toBeCloseTo(5, 3);
  expect(operations.float32).toBeCloseTo(20, 2);
  expect(operations.int8).toBeCloseTo(4, 2);
  expect(operations.other).toBe(0);
  expect(levels.map(({ perByte }) => perByte)).toEqual(truth.byte.map((value) => expect.closeTo(value, 1)));
  expect(launch).toBeCloseTo(9000, -1);
});

test("no coefficient is negative, and the rest is the best without it", () => {
  const rows = [
    [1, 1],
    [1, 2],
    [1, 3],
  ];
  const solution = nonnegativeLeastSquares(rows, [3, 2, 1]);
  expect(solution[0]).toBeCloseTo(2);
  expect(solution[1]).toBe(0);
});
