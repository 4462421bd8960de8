/**
 * What a thread of this host can do, each feature tried: a module that ran with the right answer, a file that came back
 * from the cache, a lock that was granted. A name that exists proves nothing. (session-features.ts runs on the GPU.)
 */
import type { Expression } from "../../compiler/assemble/expression.ts";
import { f32, i32 } from "../../compiler/assemble/scalar.ts";
import { f32x4, i32x4 } from "../../compiler/assemble/vector.ts";
import { ModuleBuilder } from "../../compiler/assemble/wasm.ts";

export interface Feature {
  readonly name: string;
  /** "yes", "no: why", or what was seen. */
  readonly seen: string;
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Runs one function of a module made for it; what it returns, or why there is none. */
function evaluate(result: () => Expression<"f32">): number | string {
  const module = new ModuleBuilder({ memory: { module: "env", name: "memory", initialPages: 1 } });
  module.function("run", { params: [], results: ["f32"], exported: true }, (body) => body.return(result()));
  const memory = new WebAssembly.Memory({ initial: 1 });
  try {
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.encode()), { env: { memory } });
    return Number((exports.run as () => number)());
  } catch {
    return "no";
  }
}

const lane = (x: Expression<"v128">): Expression<"f32"> => f32x4.extractLane(x, 0);

function simd(): string {
  const sum = evaluate(() => lane(f32x4.add(f32x4.splat(f32.const(2)), f32x4.splat(f32.const(3)))));
  return typeof sum === "string" ? sum : sum === 5 ? "yes" : `wrong: 2 + 3 = ${sum}`;
}

/** (1 + 2^-12)^2 - (1 + 2^-11) is 2^-24 in one rounding, and 0 when the product is rounded first. */
function relaxedMultiplyAdd(): string {
  const factor = f32x4.splat(f32.const(1 + 2 ** -12));
  const result = evaluate(() => lane(f32x4.relaxedMadd(factor, factor, f32x4.splat(f32.const(-1 - 2 ** -11)))));
  if (typeof result === "string") return result;
  return result === 2 ** -24 ? "fused" : result === 0 ? "not fused" : `wrong: ${result}`;
}

/** 4 products of -100 and 100, added to 7. */
function relaxedDot(): string {
  const bytes = (value: number): Expression<"v128"> => i32x4.splat(i32.const((value & 255) * 0x01010101));
  const result = evaluate(() => {
    const dot = i32x4.relaxedDotI8x16I7x16AddS(bytes(-100), bytes(100), i32x4.splat(i32.const(7)));
    return lane(f32x4.convertI32x4S(dot));
  });
  if (typeof result === "string") return result;
  return result === 7 - 40_000 ? "yes" : `wrong: ${result} instead of ${7 - 40_000}`;
}

/** A module that imports the shared memory env.memory of one page and has nothing else in it. */
const sharedImport = Uint8Array.of(
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
  ...[0x02, 0x09, 0x01, 0x01, 0x65, 0x01, 0x6d, 0x02, 0x03, 0x01, 0x01],
);

function sharedMemory(): string {
  if (typeof SharedArrayBuffer === "undefined") return "no: SharedArrayBuffer is not defined";
  try {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    new WebAssembly.Instance(new WebAssembly.Module(sharedImport), { e: { m: memory } });
    const words = new Int32Array(memory.buffer);
    Atomics.add(words, 0, 3);
    return words[0] === 3 ? "yes" : "wrong";
  } catch (error) {
    return `no: ${messageOf(error)}`;
  }
}

async function cacheStorage(): Promise<string> {
  if (typeof caches === "undefined") return "no: caches is not defined";
  const name = "leafcutter-features";
  const key = "https://leafcutter.invalid/feature";
  try {
    const cache = await caches.open(name);
    await cache.put(key, new Response(Uint8Array.of(1, 2, 3)));
    const response = await cache.match(key);
    const bytes = response === undefined ? [] : [...new Uint8Array(await response.arrayBuffer())];
    return bytes.join() === "1,2,3" ? "yes" : "no: what was put is not there";
  } catch (error) {
    return `no: ${messageOf(error)}`;
  } finally {
    await caches.delete(name).catch(() => false);
  }
}

async function webLocks(): Promise<string> {
  if (typeof navigator !== "object" || !("locks" in navigator)) return "no: navigator.locks is not defined";
  return (await navigator.locks.request("leafcutter-features", async () => "yes")) as string;
}

async function streamingCompile(address: string | undefined): Promise<string> {
  if (address === undefined) return "–";
  try {
    const { body } = await fetch(address);
    if (!body) return "no: a response without a body";
    const inflated = body.pipeThrough(new DecompressionStream("deflate-raw"));
    const module = await WebAssembly.compileStreaming(
      new Response(inflated, { headers: { "content-type": "application/wasm" } }),
    );
    return WebAssembly.Module.exports(module).length > 0 ? "yes" : "wrong";
  } catch (error) {
    return `no: ${messageOf(error)}`;
  }
}

async function webgpu(): Promise<string> {
  if (typeof navigator !== "object" || !("gpu" in navigator)) return "no: navigator.gpu is not defined";
  const adapter = await navigator.gpu.requestAdapter();
  if (adapter === null) return "no: there is no adapter";
  const { vendor, architecture } = adapter.info;
  const extras = ["shader-f16", "subgroups", "timestamp-query"].filter((feature) => adapter.features.has(feature));
  const name = [vendor, architecture].filter((word) => word !== "").join(" ");
  const megabytes = Math.floor(adapter.limits.maxStorageBufferBindingSize / 2 ** 20);
  return [`adapter${name === "" ? "" : ` ${name}`}`, ...extras, `bindings of ${megabytes} MiB`].join(", ");
}

/** In the order of the table. @param module address of a WebAssembly file, where there is a server. */
export async function measureFeatures(module: string | undefined): Promise<readonly Feature[]> {
  return [
    { name: "SIMD", seen: simd() },
    { name: "relaxed multiply-add", seen: relaxedMultiplyAdd() },
    { name: "relaxed int8 dot", seen: relaxedDot() },
    { name: "shared memory (threads)", seen: sharedMemory() },
    { name: "streaming compile", seen: await streamingCompile(module) },
    { name: "Cache Storage", seen: await cacheStorage() },
    { name: "Web Locks", seen: await webLocks() },
    { name: "WebGPU in a worker", seen: await webgpu() },
  ];
}
