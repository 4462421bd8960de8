/**
 * `leafcutter bench worklet`: the two models of DTLN in a real AudioWorklet under OfflineAudioContext, sample for sample
 * against the same in a Worker, each block of 128 samples timed against its slot of 8 ms.
 */
import { writeFile } from "node:fs/promises";
import { LeafcutterError } from "../runtime/format/diagnostic.ts";
import { launchBrowser, openServer } from "./browser.ts";
import type { BlockTimes, WorkletJob, WorkletResult } from "./page/worklet-page.ts";
import { digits } from "./report-figures.ts";
import { openTarget } from "./target.ts";

export interface WorkletBenchOptions {
  /** The mask model, then the separation model, as any target of the bench. */
  readonly targets: readonly string[];
  /** Length of the audio; default ten minutes. */
  readonly seconds?: number;
  readonly json?: string;
  readonly print?: (line: string) => void;
}

async function packagesOf(targets: readonly string[]): Promise<readonly ReadonlyMap<string, Uint8Array>[]> {
  if (targets.length !== 2) {
    throw new LeafcutterError({
      code: "option-invalid",
      message: "bench worklet takes two models",
      expected: "the first and the second model of DTLN",
      received: targets.join(", ") || "none",
    });
  }
  return Promise.all(
    targets.map(async (path) => {
      const { package: files } = await openTarget(path);
      if (files instanceof LeafcutterError) throw files;
      return files;
    }),
  );
}

/** Throws LeafcutterError: feature-missing when this machine has no Chromium, and what the models throw. */
export async function runWorkletBench(options: WorkletBenchOptions): Promise<WorkletResult> {
  const { targets, seconds = 600, json, print = () => undefined } = options;
  const packages = await packagesOf(targets);
  const server = await openServer();
  try {
    for (const [index, files] of packages.entries()) server.mount(`/package/${index}/`, { kind: "memory", files });
    const browser = await launchBrowser(server);
    try {
      const page = await browser.open("worklet");
      const job: WorkletJob = { packages: ["/package/0/", "/package/1/"], seconds };
      const result = await page.evaluate<WorkletResult>(`leafcutterWorklet(${JSON.stringify(job)})`);
      print(renderWorklet(result));
      if (json !== undefined) await writeFile(json, `${JSON.stringify(result, undefined, 2)}\n`);
      return result;
    } finally {
      await browser.close();
    }
  } finally {
    await server.close();
  }
}

/** A few lines for a person. */
export function renderWorklet(result: WorkletResult): string {
  const { quanta, slot, variant, different, largestDifference, renderPerBlock } = result;
  const times = (where: string, { clock, median, p99, most }: BlockTimes): string =>
    `${where}: median ${digits(median)} ms, p99 ${digits(p99)} ms, most ${digits(most)} ms a block (${clock})`;
  const same = different === 0 ? "bit for bit" : `but for ${different} samples, by at most ${largestDifference}`;
  return [
    `${quanta} blocks of ${slot} ms (${digits((quanta * slot) / 60_000)} minutes) on ${variant}`,
    `worklet and worker agree ${same}`,
    times("worklet", result.worklet),
    times("worker", result.worker),
    `rendering as a whole: ${digits(renderPerBlock)} ms a block, ${digits(slot / renderPerBlock)} times real time`,
  ].join("\n");
}
