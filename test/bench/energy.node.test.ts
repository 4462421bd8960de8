/**
 * Energy: counters out of files and programs, runs between their readings, coefficients out of counters. Folders and small programs stand for
 * hardware that this machine may lack.
 */
import { renameSync, writeFileSync } from "node:fs";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, onTestFinished, test } from "vitest";
import { openCounters } from "../../bench/energy-counters.ts";
import { RowEnergy } from "../../bench/energy-of-job.ts";
import { measureRuns } from "../../bench/energy-of-runs.ts";
import { coefficientsOf, type EnergySample, measureEnergy } from "../../bench/energy-profile.ts";
import { repeat } from "../../bench/measure/repeat.ts";
import { openNvidia, openPowermetrics } from "../../bench/power-samples.ts";
import { openPowercap } from "../../bench/powercap.ts";
import type { Row } from "../../bench/row.ts";
import { publishedEnergy, runEnergyText } from "../../compiler/budget/energy.ts";
import { nonnegativeLeastSquares } from "../../compiler/budget/nonnegative-least-squares.ts";

const scratch = await mkdtemp(join(tmpdir(), "leafcutter-energy-"));
afterAll(() => rm(scratch, { recursive: true }));
let folders = 0;

interface DomainFiles {
  readonly name?: string;
  readonly energy: string;
  readonly range?: string;
}

/** A powercap folder of these domains. */
async function folderOf(domains: Readonly<Record<string, DomainFiles>>): Promise<string> {
  const folder = join(scratch, `powercap-${folders++}`);
  await mkdir(folder);
  for (const [entry, { name, energy, range }] of Object.entries(domains)) {
    await mkdir(join(folder, entry));
    await writeFile(join(folder, entry, "energy_uj"), energy);
    if (name !== undefined) await writeFile(join(folder, entry, "name"), `${name}\n`);
    if (range !== undefined) await writeFile(join(folder, entry, "max_energy_range_uj"), `${range}\n`);
  }
  return folder;
}

const setEnergy = (folder: string, entry: string, microjoules: number | string): Promise<void> =>
  writeFile(join(folder, entry, "energy_uj"), `${microjoules}\n`);

test("packages and their memory are summed, whatever else there is; counters wrap around", async () => {
  const folder = await folderOf({
    "intel-rapl:0": { name: "package-0", energy: "9000000\n", range: "10000000" },
    "intel-rapl:0:0": { name: "core", energy: "5", range: "10000000" },
    "intel-rapl:0:1": { name: "dram", energy: "100", range: "10000000" },
    "intel-rapl:1": { name: "package-1", energy: "1000000", range: "10000000" },
    "intel-rapl:2": { name: "psys", energy: "1", range: "10000000" },
    "intel-rapl-mmio:0": { name: "package-0", energy: "1", range: "10000000" },
  });
  const counters = await openPowercap(folder);
  expect(counters.source).toBe("package-0 + dram of 0 + package-1 by powercap");
  await setEnergy(folder, "intel-rapl:0", 500_000);
  await setEnergy(folder, "intel-rapl:1", 1_250_000);
  await setEnergy(folder, "intel-rapl:0:0", 9_000_000);
  await setEnergy(folder, "intel-rapl:0:1", 100_100);
  await setEnergy(folder, "intel-rapl:2", 9_000_000);
  expect((await counters.read()).joules).toBeCloseTo(1.5 + 0.25 + 0.1, 5);
  expect((await counters.read()).joules).toBeCloseTo(1.85, 5);
});

test("the platform's counter is used where it is the only one", async () => {
  const folder = await folderOf({ "intel-rapl:0": { name: "psys", energy: "1", range: "10" } });
  expect((await openPowercap(folder)).source).toBe("psys by powercap");
});

const refused: readonly (readonly [string, Readonly<Record<string, DomainFiles>>, RegExp])[] = [
  ["no domain", {}, /no intel-rapl domain.*Virtual machines/],
  ["an empty counter", { "intel-rapl:0": { energy: "" } }, /intel-rapl:0.*received "".*microjoules/],
  ["words", { "intel-rapl:0": { energy: "many" } }, /"many"/],
  ["a negative counter", { "intel-rapl:0": { energy: "-1" } }, /"-1"/],
];

