/** Calibration in a page: in Web Workers, and kept in Cache Storage. */
import { expect, test } from "vitest";
import { type CompileOptions, cacheStorageStore, compile, urlSource } from "../../compiler/compile.ts";
import { fillRandom } from "../../runtime/format/random.ts";
import { tensorOf } from "../../runtime/format/tensor.ts";

const model = new URL("../../demo/models/digits/model.onnx", import.meta.url).href;
const samples = Array.from({ length: 6 }, (_, i) => {
  const image = tensorOf("float32", [1, 1, 28, 28], []);
  fillRandom("float32", image.data, i);
  return { image };
});

test("two workers and the cache make the package that none makes", { timeout: 120_000 }, async () => {
  const name = `calibration-test-${Math.random()}`;
  const calibrationStore = cacheStorageStore(name);
  const made = async (extra: CompileOptions) => {
    const { files, report } = await compile(urlSource(model), {
      precision: { kind: "int8", activationBits: 8, dynamic: false },
      samples,
      ...extra,
    });
    return { files: [...files].map(([path, bytes]) => [path, [...bytes].join()]), report };
  };
  try {
    const one = await made({ workers: 1 });
    const two = await made({ workers: 2, calibrationStore });
    expect(two.files).toEqual(one.files);
    expect(two.report.notes.join()).not.toContain("without workers");
    const kept = await made({ workers: 2, calibrationStore });
    expect(kept.files).toEqual(one.files);
    const { cached } = kept.report.calibration ?? {};
    expect(cached?.parts).toBe(cached?.of);
  } finally {
    await caches.delete(name);
  }
});
