/** Sessions on several threads in Node: in a worker of their own and in this thread, and what happens without. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { generateThreadWalk } from "../../compiler/codegen/wasm/thread-walk.ts";
import { compile } from "../../compiler/compile.ts";
import { diskFolder, fileSource } from "../../compiler/file-source.ts";
import { readDataSets } from "../../compiler/import/data-set.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import { load } from "../../runtime/index.ts";
import { modelEnvironment, openModel } from "../../runtime/worker/open-model.ts";
import { expectedOutput, tinyModule, tinyPackage, width } from "./tiny-package.ts";

const x = (rows: number): Float32Array => Float32Array.from({ length: rows * width }, (_, index) => (index % 7) - 3);
const slow = { iterations: 1_000_000, rounds: 10_000 };
const walk = generateThreadWalk();
const divided = (): ReturnType<typeof tinyPackage> => tinyPackage({ divided: true, probe: true, threads: walk });

test.each([true, false])(
  "with worker: %s two threads compute, are counted, and go with the session",
  async (worker) => {
    const session = await load(await divided(), { worker, threads: 2 });
    for (const rows of [4, 1, 3]) {
      const { y } = await session.run({ x: { data: x(rows), shape: [rows, width] } });
      expect(y?.data).toEqual(expectedOutput(x(rows)));
    }
    const stats = await session.stats();
    expect([stats.variant, stats.threads, stats.notes]).toEqual(["wasm-simd-threads", 2, []]);
    await session.dispose();
    await expect(session.run({ x: { data: x(1) } })).rejects.toMatchObject({ diagnostic: { code: "disposed" } });
  },
);

test("a run on two threads is aborted, and the next one runs", async () => {
  const session = await load(await tinyPackage({ divided: true, slow, threads: walk }), { threads: 2 });
  const abort = new AbortController();
  const running = session.run({ x: { data: x(4) } }, { signal: abort.signal });
  setTimeout(() => abort.abort(), 30);
  await expect(running).rejects.toMatchObject({ diagnostic: { code: "aborted" } });
  expect((await session.stats()).threads).toBe(2);
  await session.dispose();
});

test("a package without the thread module, and one thread asked for, run on one", async () => {
  const plain = await load(await tinyPackage({ divided: true }), { worker: false, threads: 2 });
  expect((await plain.stats()).threads).toBe(1);
  await plain.dispose();
  const single = await load(await divided(), { worker: false });
  expect(await single.stats()).toMatchObject({ variant: "wasm-simd", threads: 1 });
  await single.dispose();
});

test("a host whose threads cannot share memory: one thread, and stats say why", async () => {
  const environment = { ...modelEnvironment(), missingThreads: () => "the page is not isolated" };
  const model = await openModel(await divided(), { threads: 2 }, environment);
  const { y } = await model.run({ x: { data: x(2) } });
  expect(y?.data).toEqual(expectedOutput(x(2)));
  const stats = await model.stats();
  expect([stats.variant, stats.threads]).toEqual(["wasm-simd", 1]);
  expect(stats.rejected).toContainEqual({ variant: "wasm-simd-threads", why: "the page is not isolated" });
  await model.dispose();
  await expect(openModel(await divided(), { backend: "wasm-simd-threads" }, environment)).rejects.toMatchObject({
    diagnostic: { code: "feature-missing" },
  });
});

test("a memory limit that only one thread keeps", async () => {
  const model = await openModel(await divided(), { threads: 2, maxMemory: 65536 }, modelEnvironment());
  expect(await model.stats()).toMatchObject({ variant: "wasm-simd", threads: 1, memoryBytes: 65536 });
  await model.dispose();
});

test("wrong kernels fall back from shared to plain memory, weights included", async () => {
  const modules = { "wasm-relaxed": tinyModule({ faultyAdd: true }), "wasm-simd": tinyModule() };
  const environment = { ...modelEnvironment(), missingFeature: () => undefined };
  const files = await tinyPackage({ divided: true, probe: true, threads: walk, modules });
  const model = await openModel(files, { backend: "wasm-relaxed-threads", threads: 2 }, environment);
  expect((await model.run({ x: { data: x(4) } })).y?.data).toEqual(expectedOutput(x(4)));
  const stats = await model.stats();
  expect([stats.variant, stats.threads]).toEqual(["wasm-simd-threads", 2]);
  await model.dispose();
  const plain = await openModel(files, { backend: "wasm-relaxed-threads", threads: 1 }, environment);
  expect((await plain.run({ x: { data: x(4) } })).y?.data).toEqual(expectedOutput(x(4)));
  await plain.dispose();
});

test.each([0, 1.5, 65, Number.NaN])("%d is no number of threads", async (threads) => {
  await expect(load(await divided(), { worker: false, threads })).rejects.toMatchObject({
    diagnostic: { code: "option-invalid" },
  });
});

const models = join(import.meta.dirname, "../../../shared/models");

describe.skipIf(!existsSync(models))("real models (skipped without ../shared/models)", () => {
  test.each(["mobilenetv2_float", "bert_mlm_g2p", "gtcrn_simple"])(
    "%s: two and three threads give the bits that one gives",
    async (name) => {
      const folder = join(models, name);
      const [set] = await readDataSets(diskFolder(folder));
      const { files, manifest } = await compile(fileSource(join(folder, "model.onnx")), {
        ...(set ? { sampleShapes: set.inputs } : {}),
        batchFromSample: true,
        threads: true,
      });
      const inputs = Object.fromEntries(
        manifest.inputs.map((port, index) => {
          const tensor = set?.inputs.find((candidate) => candidate.name === port.name) ?? set?.inputs[index];
          const { dtype, shape, data } = tensor as Tensor;
          return [port.name, { dtype, shape, data }];
        }),
      );
      const bits = async (threads: number): Promise<readonly Uint8Array[]> => {
        const session = await load(Object.fromEntries(files), { worker: false, threads });
        const outputs = await session.run(inputs);
        expect((await session.stats()).threads).toBe(threads);
        await session.dispose();
        return Object.values(outputs).map(({ data }) => new Uint8Array(data.buffer));
      };
      const one = await bits(1);
      expect(await bits(2)).toEqual(one);
      expect(await bits(3)).toEqual(one);
    },
    120_000,
  );
});
