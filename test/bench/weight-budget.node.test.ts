import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { compileToWeightBytes } from "../../bench/quality/weight-budget.ts";
import { fillRandom } from "../../runtime/format/random.ts";
import { load } from "../../runtime/index.ts";

const path = join(dirname(fileURLToPath(import.meta.url)), "../../demo/models/digits/model.onnx");

const samples = Array.from({ length: 4 }, (_, seed) => {
  const data = new Float32Array(28 * 28);
  fillRandom("float32", data, seed + 1);
  return { image: { dtype: "float32", shape: [1, 1, 28, 28], data } } as const;
});

test("a package keeps to a share of another's weight bytes, uses most of it, and runs", async () => {
  const { files, weightBytes, share } = await compileToWeightBytes(path, {
    samples,
    share: 0.7,
    of: { kind: "float16" },
  });
  expect(share).toBeLessThanOrEqual(0.7);
  expect(share).toBeGreaterThan(0.5);
  expect(weightBytes).toBeGreaterThan(0);
  const session = await load(Object.fromEntries(files), { worker: false });
  const [output] = Object.values(await session.run(samples[0] as (typeof samples)[number]));
  expect(output?.data).toHaveLength(10);
  await session.dispose();
}, 120_000);
