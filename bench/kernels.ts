/**
 * `leafcutter bench kernels`: every family and variant as a share of what the machine can do at most, which is the
 * larger of its operations at the measured 128-bit rate and its bytes at the measured bandwidth.
 */
import { writeFile } from "node:fs/promises";
import { launchBrowser, openServer } from "./browser.ts";
import type { BrowserName } from "./driven-browser.ts";
import type { KernelTime, KernelTimes } from "./measure/kernel-bench.ts";
import type { MatvecTime } from "./measure/matvec.ts";
import { inNode } from "./node-process.ts";
import { digits, roofText } from "./report-figures.ts";
import type { Roof } from "./roof.ts";
import type { Where } from "./row.ts";

export interface KernelBenchOptions {
  readonly where?: Where;
  /** Names of families, and "matvec": few rows by constant weights in every storage; all by default. */
  readonly families?: readonly string[];
  readonly json?: string;
  readonly print?: (line: string) => void;
}

interface Measured extends KernelTimes {
  readonly roof: Roof;
}

interface Everything extends Partial<Measured> {
  readonly matvec?: readonly MatvecTime[];
}

/** `families`: all when empty. */
interface Wanted {
  readonly families: readonly string[] | undefined;
  readonly matvec: boolean;
}

const matvecName = "matvec";

function wantedOf(names: readonly string[]): Wanted {
  const families = names.filter((name) => name !== matvecName);
  return {
    families: families.length > 0 || names.length === 0 ? families : undefined,
    matvec: families.length < names.length || names.length === 0,
  };
}

async function inBrowser(name: BrowserName, wanted: Wanted): Promise<Everything> {
  const server = await openServer();
  try {
    const browser = await launchBrowser(server, name);
    try {
      const page = await browser.open("bench");
      const call = <T>(expression: string): Promise<T> => page.evaluate<T>(`leafcutterBench.${expression}`);
      return {
        ...(wanted.families && {
          roof: await call<Roof>("measureRoof()"),
          ...(await call<KernelTimes>(`measureKernels(${JSON.stringify(wanted.families)})`)),
        }),
        ...(wanted.matvec && { matvec: await call<readonly MatvecTime[]>("measureMatvec()") }),
      };
    } finally {
      await browser.close();
    }
  } finally {
    await server.close();
  }
}

async function inProcess(wanted: Wanted): Promise<Everything> {
  return {
    ...(wanted.families && {
      roof: (await inNode({ kind: "roof" })).roof,
      ...(await inNode({ kind: "kernels", families: wanted.families })).times,
    }),
    ...(wanted.matvec && { matvec: (await inNode({ kind: "matvec" })).times }),
  };
}

/** Data up to this stay in the second cache from one run of a kernel to the next. */
const cachedBytes = 1e6;

/** Nanoseconds the kernel takes at least: operations at the roof's rate or bytes at its bandwidth. */
export function leastNanoseconds({ target, flops, bytes }: KernelTime, roof: Roof): number {
  const gflops = (target === "wasm-relaxed" ? roof.relaxedGflops : undefined) ?? roof.simdGflops;
  const bandwidth = bytes <= cachedBytes ? roof.cachedReadGigabytes : roof.readGigabytes;
  return Math.max(flops / gflops, bytes / bandwidth);
}

const isWhole = (measured: Everything): measured is Everything & Measured => measured.kernels !== undefined;

/** One line a kernel. */
export function renderKernels({ kernels, roof }: Measured, where: Where): string {
  const rows = kernels.map((kernel) => [
    kernel.family,
    kernel.variant,
    kernel.label,
    kernel.target,
    `${digits(kernel.nanoseconds / 1000)} µs`,
    `${digits(kernel.flops / kernel.nanoseconds)} GFLOP/s`,
    `${digits(kernel.bytes / kernel.nanoseconds)} GB/s`,
    `${((100 * leastNanoseconds(kernel, roof)) / kernel.nanoseconds).toFixed(0)} %`,
  ]);
  const titles = ["family", "variant", "problem", "target", "time", "speed", "traffic", "of roof"];
  return `${table([titles, ...rows], 4)}\nroof ${roofText(where, roof)}`;
}

/** One line a shape: how many times faster than float32 each storage is, by medians. */
export function renderMatvec(times: readonly MatvecTime[]): string {
  const storages = [...new Set(times.flatMap((line) => line.times.map(({ storage }) => storage)))];
  const narrow = storages.filter((storage) => storage !== "float32");
  const rows = times.map((line) => {
    const medianOf = (storage: string): number =>
      line.times.find((time) => time.storage === storage)?.median ?? Number.NaN;
    const float = medianOf("float32");
    return [
      `${line.rows}x${line.inner}x${line.columns}`,
      line.target,
      `${digits(float / 1000)} µs`,
      ...narrow.map((storage) => `${(float / medianOf(storage)).toFixed(2)}x`),
    ];
  });
  return table([["product", "target", "float32", ...narrow], ...rows], 2);
}

/** Rows in columns, the first `left` of which stand left. */
function table(rows: readonly (readonly string[])[], left: number): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const cell = (text: string, column: number): string => {
    const width = widths[column] ?? 0;
    return column < left ? text.padEnd(width) : text.padStart(width);
  };
  return rows.map((row) => row.map(cell).join("  ")).join("\n");
}

/** Measures, prints the tables, writes the file asked for. Nothing else should run on the machine meanwhile. */
export async function runKernelBench(options: KernelBenchOptions = {}): Promise<Everything> {
  const { where = "chromium", families = [], print = () => undefined } = options;
  const wanted = wantedOf(families);
  const measured = where === "node" ? await inProcess(wanted) : await inBrowser(where, wanted);
  if (isWhole(measured)) print(renderKernels(measured, where));
  if (measured.matvec) print(renderMatvec(measured.matvec));
  if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(measured, undefined, 2)}\n`);
  return measured;
}