test.each(refused)("refuses %s", async (_, domains, reason) => {
  const error = await openPowercap(await folderOf(domains)).catch((caught: unknown) => caught);
  expect(error).toMatchObject({ code: "counters-unreadable", message: expect.stringMatching(reason) });
});

test("a folder that is not there, and a counter that goes backwards without a known range", async () => {
  await expect(openCounters({ powercap: "/nowhere" })).rejects.toMatchObject({ code: "counters-unreadable" });
  const folder = await folderOf({ "intel-rapl:0": { energy: "10" } });
  const counters = await openPowercap(folder);
  await setEnergy(folder, "intel-rapl:0", 5);
  await expect(counters.read()).rejects.toThrow(/backwards.*max_energy_range_uj/);
});

test.skipIf(process.getuid?.() === 0)("a counter for root alone says how to read it", async () => {
  const folder = await folderOf({ "intel-rapl:0": { energy: "10", range: "100" } });
  await chmod(join(folder, "intel-rapl:0", "energy_uj"), 0);
  await expect(openPowercap(folder)).rejects.toThrow(/permission denied.*root.*chmod/);
});

const restWatts = 4;
const runJoules = 0.02;

/** A machine that takes 4 W at rest and 20 mJ more a run; its counter wraps around at 50 J, a moment after the start. */
async function machine(): Promise<{ readonly folder: string; run(): Promise<void> }> {
  const range = 50;
  let [joules, at] = [range - 0.5, performance.now()];
  const folder = await folderOf({ "intel-rapl:0": { name: "package-0", energy: "49500000", range: `${range}000000` } });
  const file = join(folder, "intel-rapl:0", "energy_uj");
  const count = (extra: number): void => {
    const now = performance.now();
    joules = (joules + extra + (restWatts * (now - at)) / 1000) % range;
    at = now;
    // As a whole: the kernel's file is never seen half written.
    writeFileSync(`${file}.new`, `${Math.floor(joules * 1e6)}\n`);
    renameSync(`${file}.new`, file);
  };
  const timer = setInterval(() => count(0), 5);
  onTestFinished(() => clearInterval(timer));
  return {
    folder,
    run: async () => {
      await new Promise((resolve) => setTimeout(resolve, 10));
      count(runJoules);
    },
  };
}

test("a run's energy is measured, and what the machine takes at rest is told apart", async () => {
  const { folder, run } = await machine();
  const counters = { ...(await openPowercap(folder)), leastSeconds: 0 };
  const energy = await measureRuns(counters, repeat(run), { seconds: 0.4, windows: 3 });
  expect(energy.tier).toBe("A");
  expect(energy.aboveIdle).toBeGreaterThan(0.75 * runJoules);
  expect(energy.aboveIdle).toBeLessThan(1.25 * runJoules);
  expect(energy.joules).toBeGreaterThan(runJoules + restWatts * 0.01 * 0.9);
  expect(runEnergyText(energy)).toMatch(/^[\d.]+ mJ \(tier A\) a run, [\d.]+ mJ above idle, .*package-0 by powercap$/);
}, 60_000);

test("counters that stand still are none", async () => {
  const folder = await folderOf({ "intel-rapl:0": { energy: "10", range: "100" } });
  const counters = { ...(await openPowercap(folder)), leastSeconds: 0 };
  const work = measureRuns(counters, async () => 1, { seconds: 0.01, windows: 2 });
  await expect(work).rejects.toThrow(/do not move/);
});

/** A program of a shell script. */
async function program(name: string, script: string): Promise<string> {
  const path = join(scratch, `${name}-${folders++}`);
  await writeFile(path, `#!/bin/sh\n${script}\n`);
  await chmod(path, 0o755);
  return path;
}

const rate = async (open: (path: string) => ReturnType<typeof openNvidia>, path: string): Promise<number> => {
  const counters = await open(path);
  onTestFinished(() => counters.close());
  const before = await counters.read();
  await new Promise((resolve) => setTimeout(resolve, 400));
  const after = await counters.read();
  return (1000 * (after.joules - before.joules)) / (after.milliseconds - before.milliseconds);
};

