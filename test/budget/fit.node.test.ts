import { resolve } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { publishedEnergy } from "../../compiler/budget/energy.ts";
import { type Budget, type FittedGraph, fitToBudget } from "../../compiler/budget/fit.ts";
import { syntheticSamples } from "../../compiler/budget/samples.ts";
import type { Execution } from "../../compiler/budget/tools.ts";
import { compile, type Package } from "../../compiler/compile.ts";
import { fileSource } from "../../compiler/file-source.ts";
import { GraphBuilder } from "../../compiler/graph/build.ts";
import type { Graph, Value } from "../../compiler/graph/graph.ts";
import { inferNode } from "../../compiler/ops/infer.ts";
import { LeafcutterError } from "../../runtime/format/diagnostic.ts";
import { fillRandom } from "../../runtime/format/random.ts";
import { type Tensor, tensorOf } from "../../runtime/format/tensor.ts";
import { evaluateGraph } from "../graph/evaluate.ts";

/** A chain of products of 24, 40 and 8 columns. */
function chain(reversed = false): Graph {
  const builder = new GraphBuilder("chain", inferNode);
  const input = builder.input("x", "float32", [3, 32]);
  const sizes = [
    [32, 24],
    [24, 40],
    [40, 8],
  ] as const;
  const order = reversed ? [2, 1, 0] : [0, 1, 2];
  const constants: Value[] = [];
  for (const i of order) {
    const tensor = tensorOf("float32", sizes[i] ?? [], []);
    fillRandom("float32", tensor.data, 20 + i);
    constants[i] = builder.constant(`w${i}`, tensor);
  }
  const output = constants.reduce((value, constant) => builder.add("leafcutter.MatMul", [value, constant]), input);
  builder.output("y", output);
  return builder.finish();
}

const elementBytes = { float32: 4, float16: 2, int8: 1, int4: 0.5, nf4: 0.5 } as const;

function weigh(graph: Graph): Map<string, number> {
  return new Map(
    [...graph.constants].map(([{ name, type }, { data }]) => [
      name,
      Math.ceil(data.length * elementBytes[type.storage?.kind ?? "float32"]),
    ]),
  );
}

/** 1000 bytes of program, 100 for each kind of kernel, and the weights. */
function fakeSize(graph: Graph): number {
  const kinds = new Set([...graph.constants.keys()].map(({ type }) => type.storage?.kind ?? "float32"));
  return 1000 + 100 * kinds.size + [...weigh(graph).values()].reduce((sum, bytes) => sum + bytes, 0);
}

/** Executes by the reference functions. */
async function open(graph: Graph, variants: readonly Graph[]): Promise<Execution> {
  const own = new Map<Value, Tensor>(graph.constants);
  return {
    flops: 1000,
    run: async (sample) => evaluateGraph({ ...graph, constants: own }, sample),
    exchange: (name, variant) => {
      const source = variant === undefined ? graph : variants[variant];
      const other = [...(source?.constants ?? [])].find(([value]) => value.name === name)?.[1];
      const value = [...own.keys()].find((key) => key.name === name);
      if (other && value) own.set(value, other);
    },
    close: () => undefined,
  };
}

const budgetOf = (size: number): Budget => ({
  limits: { size },
  objective: "quality",
  precision: undefined,
  samples: undefined,
  truth: {},
  device: { name: "test", energy: publishedEnergy },
  acceptPrior: false,
  toIntegers: (graph) => graph,
  costOf: (graph) => ({ memoryBytes: 65536, nanoseconds: 1000, joules: 1e-6, steps: [], weightBytes: weigh(graph) }),
  sizeOf: async (graph) => fakeSize(graph),
  open,
});

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
    const fitted = await fitToBudget(graph, budgetOf(full));
    expect(fitted.graph).toBe(graph);
    expect(fitted.layers).toEqual([]);
    expect(fitted.outcome).toBeUndefined();
  });

  test("every limit down to the smallest possible size is kept, at an error that never falls", async () => {
    let last = 0;
    for (const share of [0.99, 0.8, 0.65, 0.5, 0.45]) {
      const limit = Math.floor(full * share);
      const fitted = await fitToBudget(chain(), budgetOf(limit));
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
    const error = await fitToBudget(chain(), budgetOf(2000)).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(LeafcutterError);
    const { code, received, advice } = (error as LeafcutterError).diagnostic;
    expect(code).toBe("budget-infeasible");
    const smallest = Number(/\d+/.exec(received ?? "")?.[0]);
    expect(advice).toContain(String(smallest));
    expect(fakeSize((await fitToBudget(chain(), budgetOf(smallest))).graph)).toBe(smallest);
    await expect(fitToBudget(chain(), budgetOf(smallest - 1))).rejects.toThrow(String(smallest));
  });

  test("the order of the constants does not matter", async () => {
    for (const share of [0.8, 0.6, 0.5]) {
      const forwards = await fitToBudget(chain(), budgetOf(Math.floor(full * share)));
      const backwards = await fitToBudget(chain(true), budgetOf(Math.floor(full * share)));
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
