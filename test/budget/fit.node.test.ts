import { resolve } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { type FittedGraph, fitToBudget } from "../../compiler/budget/fit.ts";
import { syntheticSamples } from "../../compiler/budget/samples.ts";
import { compile, type Package } from "../../compiler/compile.ts";
import { fileSource } from "../../compiler/file-source.ts";
import { GraphBuilder } from "../../compiler/graph/build.ts";
import type { Graph } from "../../compiler/graph/graph.ts";
import { inferNode } from "../../compiler/ops/infer.ts";
import { LeafcutterError } from "../../runtime/format/diagnostic.ts";
import { tensorOf } from "../../runtime/format/tensor.ts";
import { chain, chainBudget, fakeSize } from "./chain.ts";

const sizeOnly = (size: number) => chainBudget({ limits: { size } });

/** The scheme of every constant among which there was a choice. */
const chosen = ({ layers, picks }: FittedGraph): Record<string, string> =>
  Object.fromEntries(
    layers.map(({ constant, options }, i) => [constant.name, options[picks[i] ?? 0]?.scheme.kind ?? ""]),
  );

const storages = (graph: Graph): Record<string, string> =>
  Object.fromEntries([...graph.constants.keys()].map(({ name, type }) => [name, type.storage?.kind ?? "float32"]));

describe("with a simple model of sizes", () => {
  const full = fakeSize(chain());

  test("a graph that fits is left as it is", async () => {
    const graph = chain();
    const fitted = await fitToBudget(graph, sizeOnly(full));
    expect(fitted.graph).toBe(graph);
    expect(fitted.layers).toEqual([]);
    expect(fitted.outcome).toBeUndefined();
  });

  test("every limit down to the smallest possible size is kept, at an error that never falls", async () => {
    let last = 0;
    for (const share of [0.99, 0.8, 0.65, 0.5, 0.45]) {
      const limit = Math.floor(full * share);
      const fitted = await fitToBudget(chain(), sizeOnly(limit));
      const { graph, outcome, outputError = Number.NaN } = fitted;
      expect(fakeSize(graph)).toBeLessThanOrEqual(limit);
      const kinds = Object.entries(chosen(fitted)).map(([name, kind]) => [name, kind.replace("-weights", "")]);
      expect(Object.fromEntries(kinds)).toEqual(storages(graph));
      expect(kinds).toHaveLength(3);
      expect(outcome?.limits).toMatchObject([{ quantity: "size", limit, value: fakeSize(graph) }]);
      expect(outputError).toBeGreaterThan(0);
      expect(outputError).toBeGreaterThanOrEqual(last * 0.9);
      last = outputError;
    }
    expect(last).toBeLessThan(0.02);
  });

  test("an impossible limit names the smallest possible size, and that size is possible", async () => {
    const error = await fitToBudget(chain(), sizeOnly(2000)).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(LeafcutterError);
    const { code, received, advice } = (error as LeafcutterError).diagnostic;
    expect(code).toBe("budget-infeasible");
    const smallest = Number(/\d+/.exec(received ?? "")?.[0]);
    expect(advice).toContain(String(smallest));
    expect(fakeSize((await fitToBudget(chain(), sizeOnly(smallest))).graph)).toBe(smallest);
    await expect(fitToBudget(chain(), sizeOnly(smallest - 1))).rejects.toThrow(String(smallest));
  });

  test("the order of the constants does not matter", async () => {
    for (const share of [0.8, 0.6, 0.5]) {
      const forwards = await fitToBudget(chain(), sizeOnly(Math.floor(full * share)));
      const backwards = await fitToBudget(chain(true), sizeOnly(Math.floor(full * share)));
      expect(storages(backwards.graph)).toEqual(storages(forwards.graph));
      expect(backwards.outputError).toBe(forwards.outputError);
    }
  });
});

describe("cifar10 at 40 % of its float size", () => {
  const source = () => fileSource(resolve(import.meta.dirname, "../../demo/models/cifar10/model.onnx"));
  let full: Package;
  let small: Package;
  let limit: number;
  beforeAll(async () => {
    full = await compile(source());
    limit = Math.floor(full.report.totalBytes * 0.4);
    small = await compile(source(), { maxSize: limit });
  }, 180_000);

  test("the files together are within the limit, most of it used, and the outputs close", () => {
    const bytes = [...small.files.values()].reduce((sum, file) => sum + file.byteLength, 0);
    expect(bytes).toBe(small.report.totalBytes);
    expect(bytes).toBeLessThanOrEqual(limit);
    expect(bytes).toBeGreaterThan(limit * 0.9);
    expect(small.report.outputError).toBeGreaterThan(0);
    expect(small.report.outputError).toBeLessThan(0.01);
    expect(new Set(small.report.storage.map(({ storage }) => storage)).size).toBeGreaterThan(1);
    expect(small.manifest.provenance.options).toMatchObject({ maxSize: limit });
  });

  test("the same limit gives the same bytes", async () => {
    const again = await compile(source(), { maxSize: limit });
    expect([...again.files.keys()]).toEqual([...small.files.keys()]);
    for (const [path, bytes] of again.files)
      expect(Buffer.compare(bytes, small.files.get(path) ?? bytes.slice(1))).toBe(0);
  }, 180_000);

  test("an impossible limit fails with a size that compiles", async () => {
    const error = await compile(source(), { maxSize: 100_000 }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(LeafcutterError);
    expect((error as LeafcutterError).code).toBe("budget-infeasible");
    const smallest = Number(/\d+/.exec((error as LeafcutterError).diagnostic.received ?? "")?.[0]);
    expect(smallest).toBeLessThan(limit);
    expect((await compile(source(), { maxSize: smallest })).report.totalBytes).toBeLessThanOrEqual(smallest);
  }, 180_000);
});

describe("synthetic samples", () => {
  test("pixels for images, rows for tables, ones for other integers; the same every time", () => {
    const builder = new GraphBuilder("inputs", inferNode);
    builder.symbol("length", 0, 16);
    const image = builder.input("image", "float32", [1, 3, 4, 4]);
    const features = builder.input("features", "float32", [64, 64]);
    const tokens = builder.input("tokens", "int64", [1, "length"]);
    builder.input("mask", "int64", [1, "length"]);
    const indices = builder.add("Cast", [tokens], { to: { kind: "integer", value: 6 } });
    builder.output("y", builder.add("Gather", [builder.constant("table", tensorOf("float32", [50, 2], [])), indices]));
    builder.output("image", image);
    builder.output("features", features);
    const graph = builder.finish();
    const [first, second] = syntheticSamples(graph, 2);
    expect(syntheticSamples(graph, 2)).toEqual([first, second]);
    expect(first).not.toEqual(second);
    const numbers = (name: string): number[] =>
      Array.from((first?.[name]?.data ?? []) as ArrayLike<number | bigint>, Number);
    expect(numbers("image").every((value) => value >= 0 && value < 1)).toBe(true);
    const normals = numbers("features");
    const mean = normals.reduce((sum, value) => sum + value, 0) / normals.length;
    const variance = normals.reduce((sum, value) => sum + (value - mean) ** 2, 0) / normals.length;
    expect(Math.abs(mean)).toBeLessThan(0.1);
    expect(variance).toBeGreaterThan(0.9);
    expect(variance).toBeLessThan(1.1);
    expect(numbers("tokens")).toHaveLength(4);
    expect(numbers("tokens").every((value) => value >= 0 && value < 50)).toBe(true);
    expect(numbers("mask")).toEqual([1, 1, 1, 1]);
  });
});
