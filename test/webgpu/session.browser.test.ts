/**
 * Sessions on WebGPU from compiled packages, in a worker and in the page: the network of the demo, a range of batches,
 * falling back from shaders that are wrong, and a device that goes away.
 */
import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { bytesSource, compile } from "../../compiler/compile.ts";
import { contentOf } from "../../runtime/format/inflate.ts";
import type { FileReference, Manifest } from "../../runtime/format/manifest.ts";
import type { ShaderSet } from "../../runtime/format/shader.ts";
import { type LoadOptions, load, type Session } from "../../runtime/index.ts";
import { difference } from "../ops/compare.ts";
import { adapterReason, gpuTimeout } from "./graph-engine.ts";

type Files = Record<string, Uint8Array>;

const reason = await adapterReason();
const text = new TextDecoder();
const encoder = new TextEncoder();
let files: Files = {};

async function hash(bytes: Uint8Array): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The package with other shaders, and a manifest that says so. */
async function withShaders(change: (shader: string) => string): Promise<Files> {
  const manifest = JSON.parse(text.decode(files["manifest.json"])) as Manifest;
  const reference = manifest.shaders as FileReference;
  const content = await contentOf(reference, files[reference.path] as Uint8Array);
  const set = JSON.parse(text.decode(content)) as ShaderSet;
  const changed = { ...set, shaders: set.shaders.map((shader) => (shader === null ? null : change(shader))) };
  const bytes = encoder.encode(JSON.stringify(changed));
  const shaders = { path: reference.path, bytes: bytes.byteLength, sha256: await hash(bytes) };
  return {
    ...files,
    [reference.path]: bytes,
    "manifest.json": encoder.encode(JSON.stringify({ ...manifest, shaders })),
  };
}

async function withSession<T>(source: Files, options: LoadOptions, use: (session: Session) => Promise<T>): Promise<T> {
  const session = await load(source, options);
  try {
    return await use(session);
  } finally {
    await session.dispose();
  }
}

const image = (batch: number): Float32Array =>
  Float32Array.from({ length: batch * 3072 }, (_, index) => ((index * 7919) % 256) / 255);
const inputs = (batch: number) => ({ image: { data: image(batch), shape: [batch, 3, 32, 32] } });

