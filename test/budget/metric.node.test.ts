/** Metrics of the user's own, and what else is said of quality: groups, labels, perplexity. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Metric, metricDrop, metricFrom, scoreOf } from "../../compiler/budget/metric.ts";
import { QualityMeter } from "../../compiler/budget/quality.ts";
import { loadMetric } from "../../compiler/cli/load-metric.ts";
import { type CompileOptions, compile } from "../../compiler/compile.ts";
import { fileSource } from "../../compiler/file-source.ts";
import { LeafcutterError } from "../../runtime/format/diagnostic.ts";
import { fillRandom } from "../../runtime/format/random.ts";
import { tensorOf } from "../../runtime/format/tensor.ts";

const scored = [1, 2, 3].map((value, index) => ({
  output: { y: tensorOf("float32", [1], [value]) },
  label: value + 1,
  sample: { x: tensorOf("float32", [1], [value]) },
  index,
}));

describe("a metric", () => {
  test("on all samples, and on one at a time", async () => {
    const all: Metric = {
      name: "count",
      score: (outputs, labels, samples) => outputs.length + labels.length + samples.length,
    };
    expect(await scoreOf(all, scored)).toBe(9);
    const each: Metric = {
      name: "mean error",
      perSample: true,
      score: async ({ y }, label) => Math.abs((y?.data[0] as number) - (label as number)) * 3,
    };
    expect(await scoreOf(each, scored)).toBe(3);
  });

  test("that fails is named, with its sample", async () => {
    const throwing: Metric = {
      name: "mine",
      perSample: true,
      score: (_, label) => {
        if (label === 3) throw new TypeError("no box");
        return 1;
      },
    };
    await expect(scoreOf(throwing, scored)).rejects.toThrow(
      /metric mine, sample 1: the metric failed; expected a finite number; received TypeError: no box/,
    );
    const wrong = { name: "mine", score: () => Number.NaN };
    await expect(scoreOf(wrong, scored)).rejects.toThrow("metric mine, 3 samples: the metric's answer is no score");
    const nothing = metricFrom(() => undefined, "empty");
    await expect(scoreOf(nothing, scored)).rejects.toThrow("received undefined");
  });

  test("loses in its unit, in either direction", () => {
    const score = () => 0;
    expect(metricDrop({ name: "accuracy", score }, 0.9, 0.85)).toBeCloseTo(5);
    expect(metricDrop({ name: "error", unit: "px", higherIsBetter: false, score }, 2, 2.5)).toBeCloseTo(0.5);
  });

  test("is a default export: a function or an object", () => {
    expect(metricFrom(function iou() {}, "file")).toMatchObject({ name: "iou" });
    expect(metricFrom(() => 1, "file").name).toBe("file");
    class Own {
      factor = 2;
      name = "own";
      score(): number {
        return this.factor;
      }
    }
    expect(metricFrom(new Own(), "file").name).toBe("own");
    for (const [exported, message] of [
      [undefined, "the module has no metric"],
      [{ name: "x" }, "its score is wrong; expected a function; received nothing"],
      [{ score: () => 1, higherIsBetter: "no" }, "its higherIsBetter is wrong; expected a boolean"],
    ] as const)
      expect(() => metricFrom(exported, "file")).toThrow(message);
  });
});

describe("a metric's module", () => {
  let folder = "";
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "metric-"));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));
  const written = async (name: string, source: string) => {
    await writeFile(join(folder, name), source);
    return join(folder, name);
  };

  test("is loaded; what is wrong with it is said", async () => {
    const metric = await loadMetric(await written("a.mjs", "export default { name: 'a', unit: '%', score: () => 5 }"));
    expect(metric).toMatchObject({ name: "a", unit: "%", identity: expect.stringMatching(/^[0-9a-f]{64}$/) });
    await expect(loadMetric(join(folder, "none.mjs"))).rejects.toThrow(/none\.mjs.*\[file-missing\]/);
    await expect(loadMetric(await written("b.mjs", "export default {"))).rejects.toThrow(
      /the module does not load; expected an ES module.*Try it alone/,
    );
    await expect(loadMetric(await written("c.mjs", "export const score = 1"))).rejects.toThrow(
      "the module has no metric",
    );
  });
});

const model = fileSource(resolve(import.meta.dirname, "../../demo/models/digits/model.onnx"));
const samples = Array.from({ length: 8 }, (_, i) => {
  const image = tensorOf("float32", [1, 1, 28, 28], []);
  fillRandom("float32", image.data, i);
  return { image };
});
const compiled = (extra: CompileOptions) =>
  compile(model, { precision: { kind: "int4", blockSize: 32, zeros: true }, samples, workers: 1, ...extra });
const groups = samples.map((_, i) => (i < 3 ? "few" : "many"));
/** The largest logit's mean: quantised networks come close. */
const largest: Metric = {
  name: "largest",
  unit: "nats",
  score: (outputs) =>
    outputs.reduce((sum, { logits }) => sum + Math.max(...Float32Array.from(logits?.data as Float32Array)), 0) /
    outputs.length,
};

