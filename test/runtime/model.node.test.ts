/** A model in hosts that lack something: no SIMD, no relaxed SIMD, no crypto.subtle, a cache that works or does not. */
import { expect, test } from "vitest";
import { missingFeature } from "../../runtime/engine/probe.ts";
import type { Stats } from "../../runtime/index.ts";
import { hostEnvironment } from "../../runtime/load/environment.ts";
import { type ModelEnvironment, type ModelOptions, openModel } from "../../runtime/worker/open-model.ts";
import { expectedOutput, tinyModule, tinyPackage, width } from "./tiny-package.ts";

const everything: ModelEnvironment = {
  ...hostEnvironment(),
  missingFeature: () => undefined,
  missingThreads: () => undefined,
};
const both = { "wasm-simd": tinyModule(), "wasm-relaxed": tinyModule() };
const data = Float32Array.from({ length: width }, (_, index) => index / 2);

type Files = Record<string, Uint8Array>;

async function statsAfterRun(
  files: Files | string,
  environment: ModelEnvironment,
  options: ModelOptions = {},
): Promise<Stats> {
  const model = await openModel(files, options, environment);
  expect((await model.run({ x: { data } })).y?.data).toEqual(expectedOutput(data));
  expect(model.runSync({ x: { data } }).y?.data).toEqual(expectedOutput(data));
  const stats = await model.stats();
  await model.dispose();
  return stats;
}

test("this host has SIMD, and an impossible instruction would be noticed", () => {
  expect(missingFeature("wasm-simd")).toBeUndefined();
  expect(["undefined", "string"]).toContain(typeof missingFeature("wasm-relaxed"));
});

test("relaxed SIMD is preferred, and its absence is explained", async () => {
  const files = await tinyPackage({ modules: both });
  expect(await statsAfterRun(files, everything)).toMatchObject({ variant: "wasm-relaxed", rejected: [] });
  const environment = {
    ...everything,
    missingFeature: (variant: string) => (variant === "wasm-relaxed" ? "too old" : undefined),
  };
  expect(await statsAfterRun(files, environment)).toMatchObject({
    variant: "wasm-simd",
    rejected: [{ variant: "wasm-relaxed", why: "too old" }],
  });
  await expect(openModel(files, { backend: "wasm-relaxed" }, environment)).rejects.toMatchObject({
    code: "feature-missing",
  });
  expect(await statsAfterRun(files, everything, { backend: "wasm-simd" })).toMatchObject({ variant: "wasm-simd" });
});

test("a host without SIMD is a typed error that says why", async () => {
  const environment = { ...everything, missingFeature: () => "this host has no SIMD" };
  await expect(openModel(await tinyPackage({ modules: both }), {}, environment)).rejects.toMatchObject({
    diagnostic: { code: "feature-missing", received: expect.stringContaining("this host has no SIMD") },
  });
});

test("a variant whose kernel fails its known answer is replaced, with the weights it has", async () => {
  const modules = { ...both, "wasm-relaxed": tinyModule({ faultyAdd: true }) };
  const stats = await statsAfterRun(await tinyPackage({ modules, probe: true }), everything);
  expect(stats.variant).toBe("wasm-simd");
  expect(stats.rejected[0]?.why).toMatch(/kernel add/);
  expect(stats.notes.join()).toMatch(/fell back from wasm-relaxed to wasm-simd/);
});

test("a variant that fails the self-test is replaced when idle", async () => {
  const selfTest = { seed: 1, bindings: { batch: 1 }, outputs: selfTestOutputs(1), absolute: 1e-6, relative: 0 };
  const modules = { ...both, "wasm-relaxed": tinyModule({ faultyAdd: true }) };
  const files = await tinyPackage({ modules, selfTest });
  const model = await openModel(files, {}, everything);
  await model.run({ x: { data } });
  for (;;) {
    const stats = await model.stats();
    if (stats.selfTest !== "pending") {
      expect(stats).toMatchObject({ variant: "wasm-simd", selfTest: "passed" });
      break;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  expect((await model.run({ x: { data } })).y?.data).toEqual(expectedOutput(data));
  await model.dispose();
});

/** The right outputs for inputs generated from `seed`, as a self-test lists them. */
function selfTestOutputs(seed: number) {
  let state = seed;
  const x = Float32Array.from({ length: width }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) / 8388608 - 1;
  });
  const values = [...expectedOutput(x)];
  return [{ name: "y", indices: values.map((_, index) => index), values }];
}

test("without crypto.subtle files are verified all the same, and stats say so", async () => {
  const files = await tinyPackage();
  const environment = { ...everything, subtle: undefined };
  expect((await statsAfterRun(files, environment)).notes.join()).toMatch(/crypto\.subtle is missing/);
  const shard = (files["shard-0.bin"] ?? new Uint8Array()).map((byte) => byte ^ 255);
  await expect(openModel({ ...files, "shard-0.bin": shard }, {}, environment)).rejects.toMatchObject({
    diagnostic: { code: "integrity-mismatch", where: "shard-0.bin" },
  });
});

/** Cache Storage in a map, and a server that counts. */
function cachingHost(files: Files, stored = new Map<string, Response>()) {
  const requests: string[] = [];
  const cache = {
    match: async (key: string) => stored.get(key)?.clone(),
    keys: async () => [...stored.keys()].map((url) => ({ url })),
    put: async (key: string, response: Response) => void stored.set(key, response),
    delete: async (key: string) => stored.delete(key),
  };
  const environment: ModelEnvironment = {
    ...everything,
    caches: { has: async () => stored.size > 0, open: async () => cache } as unknown as CacheStorage,
    fetch: async (request) => {
      const path = new URL(String(request)).pathname.split("/").at(-1) ?? "";
      requests.push(path);
      const file = files[path];
      return file === undefined ? new Response(null, { status: 404 }) : new Response(file.slice());
    },
  };
  return { environment, requests, stored };
}

test("the second load asks the network for the manifest alone", async () => {
  const host = cachingHost(await tinyPackage());
  expect((await statsAfterRun("http://example.org/tiny", host.environment)).cache).toBe("miss");
  host.requests.length = 0;
  expect((await statsAfterRun("http://example.org/tiny", host.environment)).cache).toBe("hit");
  expect(host.requests).toEqual(["manifest.json"]);
});

test("a damaged cache entry is fetched again", async () => {
  const host = cachingHost(await tinyPackage());
  await statsAfterRun("http://example.org/tiny", host.environment);
  for (const key of host.stored.keys()) host.stored.set(key, new Response("damaged"));
  host.requests.length = 0;
  expect((await statsAfterRun("http://example.org/tiny", host.environment)).cache).toBe("miss");
  expect(host.requests).toHaveLength(5);
  expect((await statsAfterRun("http://example.org/tiny", host.environment)).cache).toBe("hit");
});

test("a cache that cannot be used, and the option that switches it off, are said", async () => {
  const host = cachingHost(await tinyPackage());
  const refusing = {
    has: async () => true,
    open: () => Promise.reject(new Error("no room")),
  } as unknown as CacheStorage;
  const stats = await statsAfterRun("http://example.org/tiny", { ...host.environment, caches: refusing });
  expect(stats.cache).toBe("unavailable: no room");
  const off = await statsAfterRun("http://example.org/tiny", host.environment, { cache: false });
  expect(off.cache).toMatch(/^unavailable: switched off/);
  const absent = await statsAfterRun("http://example.org/tiny", { ...host.environment, caches: undefined });
  expect(absent.cache).toMatch(/^unavailable: no Cache Storage/);
});
