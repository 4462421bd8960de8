import { describe, expect, test } from "vitest";
import { rowsOf } from "../../bench/bench.ts";
import type { Cold } from "../../bench/cold.ts";
import type { EngineResult, JobResult } from "../../bench/measure/job.ts";
import { memorySummaries, ratioSummaries } from "../../bench/report-figures.ts";
import { renderHtml } from "../../bench/report-html.ts";
import { renderTable } from "../../bench/report-table.ts";
import type { Results, Row } from "../../bench/row.ts";
import type { Target } from "../../bench/target.ts";

const latency = (medianMs: number) => ({
  medianMs,
  p95Ms: 2 * medianMs,
  p99Ms: 3 * medianMs,
  throughput: 1000 / medianMs,
  samples: 30,
});

function engine(name: EngineResult["engine"], medianMs: number, changes: Partial<EngineResult> = {}): EngineResult {
  return {
    engine: name,
    threads: 1,
    status: "ok",
    variant: name === "leafcutter" ? "wasm-relaxed" : "wasm",
    latency: latency(medianMs),
    runsPerSample: 1,
    maxError: 1e-6,
    agrees: true,
    ...changes,
  } as EngineResult;
}

const target: Target = { name: "<net>", package: new Map(), inputs: {}, precision: "float32" };
const context = { target, where: "chromium", cold: new Map() } as const;
const steps = [
  { name: "conv1", op: "Conv", kernel: "conv 3x3 6x8 float32", milliseconds: 2, flops: 60e6, bytes: 1, where: "wasm" },
  { name: "cast", op: "Cast", kernel: "Cast", milliseconds: 1, flops: 0, bytes: 1, where: "host" },
] as const;

function resultsOf(rows: readonly Row[]): Results {
  const roof = { relaxedGflops: 60, simdGflops: 40, readGigabytes: 30, cachedReadGigabytes: 90, copyGigabytes: 20 };
  return {
    host: {
      cpu: "cpu",
      cores: 2,
      memoryBytes: 1e9,
      platform: "linux x64",
      node: "v20",
      date: "2026-01-01T00:00:00.000Z",
      roof: { chromium: roof },
    },
    rows,
  };
}

const right: JobResult = {
  engines: [engine("leafcutter", 2), engine("onnxruntime-web", 6), engine("tfjs", 5)],
  stats: { steps } as unknown as NonNullable<JobResult["stats"]>,
};
const wrong: JobResult = {
  engines: [
    engine("leafcutter", 2, { status: "wrong", reason: "y[3] is 1, expected 2" }),
    engine("onnxruntime-web", 6, { agrees: false }),
  ],
};

describe("rows", () => {
  test("have every field of the JSON that people's tools read", () => {
    const [row] = rowsOf(right, context);
    const fields =
      "model engine precision variant where threads medianMs p95Ms p99Ms readyMs firstOutputMs peakBytes maxError";
    expect(Object.keys(row ?? {})).toEqual(expect.arrayContaining(fields.split(" ")));
    expect(JSON.parse(JSON.stringify(row))).toMatchObject({
      model: "<net>",
      engine: "leafcutter",
      precision: "float32",
      variant: "wasm-relaxed",
      where: "chromium",
      threads: 1,
      medianMs: 2,
      readyMs: null,
      ratio: { "onnxruntime-web": 3, tfjs: 2.5 },
    });
  });

  test("a wrong one has no ratio", () => {
    const [row] = rowsOf(wrong, context);
    expect(row).toMatchObject({ status: "wrong", medianMs: 2 });
    expect(row).not.toHaveProperty("ratio");
  });

  test("there is no ratio to a peer that computes something else", () => {
    const engines = [engine("leafcutter", 2), engine("onnxruntime-web", 6), engine("tfjs", 5, { agrees: false })];
    expect(rowsOf({ engines }, context)[0]?.ratio).toEqual({ "onnxruntime-web": 3 });
  });

  test("an engine that failed says why and has no figures", () => {
    const failed: EngineResult = { engine: "tfjs", threads: 1, status: "failed", reason: "no kernel" };
    const [own, peer] = rowsOf({ engines: [engine("leafcutter", 2), failed] }, context);
    expect(own).not.toHaveProperty("ratio");
    expect(peer).toMatchObject({ status: "failed", reason: "no kernel", medianMs: null, throughput: null });
  });

  test("an infinite error is no number of JSON", () => {
    const engines = [engine("leafcutter", 2, { maxError: Number.POSITIVE_INFINITY })];
    expect(rowsOf({ engines }, context)[0]?.maxError).toBeNull();
  });
});