describe("compiling with a metric", { timeout: 120_000 }, () => {
  test("it is reported, by groups too, and limits hold", async () => {
    const { report, manifest } = await compiled({ metric: largest, groups });
    const { metric, worstGroup, groups: found } = report.budget?.quality ?? {};
    expect(metric).toMatchObject({ name: "largest", unit: "nats", higherIsBetter: true });
    expect(Math.abs((metric?.reference ?? 0) - (metric?.quantised ?? 9))).toBeLessThan(2);
    expect(found?.map(({ name, samples: count }) => [name, count])).toEqual([
      ["few", 3],
      ["many", 5],
    ]);
    expect(worstGroup?.drop).toBe(Math.max(...(found ?? []).map(({ drop }) => drop)));
    expect(manifest.provenance.options.metric).toBe("largest");
    const limit = (metric?.quantised ?? 0) - 0.001;
    const kept = await compiled({ metric: largest, minMetric: limit });
    expect(kept.report.budget?.limits).toMatchObject([{ quantity: "minMetric", limit, value: metric?.quantised }]);
    await expect(compiled({ metric: largest, minMetric: 1e6 })).rejects.toThrow(/metric at least.*budget-infeasible/s);
    const reference = metric?.reference ?? 0;
    const between = Math.max(reference, metric?.quantised ?? 0);
    if (reference > (metric?.quantised ?? 0))
      await expect(compiled({ metric: largest, minMetric: between })).rejects.toThrow(
        "one scheme for all layers does not keep the limits",
      );
  });

  test("options that contradict are refused", async () => {
    for (const [extra, message] of [
      [{ minMetric: 1 }, "a limit on a metric needs the metric"],
      [{ metric: largest, maxMetric: 1 }, "the metric largest is better when higher"],
      [{ metric: { ...largest, higherIsBetter: false }, minMetric: 1 }, "is better when lower"],
    ] as const) {
      const error = await compiled(extra).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(LeafcutterError);
      expect((error as Error).message).toContain(message);
    }
    await expect(compile(model, { maxSize: 1e5, metric: largest })).rejects.toThrow("a metric needs samples");
  });

  test("labels that are no classes of the model, too few or no samples", async () => {
    const labels = samples.map(() => 3);
    const { report } = await compiled({ labels });
    expect(report.budget?.quality.accuracy).toBeDefined();
    await expect(compiled({ labels: labels.with(5, 10) })).rejects.toThrow(
      "labels, sample 5: the label is no class of the model; expected 0 to 9; received 10",
    );
    await expect(compiled({ labels: labels.with(5, -1) })).rejects.toThrow("sample 5: its label is no class");
    await expect(compiled({ labels: labels.slice(1) })).rejects.toThrow("the labels do not match the samples");
    await expect(compiled({ samples: [] })).rejects.toThrow(
      "there are too few samples; expected at least 1; 32 or more are wise",
    );
    const one = await compiled({ samples: samples.slice(0, 1) });
    expect(one.report.notes.join()).toContain("1 calibration sample is few");
  });
});

test("a language model's outputs: perplexity over what is no padding, agreement of positions", () => {
  const logits = (rows: readonly (readonly number[])[]) => ({
    logits: tensorOf("float32", [1, rows.length, 3], rows.flat().map(Math.log)),
  });
  const meter = new QualityMeter({ language: { logits: "logits", vocabulary: 3 } });
  const sample = {
    input_ids: tensorOf("int64", [1, 3], [0, 1, 2]),
    attention_mask: tensorOf("int64", [1, 3], [1, 1, 1]),
  };
  const float = logits([
    [0.25, 0.5, 0.25],
    [0.25, 0.25, 0.5],
    [1 / 3, 1 / 3, 1 / 3],
  ]);
  const quantised = logits([
    [0.5, 0.25, 0.25],
    [0.25, 0.25, 0.5],
    [1 / 3, 1 / 3, 1 / 3],
  ]);
  meter.add(float, quantised, sample);
  meter.add(float, quantised, { ...sample, attention_mask: tensorOf("int64", [1, 3], [0, 0, 1]) });
  const { perplexity, outputs } = meter.finish();
  expect(perplexity?.tokens).toBe(2);
  expect(perplexity?.reference).toBeCloseTo(2);
  expect(perplexity?.quantised).toBeCloseTo(Math.sqrt(8));
  expect(outputs[0]?.classes?.agreement).toBeCloseTo(2 / 3);
  expect(outputs[0]?.classes?.divergence).toBeCloseTo((0.25 * Math.log(2)) / 3);
});
