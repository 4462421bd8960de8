/** What `verify` says of a model that runs, but not on the variant that was asked for. */
import { resolve } from "node:path";
import { expect, test, vi } from "vitest";
import { verifyFolders } from "../../bench/verify.ts";
import type * as Runtime from "../../runtime/index.ts";

vi.mock("../../runtime/index.ts", async (original) => {
  const runtime = await original<typeof Runtime>();
  const load = (source: string | URL | Runtime.PackageFiles, options?: Runtime.LoadOptions): Promise<Runtime.Session> =>
    runtime.load(source, { ...options, backend: "wasm-simd" });
  return { ...runtime, load };
});

async function verify(backend: "auto" | "wasm-simd" | "webgpu"): Promise<string> {
  const lines: string[] = [];
  await verifyFolders([resolve("demo/models/digits")], { backend, where: "node", print: (line) => lines.push(line) });
  return lines.join();
}

test("falling back is a failure that names the variant", async () => {
  expect(await verify("webgpu")).toMatch(/^FAILED {2}digits: runs on wasm-simd: .*, wasm-simd in node$/);
});

test.each(["auto", "wasm-simd"] as const)(
  "the variant that %s chooses is not, and its steps are counted",
  async (backend) => {
    expect(await verify(backend)).toMatch(/^ok {6}digits: .*, wasm-simd in node, steps: [1-9]\d* wasm, 0 host$/);
  },
);
