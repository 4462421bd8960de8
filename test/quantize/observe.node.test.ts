/** Batches of samples in workers and from the cache: the same bits, whatever was done where and when. */
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { calibrationFolder, usualCalibrationFolder } from "../../compiler/cli/calibration-folder.ts";
import { type CalibrationStore, type CompileOptions, compile, memoryStore } from "../../compiler/compile.ts";
import { openExecution } from "../../compiler/execution.ts";
import { fileSource } from "../../compiler/file-source.ts";
import { integersAttribute } from "../../compiler/graph/attribute.ts";
import { GraphBuilder } from "../../compiler/graph/build.ts";
import type { Graph } from "../../compiler/graph/graph.ts";
import { ObserverTeam, type StartThread } from "../../compiler/observer-team.ts";
import { inferNode } from "../../compiler/ops/infer.ts";
import { optimise } from "../../compiler/pipeline.ts";
import { defaultCosts } from "../../compiler/plan/default-costs.ts";
import { type CalibrateSettings, calibrate } from "../../compiler/quantize/calibrate.ts";
import { WorkCache } from "../../compiler/quantize/work-cache.ts";
import { LeafcutterError } from "../../runtime/format/diagnostic.ts";
import { fillRandom } from "../../runtime/format/random.ts";
import { tensorOf } from "../../runtime/format/tensor.ts";

function network(): Graph {
  const builder = new GraphBuilder("network", inferNode);
  const x = builder.input("x", "float32", [1, 3, 10, 10]);
  const random = (shape: readonly number[], seed: number) => {
    const tensor = tensorOf("float32", shape, []);
    fillRandom("float32", tensor.data, seed);
    return tensor;
  };
  const conv = builder.add("Conv", [x, builder.constant("w", random([8, 3, 3, 3], 1))], {
    pads: integersAttribute([1, 1, 1, 1]),
  });
  const relu = builder.add("Relu", [conv]);
  builder.output("y", builder.add("Conv", [relu, builder.constant("v", random([4, 8, 1, 1], 2))]));
  return optimise(builder.finish());
}

const samples = Array.from({ length: 10 }, (_, i) => {
  const x = tensorOf("float32", [1, 3, 10, 10], []);
  fillRandom("float32", x.data, 50 + i);
  return { x };
});

const settings = { open: openExecution, source: "samples", secondMoments: true } as const;
const run = (extra: Partial<CalibrateSettings>, given = samples) =>
  calibrate(network(), given, { ...settings, ...extra });

describe("workers", () => {
  test.each([1, 2, 3])("%i workers find the same bits as none", async (workers) => {
    const team = new ObserverTeam({ workers, costs: defaultCosts });
    const progress: number[] = [];
    try {
      const here = await run({});
      const there = await run({
        openObserver: (graph, runs) => team.open(graph, runs),
        onProgress: (done, total) => progress.push(done / total),
      });
      expect(there).toEqual(here);
      expect(team.notes).toEqual([]);
      expect(progress).toEqual(progress.toSorted((a, b) => a - b));
      expect(progress).toHaveLength(21);
      expect(progress.at(-1)).toBe(1);
    } finally {
      team.close();
    }
  });

  test("an abort ends them at once", async () => {
    const team = new ObserverTeam({ workers: 2, costs: defaultCosts });
    const controller = new AbortController();
    const aborted = run({
      openObserver: (graph, runs) => team.open(graph, runs),
      onProgress: (done) => done === 3 && controller.abort(new Error("enough")),
      signal: controller.signal,
    });
    await expect(aborted).rejects.toThrow("enough");
    team.close();
  });

  test("workers that do not start or die: the work is done here, and a note says why", async () => {
    const broken: StartThread = (_, onFailure) => {
      queueMicrotask(() => onFailure("no such file"));
      return { post: () => undefined, terminate: () => undefined };
    };
    const dying: StartThread = (onAnswer, onFailure) => ({
      post: ({ kind }) =>
        setTimeout(() => (kind === "open" ? onAnswer({ kind: "ready" }) : onFailure("out of memory"))),
      terminate: () => undefined,
    });
    for (const [start, reason] of [
      [broken, "no such file"],
      [dying, "out of memory"],
    ] as const) {
      const team = new ObserverTeam({ workers: 2, costs: defaultCosts, start });
      expect(await run({ openObserver: (graph, runs) => team.open(graph, runs) })).toEqual(await run({}));
      expect(team.notes).toEqual([`calibrated without workers: ${reason}`]);
    }
  });

  test("a sample on which the model fails is named", async () => {
    const team = new ObserverTeam({ workers: 2, costs: defaultCosts });
    const bad = samples.with(6, { x: tensorOf("float32", [1, 3, 9, 10], []) });
    const failing = run({ openObserver: (graph, runs) => team.open(graph, runs) }, bad);
    await expect(failing).rejects.toThrow(/^sample 6.*input-shape/s);
    await expect(failing).rejects.toBeInstanceOf(LeafcutterError);
    team.close();
  });
});

