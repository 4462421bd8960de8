/** What a compiled package is: deterministic, sharded, small, exact in memory, right on its golden data and at every batch of its range. */
import { createHash } from "node:crypto";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { compareOutputs } from "../../bench/compare.ts";
import { compile, type Package } from "../../compiler/compile.ts";
import { diskFolder, fileSource } from "../../compiler/file-source.ts";
import { readDataSets } from "../../compiler/import/data-set.ts";
import { programOf } from "../../compiler/package/program-of.ts";
import { contentOf } from "../../runtime/format/inflate.ts";
import { pageBytes } from "../../runtime/format/program.ts";
import { load } from "../../runtime/index.ts";

const folder = resolve("demo/models/cifar10");
const source = (): ReturnType<typeof fileSource> => fileSource(join(folder, "model.onnx"));
const filesOf = (result: Package): Record<string, Uint8Array> => Object.fromEntries(result.files);

describe("a compiled package", () => {
  it("is the same bytes for the same input", async () => {
    const [first, second] = [await compile(source()), await compile(source())];
    expect([...first.files.keys()]).toEqual([...second.files.keys()]);
    for (const [path, bytes] of first.files) {
      expect(Buffer.compare(bytes, second.files.get(path) ?? new Uint8Array()), path).toBe(0);
    }
  });

  it("hashes every file, and names shards of at most 4 MiB after their hash", async () => {
    const { files, manifest } = await compile(source());
    const threads = manifest.threads ? [manifest.threads] : [];
    const references = [manifest.program, ...manifest.modules, ...threads, ...manifest.shards];
    expect(files.size).toBe(references.length + 1);
    for (const { path, bytes, sha256 } of references) {
      const content = files.get(path) ?? new Uint8Array();
      expect(content.byteLength, path).toBe(bytes);
      expect(createHash("sha256").update(content).digest("hex"), path).toBe(sha256);
    }
    for (const { path, bytes, sha256 } of manifest.shards) {
      expect(path).toBe(`${sha256}.bin`);
      expect(bytes).toBeLessThanOrEqual(4 * 1024 * 1024);
    }
  });

  it("has modules of at most 60 KB that import the memory alone", async () => {
    const { files, manifest } = await compile(source());
    for (const file of manifest.modules) {
      const content = await contentOf(file, files.get(file.path) ?? new Uint8Array());
      expect(content.byteLength).toBeLessThanOrEqual(60_000);
      expect(file.bytes).toBeLessThan(0.5 * content.byteLength);
      if (file.variant !== "wasm-simd") continue;
      const module = new WebAssembly.Module(content as Uint8Array<ArrayBuffer>);
      expect(WebAssembly.Module.imports(module)).toEqual([{ module: "env", name: "memory", kind: "memory" }]);
    }
  });

  it("takes no more linear memory than its weights and live tensors justify", async () => {
    const result = await compile(source());
    const { weightBytes, liveBytes, memoryBytes } = result.report;
    expect(memoryBytes).toBe((await programOf(result)).memory.pages * pageBytes);
    expect(memoryBytes).toBeLessThanOrEqual(1.15 * (weightBytes + liveBytes) + 128 * 1024);
  });

  it("gives the golden outputs and passes its own self-test", async () => {
    const [set] = await readDataSets(diskFolder(folder));
    if (!set) throw new Error("the demo model has no data set");
    const result = await compile(source(), { sampleShapes: set.inputs, batchFromSample: true });
    const session = await load(filesOf(result), { worker: false });
    const outputs = await session.run(Object.fromEntries(set.inputs.map((tensor) => [tensor.name, tensor])));
    const expected = Object.fromEntries(set.outputs.map((tensor) => [tensor.name, tensor]));
    expect(compareOutputs(outputs, expected).difference).toBeUndefined();
    await session.dispose();
  });

  it("runs batches of 1, 3 and 4 from one package compiled for 1..4, and refuses 5", async () => {
    const result = await compile(source(), { dims: { batch: { lower: 1, upper: 4 } } });
    const session = await load(filesOf(result), { worker: false });
    const image = (batch: number): Float32Array =>
      Float32Array.from({ length: batch * 3072 }, (_, index) => ((index * 7919) % 256) / 255);
    const run = async (batch: number): Promise<readonly number[]> => {
      const { logits } = await session.run({
        image: { dtype: "float32", shape: [batch, 3, 32, 32], data: image(batch) },
      });
      expect(logits?.shape).toEqual([batch, 10]);
      return Array.from(logits?.data as Float32Array);
    };
    const four = await run(4);
    expect(four.every(Number.isFinite)).toBe(true);
    expect(await run(1)).toEqual(four.slice(0, 10));
    expect(await run(3)).toEqual(four.slice(0, 30));
    expect(await run(4)).toEqual(four);
    await expect(run(5)).rejects.toMatchObject({ code: "input-shape" });
    expect(await run(1)).toEqual(four.slice(0, 10));
    await session.dispose();
  });
});
