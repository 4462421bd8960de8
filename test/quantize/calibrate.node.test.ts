import { describe, expect, test } from "vitest";
import { floatAttribute, integersAttribute } from "../../compiler/graph/attribute.ts";
import { GraphBuilder } from "../../compiler/graph/build.ts";
import type { Graph } from "../../compiler/graph/graph.ts";
import { inferNode } from "../../compiler/ops/infer.ts";
import { optimise } from "../../compiler/pipeline.ts";
import { calibrate } from "../../compiler/quantize/calibrate.ts";
import { countBins, Histogram } from "../../compiler/quantize/histogram.ts";
import { estimateFromNorms, normStatistics } from "../../compiler/quantize/norm-statistics.ts";
import { fillRandom } from "../../runtime/format/random.ts";
import { type Tensor, tensorOf } from "../../runtime/format/tensor.ts";
import { evaluateGraph } from "../graph/evaluate.ts";

type Sample = Readonly<Record<string, Tensor>>;
const open = async (graph: Graph) => ({
  run: async (sample: Sample) => evaluateGraph(graph, sample),
  close: () => undefined,
});

/** Sums of twelve uniform numbers: normal but for the tails. */
function normals(count: number, seed: number): Float32Array {
  const uniform = new Float32Array(count * 12);
  fillRandom("float32", uniform, seed);
  return Float32Array.from({ length: count }, (_, i) => {
    let sum = 0;
    for (let k = 0; k < 12; k++) sum += uniform[i * 12 + k] as number;
    return sum / 2;
  });
}

describe("ranges", () => {
  const values = normals(20_000, 3);
  values[5] = 40;
  const range = { lower: -4.5, upper: 40 };
  const histogram = new Histogram(range, countBins(values, range), values.length);

  test("min-max keeps an outlier, the other methods cut it off", () => {
    expect(histogram.choose("min-max", 8)).toEqual({ lower: -4.5, upper: 40 });
    for (const method of ["percentile", "mse", "entropy"] as const) {
      const { lower, upper } = histogram.choose(method, 8);
      expect(lower, method).toBeLessThan(-2.5);
      expect(upper, method).toBeLessThan(40);
      expect(upper, method).toBeGreaterThan(2);
    }
  });

  test("the range of least squared error has less error than the whole one", () => {
    const error = ({ lower, upper }: { lower: number; upper: number }): number => {
      const step = (upper - lower) / 15;
      return values.reduce((sum, value) => {
        const code = Math.min(15, Math.max(0, Math.round((value - lower) / step)));
        return sum + (lower + code * step - value) ** 2;
      }, 0);
    };
    expect(error(histogram.choose("mse", 4))).toBeLessThan(0.7 * error(histogram.choose("min-max", 4)));
  });
});

/** Convolution and batch norm and rectifier, as a model brings them. */
function normed(): Graph {
  const builder = new GraphBuilder("normed", inferNode);
  const x = builder.input("x", "float32", [1, 4, 12, 12]);
  const weights = tensorOf("float32", [6, 4, 3, 3], []);
  fillRandom("float32", weights.data, 5);
  const conv = builder.add("Conv", [x, builder.constant("w", weights)], { pads: integersAttribute([1, 1, 1, 1]) });
  // Mean and variance of a sum of 36 products of a normal and a uniform number in -1..1.
  const variance = Array.from({ length: 6 }, (_, channel) =>
    weights.data.subarray(channel * 36, (channel + 1) * 36).reduce((sum, value) => sum + value * value, 0),
  );
  const parameter = (name: string, content: readonly number[]) =>
    builder.constant(name, tensorOf("float32", [6], content));
  const norm = builder.add(
    "BatchNormalization",
    [
      conv,
      parameter("scale", [1, 0.5, 2, 1, 3, 1]),
      parameter("shift", [0, 1, -1, 2, 0, -3]),
      parameter("mean", new Array<number>(6).fill(0)),
      parameter("variance", variance),
    ],
    { epsilon: floatAttribute(1e-5) },
    { version: 15 },
  );
  const relu = builder.add("Relu", [norm]);
  const next = tensorOf("float32", [3, 6, 1, 1], []);
  fillRandom("float32", next.data, 6);
  builder.output("y", builder.add("Conv", [relu, builder.constant("v", next)]));
  return builder.finish();
}

describe("without data", () => {
  test("means and ranges behind a batch norm are those of real data", async () => {
    const imported = normed();
    const norms = normStatistics(imported);
    const graph = optimise(imported);
    const [name = "", estimate] = [...estimateFromNorms(graph, norms)][0] ?? [];
    const samples = Array.from({ length: 8 }, (_, i) => ({
      x: tensorOf("float32", [1, 4, 12, 12], normals(576, 90 + i)),
    }));
    const { channels, ranges } = await calibrate(graph, samples, { open, source: "samples", method: "min-max" });
    const observed = channels.get(name);
    expect(observed).toBeDefined();
    for (const [channel, mean] of (observed?.mean ?? []).entries())
      expect(estimate?.channels.mean[channel] ?? -1).toBeCloseTo(mean, 0);
    const upper = ranges.get(name)?.upper ?? 0;
    expect(estimate?.range.upper).toBeGreaterThan(0.8 * upper);
    expect(estimate?.range.upper).toBeLessThan(2.5 * upper);
    expect(estimate?.range.lower).toBe(0);
  });

  test("what does not follow from batch norms comes from synthetic inputs", async () => {
    const imported = normed();
    const graph = optimise(imported);
    const sample = { x: tensorOf("float32", [1, 4, 12, 12], normals(576, 1)) };
    const settings = { open, source: "synthetic inputs" } as const;
    const plain = await calibrate(graph, [sample], settings);
    const both = await calibrate(graph, [sample], { ...settings, norms: normStatistics(imported) });
    expect(plain.source).toBe("synthetic inputs");
    expect(both.source).toBe("batch norms");
    expect(both.ranges.get("x")).toEqual(plain.ranges.get("x"));
    const [, ...others] = [...both.ranges.keys()];
    expect(others.some((name) => both.ranges.get(name)?.upper !== plain.ranges.get(name)?.upper)).toBe(true);
  });
});

test("calibration reports progress and can be stopped", async () => {
  const graph = optimise(normed());
  const sample = { x: tensorOf("float32", [1, 4, 12, 12], normals(576, 1)) };
  const steps: string[] = [];
  const controller = new AbortController();
  const run = calibrate(graph, [sample, sample], {
    open,
    source: "samples",
    onProgress: (done, total) => {
      steps.push(`${done}/${total}`);
      if (done === 2) controller.abort();
    },
    signal: controller.signal,
  });
  await expect(run).rejects.toThrow();
  expect(steps).toEqual(["0/4", "1/4", "2/4"]);
});