describe("cache", () => {
  const counted = (store: CalibrationStore) => {
    const cache = new WorkCache(store, "1");
    return { cache, opened: { count: 0 } };
  };
  const runCached = async (store: CalibrationStore, given = samples) => {
    const { cache, opened } = counted(store);
    const open: CalibrateSettings["open"] = (graph, variants) => {
      opened.count++;
      return openExecution(graph, variants);
    };
    const calibration = await run({ cache, open }, given).catch((error: unknown) => error);
    return { calibration, opened: opened.count, ...cache.counts, notes: cache.notes };
  };

  test("what was observed is not run again; other samples, graphs and versions are", async () => {
    const store = memoryStore();
    const first = await runCached(store);
    expect(first).toMatchObject({ opened: 1, hits: 0, misses: 6 });
    expect(await runCached(store)).toMatchObject({ calibration: first.calibration, opened: 0, hits: 6, misses: 0 });
    expect(first.calibration).toEqual(await run({}));
    const fewer = await runCached(store, samples.slice(0, 5));
    expect(fewer.opened).toBe(1);
    expect(fewer.hits).toBeGreaterThanOrEqual(1);
    const newer = new WorkCache(store, "2");
    await run({ cache: newer });
    expect(newer.counts).toMatchObject({ hits: 0, misses: 6 });
  });

  test("batches done before a bad sample are kept", async () => {
    const store = memoryStore();
    const bad = samples.with(9, { x: tensorOf("float32", [1, 3, 9, 10], []) });
    const failed = await runCached(store, bad);
    expect(failed.calibration).toBeInstanceOf(LeafcutterError);
    const again = await runCached(store);
    expect(again).toMatchObject({ hits: 2, calibration: await run({}) });
  });

  test("batches done before an abort are kept", async () => {
    const store = memoryStore();
    const controller = new AbortController();
    const stopped = run({
      cache: new WorkCache(store, "1"),
      signal: controller.signal,
      onProgress: (done) => done === 9 && controller.abort(),
    });
    await expect(stopped).rejects.toThrow();
    expect(await runCached(store)).toMatchObject({ hits: 2, calibration: await run({}) });
  });

  test("a store that fails is a note", async () => {
    const full: CalibrationStore = {
      get: () => Promise.reject(new Error("EACCES: permission denied")),
      put: () => Promise.reject(new Error("ENOSPC: no space left on device")),
    };
    const { calibration, notes } = await runCached(full);
    expect(calibration).toEqual(await run({}));
    expect(notes).toEqual([
      "the calibration cache cannot be read: EACCES: permission denied",
      "the calibration cache cannot be written: ENOSPC: no space left on device",
    ]);
  });

  describe("in a folder", () => {
    let folder = "";
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), "calibration-"));
    });
    afterAll(() => rm(folder, { recursive: true, force: true }));

    test("damaged entries are found out and made again", async () => {
      const store = calibrationFolder(join(folder, "new", "one"));
      const first = await runCached(store);
      const files = (await readdir(join(folder, "new", "one"))).sort();
      expect(files).toHaveLength(6);
      const [flipped = "", cut = "", empty = ""] = files.map((file) => join(folder, "new", "one", file));
      const bytes = await readFile(flipped);
      bytes[bytes.length - 3] = (bytes[bytes.length - 3] as number) ^ 1;
      await writeFile(flipped, bytes);
      await writeFile(cut, (await readFile(cut)).subarray(0, 40));
      await writeFile(empty, "");
      const again = await runCached(store);
      expect(again).toMatchObject({ calibration: first.calibration, hits: 3, broken: 3 });
      expect(again.notes).toEqual(["an entry of the calibration cache was damaged, and was made again"]);
      expect(await runCached(store)).toMatchObject({ hits: 6, broken: 0, opened: 0 });
    });

    test("a path that is a file is a note", async () => {
      const file = join(folder, "file");
      await writeFile(file, "");
      const { calibration, notes } = await runCached(calibrationFolder(file));
      expect(calibration).toEqual(await run({}));
      expect(notes.join()).toContain("the calibration cache cannot be written");
    });

    test("the oldest entries go when there is no room", async () => {
      const store = calibrationFolder(join(folder, "small"), 1000);
      for (const key of ["a", "b", "c"]) {
        await store.put(key, new Uint8Array(400));
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      expect(await store.get("a")).toBeUndefined();
      expect((await store.get("c"))?.length).toBe(400);
      await store.put("large", new Uint8Array(2000));
      expect(await store.get("large")).toBeUndefined();
      const memory = memoryStore(1000);
      for (const key of ["a", "b", "c"]) await memory.put(key, new Uint8Array(400));
      expect([await memory.get("a"), (await memory.get("b"))?.length]).toEqual([undefined, 400]);
    });

    test("it stands in the user's cache folder", () => {
      expect(usualCalibrationFolder({ XDG_CACHE_HOME: "/cache" })).toBe(join("/cache", "leafcutter"));
      expect(usualCalibrationFolder({})).toMatch(/leafcutter/);
    });
  });
});

test("a package is the same with one worker, with two, and from the cache", { timeout: 120_000 }, async () => {
  const model = fileSource(resolve(import.meta.dirname, "../../demo/models/digits/model.onnx"));
  const images = Array.from({ length: 6 }, (_, i) => {
    const image = tensorOf("float32", [1, 1, 28, 28], []);
    fillRandom("float32", image.data, i);
    return { image };
  });
  const calibrationStore = memoryStore();
  const made = async (extra: CompileOptions) => {
    const { files, report } = await compile(model, {
      precision: { kind: "int8", activationBits: 8, dynamic: false },
      samples: images,
      ...extra,
    });
    return { files: [...files], calibration: report.calibration, notes: report.notes };
  };
  const one = await made({ workers: 1 });
  const two = await made({ workers: 2, calibrationStore });
  const kept = await made({ workers: 2, calibrationStore });
  expect(two.files).toEqual(one.files);
  expect(kept.files).toEqual(one.files);
  expect(kept.calibration).toMatchObject({ source: "samples", samples: 6, ranges: "mse" });
  expect(kept.calibration?.cached?.parts).toBe(kept.calibration?.cached?.of);
  expect(kept.notes.join()).toContain("6 calibration samples are few");
  const whole = await made({ ranges: "min-max", calibrationStore });
  expect(whole.files).not.toEqual(one.files);
  expect(whole.calibration?.cached?.parts).toBeGreaterThan(0);
});