test("cards' power adds up over time", async () => {
  const path = await program("nvidia-smi", "while :; do echo '0, 50.50'; echo '1, 30.00'; sleep 0.05; done");
  expect(await rate(openNvidia, path)).toBeCloseTo(80.5, 0);
}, 30_000);

test.each([
  ["an Apple processor", "Combined Power (CPU + GPU + ANE): 1250 mW", 1.25],
  ["an Intel one", "Intel energy model derived package power (CPUs+GT+SA): 7.50W", 7.5],
])(
  "powermetrics of %s",
  async (_, line, watts) => {
    const script = `while :; do echo '*** Sampled system activity ***'; echo 'CPU Power: 900 mW'; echo '${line}'; sleep 0.05; done`;
    expect(await rate(openPowermetrics, await program("powermetrics", script))).toBeCloseTo(watts, 1);
  },
  30_000,
);

test.each([
  ["no root", openPowermetrics, "echo 'powermetrics must be invoked as the superuser' >&2; exit 1", /superuser.*sudo/],
  ["no driver", openNvidia, "echo 'NVIDIA-SMI has failed because of its driver'; exit 9", /ended with 9.*has failed/],
  ["no meter", openNvidia, "echo '0, [N/A]'; exit 0", /\[N\/A\].*power meter/],
])(
  "a program that cannot: %s",
  async (_, open, script, reason) => {
    const error = await open(await program("meter", script)).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: "counters-unreadable", message: expect.stringMatching(reason) });
  },
  30_000,
);

test("a program that ends midway, and one that is not there", async () => {
  const path = await program("nvidia-smi", "for i in 1 2 3; do echo '0, 50'; sleep 0.05; done");
  const counters = await openNvidia(path);
  await new Promise((resolve) => setTimeout(resolve, 500));
  await expect(counters.read()).rejects.toMatchObject({ code: "counters-unreadable" });
  await expect(openNvidia("/nowhere/nvidia-smi")).rejects.toThrow(/ENOENT/);
}, 30_000);

const row = {
  model: "m",
  engine: "leafcutter",
  status: "ok",
  profile: [
    { name: "c", op: "leafcutter.Conv", kernel: "conv", milliseconds: 1, flops: 2e6, bytes: 1e5, where: "wasm" },
    {
      name: "i",
      op: "leafcutter.IntegerConv",
      kernel: "conv-i8",
      milliseconds: 1,
      flops: 2e6,
      bytes: 0,
      where: "wasm",
    },
  ],
} as unknown as Row;

test("rows are measured while there are counters; otherwise estimated, and one line says why", async () => {
  const lines: string[] = [];
  const energy = new RowEnergy({ powercap: "/nowhere", coefficients: publishedEnergy }, (line) => lines.push(line));
  const measure = () => Promise.reject(new Error("not asked"));
  const rows = [await energy.of(row, measure), await energy.of(row, measure)];
  expect(rows[0]?.energy).toMatchObject({ tier: "C", band: 10 });
  expect(rows[0]?.energy?.joules).toBeCloseTo(1e6 * (22.1e-12 + 9.05e-12) + 1e5 * 12.5e-12 + 2 * 14e-9, 9);
  expect(lines).toEqual([expect.stringMatching(/^no counters of energy.*tier C.*Horowitz.*--powercap/)]);
  const { profile: _, ...peer } = row;
  expect((await energy.of(peer as Row, measure)).energy).toBeUndefined();

  const folder = await folderOf({ "intel-rapl:0": { energy: "10", range: "100" } });
  const measured = new RowEnergy({ powercap: folder, coefficients: publishedEnergy }, (line) => lines.push(line));
  const result = { joules: 1, aboveIdle: 0.5, tier: "A", band: 1.05, source: "a test" } as const;
  expect((await measured.of(row, async () => result)).energy).toBe(result);
  const fallen = await measured.of(row, () => Promise.reject(new Error("gone")));
  expect([fallen.energy?.tier, lines[1]]).toEqual(["C", "m, leafcutter: no measured energy: gone"]);
});

test("coefficients are measured around workloads; without counters the published table", async () => {
  const lines: string[] = [];
  const coefficients = await measureEnergy([], (line) => lines.push(line), { powercap: "/nowhere" });
  expect(coefficients.tier).toBe("C");
  expect(lines).toEqual([expect.stringMatching(/tier C/)]);
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
