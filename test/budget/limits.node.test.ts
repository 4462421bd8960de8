import { describe, expect, test } from "vitest";
import { type FittedGraph, fitToBudget } from "../../compiler/budget/fit.ts";
import { formatInfeasibility } from "../../compiler/budget/format-infeasibility.ts";
import type { Infeasibility } from "../../compiler/budget/outcome.ts";
import { syntheticSamples } from "../../compiler/budget/samples.ts";
import { parseScheme } from "../../compiler/quantize/scheme.ts";
import { LeafcutterError } from "../../runtime/format/diagnostic.ts";
import { chain, chainBudget, fakeCosts, fakeSize } from "./chain.ts";

const kinds = ({ layers, picks }: FittedGraph): string[] =>
  layers.map(({ options }, layer) => options[picks[layer] ?? 0]?.scheme.kind ?? "");

async function failure(work: Promise<unknown>): Promise<LeafcutterError> {
  const error = await work.catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(LeafcutterError);
  return error as LeafcutterError;
}

const full = fakeCosts(chain());

describe("limits of time, energy and memory", () => {
  test("a latency limit takes integers where they are, at the least loss", async () => {
    const fitted = await fitToBudget(chain(), chainBudget({ limits: { latency: 5.2 } }));
    expect(kinds(fitted).filter((kind) => kind === "int8")).toHaveLength(1);
    expect(fakeCosts(fitted.graph).nanoseconds).toBeLessThanOrEqual(5.2e6);
    const { outcome } = fitted;
    expect(outcome?.limits).toMatchObject([{ quantity: "latency", limit: 5.2 }]);
    expect(outcome?.limits[0]?.slack).toBeCloseTo(0.1, 9);
    expect(outcome?.chosen.quality).toBeGreaterThan(0.999);
    expect(outcome?.front.filter((point) => point.chosen)).toHaveLength(1);
    expect(outcome?.layers).toHaveLength(3);
  });

  test("the fastest within a quality is integers everywhere; the smallest is not", async () => {
    const fastest = await fitToBudget(chain(), chainBudget({ objective: "latency", limits: { quality: 0.99 } }));
    expect(kinds(fastest)).toEqual(["int8", "int8", "int8"]);
    const smallest = await fitToBudget(chain(), chainBudget({ objective: "size", limits: { quality: 0.99 } }));
    expect(fakeSize(smallest.graph)).toBeLessThan(fakeSize(fastest.graph));
    for (const { outcome } of [fastest, smallest]) expect(outcome?.quality.score).toBeGreaterThanOrEqual(0.99);
  });

  test("size, memory, latency and energy together", async () => {
    const limits = {
      size: fakeSize(chain()) * 0.45,
      memory: full.memoryBytes * 0.7,
      latency: full.nanoseconds * 0.7e-6,
      energy: full.joules * 0.7e3,
    };
    const fitted = await fitToBudget(chain(), chainBudget({ limits, acceptPrior: true }));
    const { nanoseconds, joules, memoryBytes } = fakeCosts(fitted.graph);
    expect(fakeSize(fitted.graph)).toBeLessThanOrEqual(limits.size);
    expect(memoryBytes).toBeLessThanOrEqual(limits.memory);
    expect(nanoseconds * 1e-6).toBeLessThanOrEqual(limits.latency);
    expect(joules * 1e3).toBeLessThanOrEqual(limits.energy);
    expect(fitted.outcome?.limits.map(({ quantity }) => quantity)).toEqual(["size", "memory", "latency", "energy"]);
  });

  test("a limit on energy needs coefficients of the device, or the word that a published table will do", async () => {
    const error = await failure(fitToBudget(chain(), chainBudget({ limits: { energy: 8 } })));
    expect(error.code).toBe("option-invalid");
    expect(error.message).toMatch(/tier C.*--accept-prior/);
    const fitted = await fitToBudget(chain(), chainBudget({ limits: { energy: 8 }, acceptPrior: true }));
    expect(fakeCosts(fitted.graph).joules).toBeLessThanOrEqual(8e-3);
    expect(fitted.outcome?.energy).toMatchObject({ tier: "C", band: 10 });
  });

  test("an option that is slower than float is not chosen for speed", async () => {
    const slow = (graph: Parameters<typeof fakeCosts>[0]) => {
      const costs = fakeCosts(graph);
      const quantised = costs.steps.filter(({ op }) => op === "QuantizeLinear").length;
      return { ...costs, nanoseconds: costs.nanoseconds + 3e6 * quantised };
    };
    const fitted = await fitToBudget(
      chain(),
      chainBudget({ objective: "latency", limits: { quality: 0.9 }, costOf: slow }),
    );
    expect(kinds(fitted)).not.toContain("int8");
  });
});

