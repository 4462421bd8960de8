/**
 * Pages as real servers send them, in every browser of this machine: without cross-origin isolation, and under a
 * Content-Security-Policy with and without WebAssembly.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findBrowser, openServer } from "../../bench/browser.ts";
import { browserNames, type DrivenBrowser } from "../../bench/driven-browser.ts";
import type { VerifyJob } from "../../bench/page/verify-page.ts";
import type { ServeOptions } from "../../bench/serve.ts";
import { decodeRuns, encodeRuns } from "../../bench/tensor-bundle.ts";
import { generateThreadWalk } from "../../compiler/codegen/wasm/thread-walk.ts";
import { tensorOf } from "../../runtime/format/tensor.ts";
import type { Stats } from "../../runtime/index.ts";
import { expectedOutput, tinyPackage, width } from "./tiny-package.ts";

const data = Float32Array.from({ length: width }, (_, index) => index - 2);
const timeout = 180_000;

/** Runs the tiny package once in a page of a server with these options; checks the numbers. */
async function visit(browser: DrivenBrowser, options: ServeOptions): Promise<Stats> {
  const server = await openServer({}, options);
  try {
    const files = await tinyPackage({ divided: true, threads: generateThreadWalk() });
    server.mount("/package/", { kind: "memory", files: new Map(Object.entries(files)) });
    const runs = encodeRuns([{ x: tensorOf("float32", [1, width], data) }]);
    server.mount("/inputs/", { kind: "memory", files: new Map([["inputs.bin", runs]]) });
    const page = await browser.open(`${server.url}/page/verify.html`);
    const job: VerifyJob = {
      package: "/package/",
      inputs: "/inputs/inputs.bin",
      result: "/result/outputs",
      backend: "auto",
      threads: 2,
    };
    expect(await page.evaluate<boolean>("crossOriginIsolated")).toBe(options.isolated ?? true);
    const stats = await page.evaluate<Stats>(`leafcutterVerify(${JSON.stringify(job)})`);
    const [outputs] = decodeRuns(await server.result("outputs"));
    expect(outputs?.y?.data).toEqual(expectedOutput(data));
    return stats;
  } finally {
    await server.close();
  }
}

describe.each(browserNames)("in %s", (name) => {
  const found = findBrowser(name);
  const missing = "missing" in found ? found.missing : undefined;

  describe.skipIf(missing !== undefined)(missing === undefined ? "" : `skipped: there is no ${missing}`, () => {
    let browser: DrivenBrowser;
    beforeAll(async () => {
      if (!("missing" in found)) browser = await found.launch();
    }, timeout);
    afterAll(() => browser.close());

    test("a page that is not cross-origin isolated runs on one thread", { timeout }, async () => {
      const { variant, threads, rejected } = await visit(browser, { isolated: false });
      expect([variant, threads]).toEqual([expect.stringMatching(/^wasm-(simd|relaxed)$/), 1]);
      const why = expect.stringMatching(/not cross-origin isolated \(headers COOP and COEP\)/);
      expect(rejected).toContainEqual({ variant: "wasm-simd-threads", why });
    });

    test("'wasm-unsafe-eval' is all the policy that a page needs", { timeout }, async () => {
      await visit(browser, policy("script-src 'self' 'wasm-unsafe-eval'"));
    });

    test("a policy without WebAssembly is a typed error that says so", { timeout }, async () => {
      const load = visit(browser, policy("script-src 'self'"));
      await expect(load).rejects.toThrow(/Content-Security-Policy needs 'wasm-unsafe-eval'.*\[feature-missing\]/s);
    });
  });
});

function policy(scripts: string): ServeOptions {
  return { headers: { "Content-Security-Policy": scripts } };
}
