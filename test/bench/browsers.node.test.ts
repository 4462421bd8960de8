/** Every browser of this machine under the driver: a page whose process is killed, and a bench in which a model fails. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { runBench } from "../../bench/bench.ts";
import { findBrowser } from "../../bench/browser.ts";
import { browserNames } from "../../bench/driven-browser.ts";
import type { Results } from "../../bench/row.ts";
import { serve } from "../../bench/serve.ts";
import { tensorOf } from "../../runtime/format/tensor.ts";
import { tinyPackage, width } from "../runtime/tiny-package.ts";

const timeout = 180_000;

/** Ends a process, unless it has ended since it was listed: browsers drop spare ones at any moment. */
function kill(id: number): void {
  try {
    process.kill(id, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

describe.each(browserNames)("in %s", (name) => {
  const found = findBrowser(name);
  const missing = "missing" in found ? found.missing : undefined;

  test.skipIf(missing !== undefined || process.platform !== "linux")(
    `a page whose process is killed fails, and the next one works${missing === undefined ? "" : ` (there is no ${missing})`}`,
    async () => {
      if ("missing" in found) return;
      const files = new Map([["page.html", "<!doctype html><title>page</title>"]]);
      const server = await serve({ "/": { kind: "memory", files } });
      const browser = await found.launch();
      try {
        const address = `${server.url}/page.html`;
        const page = await browser.open(address);
        const endless = expect(page.evaluate("new Promise(() => undefined)")).rejects.toThrow();
        for (const id of await browser.renderers()) kill(id);
        await endless;
        await page.close().catch(() => undefined);
        const next = await browser.open(address);
        expect(await next.evaluate("({ sum: 1 + 1, missing: undefined })")).toEqual({ sum: 2 });
        await expect(next.evaluate("Promise.reject(new Error('as the page says'))")).rejects.toThrow(
          "as the page says",
        );
      } finally {
        await browser.close();
        await server.close();
      }
    },
    timeout,
  );
});

test(
  "a target that fails is a row that says so, and the others are measured and written",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "leafcutter-bench-test-"));
    const json = join(folder, "rows.json");
    try {
      const x = tensorOf("float32", [1, width], Array.from({ length: width }, Number));
      const works = {
        name: "tiny",
        package: new Map(Object.entries(await tinyPackage())),
        inputs: { x },
        precision: "float32",
      };
      const damaged = { ...works, name: "damaged", package: new Map([["manifest.json", Uint8Array.of(1)]]) };
      const targets = ["/no/such/model", damaged, works];
      await runBench({ targets, where: ["node"], peers: [], visits: 0, rounds: 5, budgetMs: 50, json });
      const { rows } = JSON.parse(readFileSync(json, "utf8")) as Results;
      expect(rows.map(({ model, status }) => `${model} ${status}`)).toEqual([
        "model failed",
        "damaged failed",
        "tiny ok",
      ]);
      expect(rows[0]?.reason).toContain("file-missing");
      expect(rows[1]?.reason).toContain("package-invalid");
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
  timeout,
);
