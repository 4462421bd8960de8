/**
 * `leafcutter profile`: a device profile measured on the spot, on synthetic shapes. Rates of every kernel by the amount of
 * work, elementwise operations one by one, bandwidth by footprint, what a run costs that does nothing.
 */
import { cpus } from "node:os";
import { type DeviceProfile, profileFormat } from "../compiler/budget/device-profile.ts";
import { bytesSource, compile } from "../compiler/compile.ts";
import type { CostTable, Rate } from "../compiler/kernels/cost-table.ts";
import { launchBrowser, openServer } from "./browser.ts";
import { browserTitles } from "./driven-browser.ts";
import { measureEnergy } from "./energy-profile.ts";
import { energyWorkloads, type KernelTime, type ProfileTimes } from "./measure/kernel-bench.ts";
import { geometricMean } from "./measure/statistics.ts";
import { inNode } from "./node-process.ts";
import { oneOperatorModel } from "./page/one-operator-model.ts";
import type { Where } from "./row.ts";
import type { Server } from "./serve.ts";

/** Problems whose work is within this factor share a point. */
const samePoint = 1.5;
/** Rates that differ less are one: shapes make as much of a difference as the amount of work. */
const sameRate = 1.5;

const rounded = (value: number): number => Number(value.toPrecision(3));

function rateOf(times: readonly KernelTime[], stepOverhead: number): Rate {
  const points: { work: number[]; rate: number[] }[] = [];
  for (const { work, nanoseconds } of times.toSorted((left, right) => left.work - right.work)) {
    const rate = work / Math.max(1, nanoseconds - stepOverhead);
    const last = points.at(-1);
    if (last && work < samePoint * (last.work[0] as number)) {
      last.work.push(work);
      last.rate.push(rate);
    } else points.push({ work: [work], rate: [rate] });
  }
  const mean = (values: readonly number[]): number => rounded(geometricMean(values) ?? 0);
  const merged = points.map(({ work, rate }) => ({ work: mean(work), rate: mean(rate) }));
  const rates = merged.map(({ rate }) => rate);
  return Math.max(...rates) < sameRate * Math.min(...rates) ? mean(rates) : merged;
}

/** `host` says where it was measured. */
export function costTableOf(times: ProfileTimes, host: string): CostTable {
  const groups = new Map<string, KernelTime[]>();
  for (const kernel of times.kernels) {
    const { family, variant, storage } = kernel;
    const key = `${family}/${variant}${storage === undefined || storage === "float32" ? "" : ` ${storage}`}`;
    groups.set(key, [...(groups.get(key) ?? []), kernel]);
  }
  const { vector, scalar, copy, operations } = times.elementwise;
  return {
    host,
    rates: Object.fromEntries([...groups].map(([key, group]) => [key, rateOf(group, times.stepOverhead)])),
    stepOverhead: rounded(times.stepOverhead),
    runOverhead: rounded(times.runOverhead),
    bandwidth: times.bandwidth.map(({ footprint, rate }) => ({ footprint, rate: rounded(rate) })),
    elementwise: {
      vector: rounded(vector),
      scalar: rounded(scalar),
      copy: rounded(copy),
      operations: Object.fromEntries(Object.entries(operations).map(([name, cost]) => [name, rounded(cost)])),
    },
  };
}

interface Measured {
  readonly times: ProfileTimes;
  /** "Chromium 156.0.1". */
  readonly engine: string;
}

async function inBrowser(where: Exclude<Where, "node">, server: Server, identity: string): Promise<Measured> {
  const browser = await launchBrowser(server, where);
  try {
    const page = await browser.open("bench");
    return {
      times: await page.evaluate<ProfileTimes>(`leafcutterBench.measureProfile(${JSON.stringify(identity)})`),
      engine: `${browserTitles[where]} ${browser.version}`,
    };
  } finally {
    await browser.close();
  }
}

const inProcess = async (identity: string): Promise<Measured> => ({
  times: (await inNode({ kind: "profile", identity })).times,
  engine: `Node ${process.versions.node}`,
});

async function measureIn(where: Where): Promise<Measured> {
  const { files } = await compile(bytesSource("identity.onnx", oneOperatorModel()));
  const server = await openServer();
  try {
    server.mount("/identity/", { kind: "memory", files });
    const identity = `${server.url}/identity/`;
    return where === "node" ? await inProcess(identity) : await inBrowser(where, server, identity);
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
