/**
 * `leafcutter profile`: a device profile measured on the spot, on synthetic shapes. Prices of every kernel's work and
 * overheads, elementwise operations one by one, bandwidth by footprint, what runs cost that do nothing.
 */
import { cpus } from "node:os";
import { type DeviceProfile, profileFormat } from "../compiler/budget/device-profile.ts";
import { bytesSource, compile } from "../compiler/compile.ts";
import type { CostTable, Prices } from "../compiler/kernels/cost-table.ts";
import { launchBrowser, openServer } from "./browser.ts";
import { browserTitles } from "./driven-browser.ts";
import { measureEnergy } from "./energy-profile.ts";
import { pricesOf, storedPricesOf } from "./fit-prices.ts";
import { energyWorkloads, type KernelTime, type ProfileTimes } from "./measure/kernel-bench.ts";
import { median } from "./measure/statistics.ts";
import { inNode } from "./node-process.ts";
import { syntheticModels } from "./port-models.ts";
import type { Where } from "./row.ts";
import type { Server } from "./serve.ts";

const rounded = (value: number): number => Number(value.toPrecision(3));

/** `value` with three digits everywhere. */
function roundedAll<T>(value: T): T {
  return JSON.parse(JSON.stringify(value), (_, part: unknown) =>
    typeof part === "number" ? rounded(part) : part,
  ) as T;
}

/**
 * `host` says where it was measured. Kernels are priced by their best times, which single disturbances do not touch, times
 * what an ordinary call takes more than the best one, because a profile is to predict medians.
 */
export function costTableOf(times: ProfileTimes, host: string): CostTable {
  const { stepOverhead, bandwidth, epilogue, elementwise, run } = times;
  const known = { stepOverhead, bandwidth, epilogue, elementwise };
  const groups = new Map<string, { readonly plain: string; readonly kernels: KernelTime[] }>();
  const unrest = median(times.kernels.map(({ ordinary, nanoseconds }) => ordinary / nanoseconds));
  for (const measured of times.kernels) {
    const kernel = { ...measured, nanoseconds: measured.nanoseconds * unrest };
    const { family, variant, storage } = kernel;
    const plain = `${family}/${variant}`;
    const key = storage === undefined || storage === "float32" ? plain : `${plain} ${storage}`;
    const group = groups.get(key) ?? { plain, kernels: [] };
    groups.set(key, group);
    group.kernels.push(kernel);
  }
  const rates: Record<string, Prices> = {};
  for (const [key, { plain, kernels }] of groups) if (key === plain) rates[key] = pricesOf(kernels, known);
  for (const [key, { plain, kernels }] of groups) {
    const floats = rates[plain];
    if (key === plain) continue;
    const isMeasuredAlike = kernels.length === groups.get(plain)?.kernels.length;
    rates[key] = floats && !isMeasuredAlike ? storedPricesOf(kernels, floats, known) : pricesOf(kernels, known);
  }
  // What was not measured in a form of its own is like the first that was.
  for (const [key, { plain }] of groups) rates[plain] ??= rates[key] as Prices;
  return { host, rates, ...roundedAll({ stepOverhead, run, bandwidth, elementwise, epilogue }) };
}

interface Measured {
  readonly times: ProfileTimes;
  /** "Chromium 156.0.1". */
  readonly engine: string;
}

async function inBrowser(where: Exclude<Where, "node">, server: Server, models: string): Promise<Measured> {
  const browser = await launchBrowser(server, where);
  try {
    const page = await browser.open("bench");
    return {
      times: await page.evaluate<ProfileTimes>(`leafcutterBench.measureProfile(${JSON.stringify(models)})`),
      engine: `${browserTitles[where]} ${browser.version}`,
    };
  } finally {
    await browser.close();
  }
}

const inProcess = async (models: string): Promise<Measured> => ({
  times: (await inNode({ kind: "profile", models })).times,
  engine: `Node ${process.versions.node}`,
});

async function measureIn(where: Where): Promise<Measured> {
  const server = await openServer();
  try {
    for (const [name, bytes] of syntheticModels()) {
      const { files } = await compile(bytesSource(`${name}.onnx`, bytes));
      server.mount(`/synthetic/${name}/`, { kind: "memory", files });
    }
    const models = `${server.url}/synthetic/`;
    return where === "node" ? await inProcess(models) : await inBrowser(where, server, models);
  } finally {
    await server.close();
  }
}

/** About a minute. Nothing else should run on the machine meanwhile. */
export async function measureDevice(
  where: Where,
  print: (line: string) => void,
  powercap?: string,
): Promise<DeviceProfile> {
  const { times, engine } = await measureIn(where);
  const energy = await measureEnergy(energyWorkloads(), print, powercap === undefined ? {} : { powercap });
  const cpu = `${cpus()[0]?.model.trim() ?? "unknown"}, ${cpus().length} cores`;
  return {
    format: profileFormat,
    name: `${cpu}, ${engine}`,
    host: { cpu, engine, measured: new Date().toISOString() },
    costs: { [times.target]: costTableOf(times, `${cpu}, ${engine}`) },
    energy,
  };
}