describe("quality", () => {
  test("the sums over the layers do not decide where labels say that all is well", async () => {
    const graph = chain(false, 1);
    const samples = syntheticSamples(graph, 4);
    const size = Math.ceil(fakeSize(graph) * 0.36);
    const limits = { size, quality: 0.99999999 };
    const strict = await failure(fitToBudget(graph, chainBudget({ limits, samples })));
    expect((strict.diagnostic.details as Infeasibility).conflict).toEqual(["quality", "size"]);
    const labelled = chainBudget({ limits, samples, truth: { labels: [0, 0, 0, 0] } });
    const fitted = await fitToBudget(graph, labelled);
    expect(fakeSize(fitted.graph)).toBeLessThanOrEqual(size);
    expect(fitted.outcome?.chosen.quality).toBe(1);
  });

  test("one scheme for all layers", async () => {
    for (const [name, kind] of [
      ["float16", "float16"],
      ["int8", "int8"],
      ["nf4/64", "nf4"],
    ] as const) {
      const precision = parseScheme(name);
      if (!precision) throw new Error(`${name} is a scheme`);
      const fitted = await fitToBudget(chain(), chainBudget({ precision }));
      expect(new Set(kinds(fitted)).has(kind), name).toBe(true);
      expect(fitted.outcome?.quality.score).toBeGreaterThan(0.97);
    }
  });
});

describe("what is not possible", () => {
  test("one scheme for all layers that is not good enough: what it is, and that a choice would do", async () => {
    const precision = parseScheme("int4/32");
    if (!precision) throw new Error("int4/32 is a scheme");
    const limits = { size: fakeSize(chain()), quality: 0.99999999 };
    const error = await failure(fitToBudget(chain(), chainBudget({ precision, limits })));
    expect(error.message).toMatch(
      /precision int4\/32: .* expected quality at least 0\.9999999\d*; received quality 0\.99/,
    );
    const details = error.diagnostic.details as Infeasibility;
    expect(details.conflict).toEqual(["quality"]);
    expect(details.nearest.quality).toBeLessThan(limits.quality);
    expect(formatInfeasibility(details).join("\n")).toMatch(
      /x quality at least 0\.9999999.*\n.*nearest plan: .*quality 0\.99/,
    );
  });

  test("a slice that loses more than the sums over the layers promise", async () => {
    const graph = chain(false, 1);
    const samples = syntheticSamples(graph, 2);
    const limits = { size: fakeSize(graph) * 0.36, sliceDrop: -1 };
    const truth = { groups: ["day", "night"] };
    const error = await failure(fitToBudget(graph, chainBudget({ limits, samples, truth })));
    const details = error.diagnostic.details as Infeasibility;
    expect(error.code).toBe("budget-infeasible");
    expect([...details.conflict].sort()).toEqual(["size", "sliceDrop"]);
    expect(details.nearest.sliceDrop).toBeGreaterThan(-1);
    expect(error.message).toMatch(/package size and drop of the worst slice/);
  });

  test("two limits that exclude one another, and what would be enough", async () => {
    const limits = { size: fakeSize(chain()) * 0.4, quality: 0.9999999, latency: 100 };
    const error = await failure(fitToBudget(chain(), chainBudget({ limits })));
    expect(error.code).toBe("budget-infeasible");
    expect(error.message).toMatch(/quality and package size within their limits together/);
    const details = error.diagnostic.details as Infeasibility;
    expect([...details.conflict].sort()).toEqual(["quality", "size"]);
    expect(details.proved).toBe(true);
    expect(details.relaxations.length).toBeGreaterThan(0);
    for (const { quantity, amount } of details.relaxations) {
      const relaxed = { ...limits, [quantity]: quantity === "quality" ? amount - 1e-9 : amount };
      const fitted = await fitToBudget(chain(), chainBudget({ limits: relaxed }));
      expect(fakeSize(fitted.graph)).toBeLessThanOrEqual(relaxed.size);
    }
  });

  test("a latency that nothing reaches says the least that is reached", async () => {
    const error = await failure(fitToBudget(chain(), chainBudget({ limits: { latency: 1 } })));
    const { conflict, best } = error.diagnostic.details as Infeasibility;
    expect(conflict).toEqual(["latency"]);
    const amount = best[0]?.amount ?? 0;
    expect(error.message).toContain("at the best");
    const fitted = await fitToBudget(chain(), chainBudget({ limits: { latency: amount } }));
    expect(fakeCosts(fitted.graph).nanoseconds).toBeLessThanOrEqual(amount * 1e6);
  });
});
