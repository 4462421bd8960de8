/** Runs compiled packages in a Worker of a real Chromium and returns what they computed. */
import type { Backend, Stats } from "../runtime/index.ts";
import { type BenchBrowser, launchBrowser, openServer } from "./browser.ts";
import type { VerifyJob } from "./page/verify-page.ts";
import type { Server } from "./serve.ts";
import { decodeRuns, encodeRuns, type Tensors } from "./tensor-bundle.ts";

export interface ChromiumJob {
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly inputs: Tensors;
  readonly backend: Backend;
}

export interface ChromiumResult {
  readonly outputs: Tensors;
  readonly stats: Stats;
}

/** One package on inputs of several runs, one after another in one session. */
interface ChromiumRuns extends Omit<ChromiumJob, "inputs"> {
  readonly runs: readonly Tensors[];
}

interface ChromiumOutputs {
  readonly outputs: readonly Tensors[];
  readonly stats: Stats;
}

async function runAll(server: Server, browser: BenchBrowser, job: ChromiumRuns): Promise<ChromiumOutputs> {
  server.mount("/package/", { kind: "memory", files: job.files });
  server.mount("/inputs/", { kind: "memory", files: new Map([["inputs.bin", encodeRuns(job.runs)]]) });
  const page = await browser.open("verify");
  try {
    const order: VerifyJob = {
      package: "/package/",
      inputs: "/inputs/inputs.bin",
      result: "/result/outputs",
      backend: job.backend,
    };
    const stats = await page.evaluate<Stats>(`leafcutterVerify(${JSON.stringify(order)})`);
    return { outputs: decodeRuns(await server.result("outputs")), stats };
  } finally {
    await page.close();
  }
}

/** A Chromium that runs one package after another, each in a page of its own, until it is closed. */
export interface ChromiumRunner {
  run(job: ChromiumJob): Promise<ChromiumResult>;
  runAll(job: ChromiumRuns): Promise<ChromiumOutputs>;
  close(): Promise<void>;
}

/** Throws LeafcutterError feature-missing when this machine has no Chromium. */
export async function openChromiumRunner(): Promise<ChromiumRunner> {
  const server = await openServer();
  try {
    const browser = await launchBrowser(server);
    return {
      run: async ({ inputs, ...job }) => {
        const { outputs, stats } = await runAll(server, browser, { ...job, runs: [inputs] });
        return { outputs: outputs[0] ?? {}, stats };
      },
      runAll: (job) => runAll(server, browser, job),
      close: async () => {
        await browser.close();
        await server.close();
      },
    };
  } catch (error) {
    await server.close();
    throw error;
  }
}

/** All jobs in one Chromium. Rejects with the first job's error, its message as the runtime wrote it. */
export async function runInChromium(jobs: readonly ChromiumJob[]): Promise<readonly ChromiumResult[]> {
  const runner = await openChromiumRunner();
  try {
    const results: ChromiumResult[] = [];
    for (const job of jobs) results.push(await runner.run(job));
    return results;
  } finally {
    await runner.close();
  }
}
