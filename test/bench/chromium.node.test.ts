/** The harness in a real Chromium; skipped where there is none (as the browser project is). */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type BenchBrowser, launchBrowser, openServer } from "../../bench/browser.ts";
import { findChromium } from "../../bench/chromium.ts";
import { measureCold, pageVisitor } from "../../bench/cold.ts";
import type { Job, JobResult } from "../../bench/measure/job.ts";
import { oneOperatorModel } from "../../bench/page/one-operator-model.ts";
import type { Server } from "../../bench/serve.ts";
import { encodeTensors } from "../../bench/tensor-bundle.ts";
import { type BrowserRunner, openBrowserRunner } from "../../bench/verify-in-browser.ts";
import { generateThreadWalk } from "../../compiler/codegen/wasm/thread-walk.ts";
import { tensorOf } from "../../runtime/format/tensor.ts";
import { expectedOutput, tinyPackage } from "../runtime/tiny-package.ts";

const data = Float32Array.from({ length: 8 }, (_, index) => index - 2);
const inputs = { x: tensorOf("float32", [1, 8], data) };

describe.skipIf(findChromium() === undefined)("in Chromium", () => {
  let server: Server;
  let browser: BenchBrowser;
  let runner: BrowserRunner;
  beforeAll(async () => {
    server = await openServer({
      "/onnxruntime-web/": { kind: "folder", path: "node_modules/onnxruntime-web/dist" },
    });
    browser = await launchBrowser(server);
    runner = await openBrowserRunner();
  }, 120_000);
  afterAll(async () => {
    await runner.close();
    await browser.close();
    await server.close();
  });

  test("a package runs in a worker, all its runs in one session", async () => {
    const files = new Map(Object.entries(await tinyPackage()));
    const wide = { x: tensorOf("float32", [2, 8], [...data, ...data]) };
    const { outputs, stats } = await runner.run({ files, runs: [inputs, wide], backend: "wasm-simd" });
    expect(outputs[0]?.y).toEqual({ dtype: "float32", shape: [1, 8], data: expectedOutput(data) });
    expect(outputs[1]?.y?.shape).toEqual([2, 8]);
    expect(stats.variant).toBe("wasm-simd");
    expect(stats.runs).toBe(2);
  }, 120_000);

  test("a job that cannot run says why, as the runtime words it", async () => {
    const files = new Map(Object.entries(await tinyPackage()));
    files.delete("shard-1.bin");
    await expect(runner.run({ files, runs: [inputs], backend: "auto" })).rejects.toThrow(/shard-1\.bin.*file-missing/s);
  }, 120_000);

  test("engines run in one worker, and one that cannot run does not stop the other", async () => {
    server.mount("/package/", {
      kind: "memory",
      files: new Map(Object.entries(await tinyPackage({ divided: true, threads: generateThreadWalk() }))),
    });
    server.mount("/model.onnx", { kind: "memory", files: new Map([["", oneOperatorModel()]]) });
    const bundles = new Map([
      ["peer", encodeTensors({ x: tensorOf("float32", [1], [5]) })],
      ["own", encodeTensors(inputs)],
    ]);
    server.mount("/inputs/", { kind: "memory", files: bundles });
    const job: Job = {
      base: server.url,
      backend: "auto",
      peers: ["onnxruntime-web"],
      threads: [1, 2],
      inputs: `${server.url}/inputs/peer`,
      model: `${server.url}/model.onnx`,
      rounds: 5,
      budgetMs: 50,
    };
    const page = await browser.open("bench");
    const run = (order: Job): Promise<JobResult> => page.evaluate(`leafcutterBench.runJob(${JSON.stringify(order)})`);
    const alone = await run(job);
    expect(alone.engines).toMatchObject([
      { engine: "onnxruntime-web", threads: 1, status: "ok", latency: { samples: expect.any(Number) } },
      { engine: "onnxruntime-web", threads: 2, status: "ok", latency: { samples: expect.any(Number) } },
    ]);

    const both = await run({ ...job, inputs: `${server.url}/inputs/own`, package: `${server.url}/package/` });
    expect(both.engines).toMatchObject([
      { engine: "leafcutter", threads: 1, status: "ok", variant: expect.not.stringContaining("threads") },
      { engine: "leafcutter", threads: 2, status: "ok", variant: expect.stringContaining("threads") },
      { engine: "onnxruntime-web", threads: 1, status: "failed" },
      { engine: "onnxruntime-web", threads: 2, status: "failed" },
    ]);
    expect(both.stats?.steps?.map(({ name }) => name)).toEqual(["add", "relu"]);
    await page.close();
  }, 120_000);

  test("a fresh page is ready before its first output, and what it fetched is counted", async () => {
    const files = new Map(Object.entries(await tinyPackage()));
    server.mount("/package/", { kind: "memory", files });
    server.mount("/inputs/", { kind: "memory", files: new Map([["inputs", encodeTensors(inputs)]]) });
    const query = {
      engine: "leafcutter",
      package: `${server.url}/package/`,
      inputs: `${server.url}/inputs/inputs`,
    } as const;
    const visitor = pageVisitor(server, browser);
    const { visit } = await visitor(query);
    expect(visit.readyMs).toBeGreaterThan(0);
    expect(visit.firstOutputMs).toBeGreaterThanOrEqual(visit.readyMs ?? Number.POSITIVE_INFINITY);
    // Less an empty page's, times may be null where something disturbed that page; these are not.
    const { roundTripMs, bytesFetched } =
      (await measureCold([{ engine: "leafcutter", query }], 1, visitor)).get("leafcutter") ?? {};
    expect(roundTripMs).toBeGreaterThan(0);
    const packageBytes = [...files.values()].reduce((sum, file) => sum + file.length, 0);
    expect(bytesFetched).toBeGreaterThan(packageBytes);
  }, 120_000);
});