test("geometric means count models with a ratio only", () => {
  const rows = [...rowsOf(right, context), ...rowsOf(wrong, context)];
  const named = rowsOf({ engines: [engine("leafcutter", 1), engine("onnxruntime-web", 12)] }, context);
  expect(ratioSummaries(resultsOf([...rows, ...named]))).toMatchObject([
    { peer: "onnxruntime-web", models: 2, geometricMean: expect.closeTo(6, 9), least: { ratio: 3 } },
    { peer: "tfjs", models: 1 },
  ]);
});

test("peak memory is compared with the peer's of the same model, place and threads", () => {
  const cold = (own: number, peer: number): ReadonlyMap<EngineResult["engine"], Cold> => {
    const nothing = { readyMs: null, firstOutputMs: null, roundTripMs: null, bytesFetched: null };
    return new Map([
      ["leafcutter", { ...nothing, peakBytes: own }],
      ["onnxruntime-web", { ...nothing, peakBytes: peer }],
    ]);
  };
  const models = [cold(2e6, 8e6), cold(9e6, 9e6)].flatMap((values, index) =>
    rowsOf(right, { target: { ...target, name: `net ${index}` }, where: "firefox", cold: values }),
  );
  const unmeasured = rowsOf(right, { ...context, where: "firefox" });
  expect(memorySummaries(resultsOf([...models, ...unmeasured]))).toEqual([
    {
      where: "firefox",
      peer: "onnxruntime-web",
      models: 2,
      geometricMean: expect.closeTo(0.5, 9),
      most: { model: "net 1", ratio: 1 },
    },
  ]);
  expect(renderTable(resultsOf(models))).toContain("peak memory 0.50 of onnxruntime-web's in firefox");
});

test("threads: each number beside the peer on as many, and beside one thread", () => {
  const on = (threads: number, changes: Partial<EngineResult> = {}): Partial<EngineResult> => ({ threads, ...changes });
  const engines = [
    engine("leafcutter", 4),
    engine("onnxruntime-web", 8),
    engine("leafcutter", 2.5, on(2, { variant: "wasm-relaxed-threads" })),
    engine("onnxruntime-web", 6, on(2)),
    engine("leafcutter", 4, on(3)),
  ];
  const rows = rowsOf({ engines, ...(right.stats === undefined ? {} : { stats: right.stats }) }, context);
  expect(rows.map(({ threads, ratio }) => [threads, ratio])).toEqual([
    [1, { "onnxruntime-web": 2 }],
    [1, undefined],
    [2, { "onnxruntime-web": 2.4 }],
    [2, undefined],
    [3, undefined],
  ]);
  expect(rows.map(({ profile }) => profile !== undefined)).toEqual([true, false, false, false, false]);
  const text = renderTable(resultsOf(rows));
  expect(text).toContain("2 threads are 1.60x one thread on <net> in chromium");
  expect(text).toContain("<net> in chromium runs on one thread where 3 may");
  expect(text).toContain("2.40x onnxruntime-web in chromium on 2 threads: geometric mean of 1");
});

test("the table shows ratio, verdict and roof", () => {
  const text = renderTable(resultsOf([...rowsOf(right, context), ...rowsOf(wrong, context)]));
  expect(text).toContain("3.00x / 2.50x");
  expect(text).toMatch(/<net> .* leafcutter .* wrong$/m);
  expect(text).toContain("y[3] is 1, expected 2");
  expect(text).toContain("dense layers at 50 % of the roof");
});

describe("the HTML report", () => {
  const html = renderHtml(resultsOf([...rowsOf(right, context), ...rowsOf(wrong, context)]));

  test("is one file without scripts and outside assets", () => {
    expect(html).not.toMatch(/<script|<link|<img|url\(|@import|https?:/);
    expect(html).toContain('name="viewport"');
    expect(html).toContain("prefers-color-scheme:dark");
  });

  test("escapes names", () => {
    expect(html).not.toContain("<net>");
    expect(html).toContain("&#60;net&#62;");
  });

  test("has a row per engine, and a ratio only where outputs agree", () => {
    const [, runs = ""] = html.split("<h2>Runs</h2>");
    const [body = ""] = runs.split("</table>");
    expect(body.match(/<tr><td>/g)).toHaveLength(5);
    expect(body).toContain("3.00× 2.50×");
    const own = body.split("<tr>").filter((row) => row.includes("dot leafcutter"));
    expect(own[1]).toContain('class="bad">wrong<');
    expect(own[1]).not.toContain("×");
    expect(html.match(/class="one"/g)).toHaveLength(2);
  });

  test("gives dense steps their share of the roof, others none", () => {
    expect(html.match(/ of the roof<\/p>/g)).toHaveLength(1);
    expect(html).toContain("<b>50 %</b> of the roof");
  });
});
