/**
 * `leafcutter bench kernels`: every family and variant as a share of what the machine can do at most, which is the
 * larger of its operations at the measured 128-bit rate and its bytes at the measured bandwidth.
 */
import { writeFile } from "node:fs/promises";
import { launchBrowser, openServer } from "./browser.ts";
import type { BrowserName } from "./driven-browser.ts";
import type { KernelTime, KernelTimes } from "./measure/kernel-bench.ts";
import { inNode } from "./node-process.ts";
import { digits, roofText } from "./report-figures.ts";
import type { Roof } from "./roof.ts";
import type { Where } from "./row.ts";

export interface KernelBenchOptions {
  readonly where?: Where;
  /** Names of families; all by default. */
  readonly families?: readonly string[];
  readonly json?: string;
  readonly print?: (line: string) => void;
}

interface Measured extends KernelTimes {
  readonly roof: Roof;
}

async function inBrowser(name: BrowserName, families: readonly string[]): Promise<Measured> {
  const server = await openServer();
  try {
    const browser = await launchBrowser(server, name);
    try {
      const page = await browser.open("bench");
      const roof = await page.evaluate<Roof>("leafcutterBench.measureRoof()");
      const times = await page.evaluate<KernelTimes>(`leafcutterBench.measureKernels(${JSON.stringify(families)})`);
      return { ...times, roof };
    } finally {
      await browser.close();
    }
  } finally {
    await server.close();
  }
}

async function inProcess(families: readonly string[]): Promise<Measured> {
  const { roof } = await inNode({ kind: "roof" });
  const { times } = await inNode({ kind: "kernels", families });
  return { ...times, roof };
}

/** Data up to this stay in the second cache from one run of a kernel to the next. */
const cachedBytes = 1e6;

/** Nanoseconds the kernel takes at least: operations at the roof's rate or bytes at its bandwidth. */
export function leastNanoseconds({ target, flops, bytes }: KernelTime, roof: Roof): number {
  const gflops = (target === "wasm-relaxed" ? roof.relaxedGflops : undefined) ?? roof.simdGflops;
  const bandwidth = bytes <= cachedBytes ? roof.cachedReadGigabytes : roof.readGigabytes;
  return Math.max(flops / gflops, bytes / bandwidth);
}

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
  const titled = [["family", "variant", "problem", "target", "time", "speed", "traffic", "of roof"], ...rows];
  const widths = (titled[0] ?? []).map((_, column) => Math.max(...titled.map((row) => row[column]?.length ?? 0)));
  const leftColumns = 4;
  const lines = titled.map((row) =>
    row
      .map((text, column) => {
        const width = widths[column] ?? 0;
        return column < leftColumns ? text.padEnd(width) : text.padStart(width);
      })
      .join("  "),
  );
  return [...lines, `roof ${roofText(where, roof)}`].join("\n");
}

/** Measures, prints the table, writes the files asked for. Nothing else should run on the machine meanwhile. */
export async function runKernelBench(options: KernelBenchOptions = {}): Promise<Measured> {
  const { where = "chromium", families = [], print = () => undefined } = options;
  const measured = where === "node" ? await inProcess(families) : await inBrowser(where, families);
  print(renderKernels(measured, where));
  if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(measured, undefined, 2)}\n`);
  return measured;
}
