/** Runs compiled packages in a Worker of a real browser and returns what they computed. */
import type { Backend, Stats } from "../runtime/index.ts";
import { type BenchBrowser, launchBrowser, openServer } from "./browser.ts";
import type { BrowserName } from "./driven-browser.ts";
import type { VerifyJob } from "./page/verify-page.ts";
import type { Server } from "./serve.ts";
import { decodeRuns, encodeRuns, type Tensors } from "./tensor-bundle.ts";

/** One package on the inputs of several runs, one after another in one session. */
export interface BrowserJob {
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly runs: readonly Tensors[];
  readonly backend: Backend;
  /** Most threads; default 1. */
  readonly threads?: number;
}

export interface BrowserResult {
  /** Of each run. */
  readonly outputs: readonly Tensors[];
  readonly stats: Stats;
}

async function runJob(server: Server, browser: BenchBrowser, job: BrowserJob): Promise<BrowserResult> {
  server.mount("/package/", { kind: "memory", files: job.files });
  server.mount("/inputs/", { kind: "memory", files: new Map([["inputs.bin", encodeRuns(job.runs)]]) });
  const page = await browser.open("verify");
  try {
    const order: VerifyJob = {
      package: "/package/",
      inputs: "/inputs/inputs.bin",
      result: "/result/outputs",
      backend: job.backend,
      threads: job.threads ?? 1,
    };
    const stats = await page.evaluate<Stats>(`leafcutterVerify(${JSON.stringify(order)})`);
    return { outputs: decodeRuns(await server.result("outputs")), stats };
  } finally {
    await page.close();
  }
}

/** A browser that runs one package after another, each in a page of its own, until it is closed. */
export interface BrowserRunner {
  /** Rejects with the error's message as the runtime wrote it. */
  run(job: BrowserJob): Promise<BrowserResult>;
  close(): Promise<void>;
}

/** Throws LeafcutterError feature-missing when this machine does not have the browser. */
export async function openBrowserRunner(name: BrowserName = "chromium"): Promise<BrowserRunner> {
  const server = await openServer();
  try {
    const browser = await launchBrowser(server, name);
    return {
      run: (job) => runJob(server, browser, job),
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