describe.skipIf(reason !== undefined)(`on WebGPU${reason === undefined ? "" : `, skipped: ${reason}`}`, () => {
  beforeAll(async () => {
    const response = await fetch("/demo/models/cifar10/model.onnx");
    const source = bytesSource("model.onnx", new Uint8Array(await response.arrayBuffer()));
    const result = await compile(source, { webgpu: true, dims: { batch: { lower: 1, upper: 3 } } });
    files = Object.fromEntries(result.files);
  }, gpuTimeout);

  afterEach(() => vi.restoreAllMocks());

  test("every batch of the range is what WebAssembly computes, from a worker", { timeout: gpuTimeout }, async () => {
    await withSession(files, { backend: "webgpu" }, async (session) => {
      await session.stats({ profile: true });
      for (const batch of [2, 1, 3]) {
        const { logits } = await session.run(inputs(batch));
        const expected = await withSession(files, { backend: "wasm-simd" }, (other) => other.run(inputs(batch)));
        if (!expected.logits) throw new Error("there is no output");
        expect(difference(logits, expected.logits, { absolute: 1e-4, relative: 1e-4 })).toBeUndefined();
      }
      const { steps = [], ...stats } = await session.stats();
      expect(stats).toMatchObject({ variant: "webgpu", rejected: [], selfTest: "passed", notes: [], runs: 3 });
      expect(new Set(steps.map(({ where }) => where))).toEqual(new Set(["webgpu"]));
    });
  });

  test("a run is one submission of dispatches and one of results, and makes no pipeline", {
    timeout: gpuTimeout,
  }, async () => {
    await withSession(files, { backend: "webgpu", worker: false }, async (session) => {
      await session.run(inputs(2));
      const submit = vi.spyOn(GPUQueue.prototype, "submit");
      const made = [
        vi.spyOn(GPUDevice.prototype, "createComputePipelineAsync"),
        vi.spyOn(GPUDevice.prototype, "createBindGroup"),
      ];
      await session.run(inputs(2));
      expect(submit).toHaveBeenCalledTimes(2);
      for (const make of made) expect(make).not.toHaveBeenCalled();
    });
  });

  test("wrong numbers are found before the first result, and a WebAssembly variant takes over", {
    timeout: gpuTimeout,
  }, async () => {
    const wrong = await withShaders((shader) => shader.replaceAll("bitcast<u32>(x)); }", "bitcast<u32>(x * 1.5f)); }"));
    await withSession(wrong, { backend: "webgpu" }, async (session) => {
      const { variant, rejected, notes } = await session.stats();
      expect(variant).toMatch(/^wasm-/);
      expect(rejected).toMatchObject([{ variant: "webgpu" }]);
      expect(notes.join()).toMatch(/fell back from webgpu/);
      const { logits } = await session.run(inputs(1));
      expect(logits?.data.length).toBe(10);
    });
  });

  test("so does one when a shader does not compile", { timeout: gpuTimeout }, async () => {
    const broken = await withShaders((shader) => `${shader}\nnonsense`);
    await withSession(broken, { backend: "webgpu" }, async (session) => {
      const { variant, rejected } = await session.stats();
      expect(variant).toMatch(/^wasm-/);
      expect(rejected[0]?.why).toMatch(/a shader that this device compiles/);
    });
  });

  test("a set of shaders for another program is refused", { timeout: gpuTimeout }, async () => {
    const manifest = JSON.parse(text.decode(files["manifest.json"])) as Manifest;
    const bytes = encoder.encode(JSON.stringify({ workgroupSize: 64, shaders: [null] }));
    const shaders = { path: "shaders.json", bytes: bytes.byteLength, sha256: await hash(bytes) };
    const other = {
      ...files,
      "shaders.json": bytes,
      "manifest.json": encoder.encode(JSON.stringify({ ...manifest, shaders })),
    };
    await expect(load(other, { backend: "webgpu" })).rejects.toMatchObject({ code: "package-invalid" });
  });

  test("a package without shaders says so", async () => {
    const { shaders: _, ...manifest } = JSON.parse(text.decode(files["manifest.json"])) as Manifest;
    const without = { ...files, "manifest.json": encoder.encode(JSON.stringify(manifest)) };
    await expect(load(without, { backend: "webgpu" })).rejects.toMatchObject({
      code: "feature-missing",
      diagnostic: { received: expect.stringContaining("webgpu: the package does not contain it") },
    });
  });

  test("a device that is lost hands over to WebAssembly", { timeout: gpuTimeout }, async () => {
    const devices: GPUDevice[] = [];
    const request = GPUAdapter.prototype.requestDevice;
    vi.spyOn(GPUAdapter.prototype, "requestDevice").mockImplementation(async function (this: GPUAdapter, descriptor) {
      const device = await request.call(this, descriptor);
      devices.push(device);
      return device;
    });
    await withSession(files, { backend: "webgpu", worker: false }, async (session) => {
      const before = await session.run(inputs(1));
      expect(devices.length).toBe(1);
      devices[0]?.destroy();
      const { logits } = await session.run(inputs(1));
      if (!before.logits) throw new Error("there is no output");
      expect(difference(logits, before.logits, { absolute: 1e-4, relative: 1e-4 })).toBeUndefined();
      expect(await session.stats()).toMatchObject({
        rejected: [{ variant: "webgpu", why: expect.stringContaining("device-lost") }],
      });
    });
  });

  test("a device that is lost under a run hands over to WebAssembly", { timeout: gpuTimeout }, async () => {
    const devices: GPUDevice[] = [];
    const request = GPUAdapter.prototype.requestDevice;
    vi.spyOn(GPUAdapter.prototype, "requestDevice").mockImplementation(async function (this: GPUAdapter, descriptor) {
      const device = await request.call(this, descriptor);
      devices.push(device);
      return device;
    });
    await withSession(files, { backend: "webgpu", worker: false }, async (session) => {
      const { logits: expected } = await session.run(inputs(2));
      const run = session.run(inputs(2));
      await Promise.resolve();
      devices[0]?.destroy();
      const { logits } = await run;
      if (!expected) throw new Error("there is no output");
      expect(difference(logits, expected, { absolute: 1e-4, relative: 1e-4 })).toBeUndefined();
    });
  });

  test("a device too small for the model hands over to WebAssembly", { timeout: gpuTimeout }, async () => {
    const limits = { maxStorageBufferBindingSize: 65536, maxBufferSize: 65536 } as GPUSupportedLimits;
    vi.spyOn(GPUAdapter.prototype, "limits", "get").mockReturnValue(limits);
    await withSession(files, { backend: "webgpu", worker: false }, async (session) => {
      const { variant, reason: why, rejected } = await session.stats();
      expect(variant).toMatch(/^wasm-/);
      expect(why).toBe("fallback from webgpu");
      expect(rejected).toMatchObject([{ variant: "webgpu", why: expect.stringContaining("at most 65536 bytes") }]);
      expect((await session.run(inputs(1))).logits?.data.length).toBe(10);
    });
  });

  test("an adapter that gives no device hands over to WebAssembly", { timeout: gpuTimeout }, async () => {
    vi.spyOn(GPUAdapter.prototype, "requestDevice").mockRejectedValue(new DOMException("limits", "OperationError"));
    await withSession(files, { backend: "webgpu", worker: false }, async (session) => {
      expect(await session.stats()).toMatchObject({ rejected: [{ why: expect.stringContaining("gives no device") }] });
    });
  });

  test("an abort ends a run, and the next one is right", { timeout: gpuTimeout }, async () => {
    await withSession(files, { backend: "webgpu" }, async (session) => {
      const { logits: expected } = await session.run(inputs(3));
      const abort = new AbortController();
      const run = session.run(inputs(2), { signal: abort.signal });
      abort.abort();
      await expect(run).rejects.toMatchObject({ code: "aborted" });
      expect((await session.run(inputs(3))).logits).toEqual(expected);
    });
  });
});
