/**
 * Whole graphs on WebGPU against the reference functions: every family, borders, views, epilogues, and steps that have
 * to run beside the device.
 */
import { describe, expect, test } from "vitest";
import { layersOf } from "../../compiler/budget/layers.ts";
import { replaceConstants } from "../../compiler/budget/replace-constants.ts";
import type { Graph } from "../../compiler/graph/graph.ts";
import type { WeightStorage } from "../../compiler/kernels/problem.ts";
import { optimise } from "../../compiler/pipeline.ts";
import { evaluateGraph } from "../graph/evaluate.ts";
import { regionGraphs } from "../graph/region-graphs.ts";
import { difference } from "../ops/compare.ts";
import { passCases } from "../passes/cases.ts";
import { randomGraph } from "../passes/random-graph.ts";
import { familyGraphs } from "./family-graphs.ts";
import { adapterReason, gpuTimeout, openOptimised, randomInputs } from "./graph-engine.ts";

const reason = await adapterReason();

/** Where the steps of an optimised graph ran, once its results are right. */
async function check(
  graph: Graph,
  bindings: ReadonlyMap<string, number> = new Map(),
  optimised = optimise(graph),
): Promise<readonly string[]> {
  const inputs = randomInputs(graph, bindings);
  const expected = evaluateGraph(graph, inputs, bindings);
  const engine = await openOptimised(optimised);
  try {
    const { outputs, steps = [] } = await engine.run(inputs, { profile: true });
    for (const [name, tensor] of Object.entries(expected)) {
      const relative = /float16/.test(tensor.dtype) ? 2e-3 : 1e-4;
      expect(difference(outputs[name], tensor, { absolute: relative, relative }), `output ${name}`).toBeUndefined();
    }
    expect((await engine.run(inputs)).outputs, "a second run, unprofiled").toEqual(outputs);
    return steps.map(({ where, kernel }) => `${where} ${kernel}`);
  } finally {
    engine.dispose();
  }
}

describe.skipIf(reason !== undefined)(`on WebGPU${reason === undefined ? "" : `, skipped: ${reason}`}`, () => {
  test.each(passCases)("$name", { timeout: gpuTimeout }, async ({ build, bindings }) => {
    await check(build(), bindings);
  });

  test.each(regionGraphs)("$name", { timeout: gpuTimeout }, async ({ build, bindings }) => {
    await check(build(), bindings);
  });

  test.each(Array.from({ length: 12 }, (_, index) => index + 1))(
    "random graph %i",
    { timeout: gpuTimeout },
    async (seed) => {
      await check(randomGraph(seed));
    },
  );

  test.each(familyGraphs)("$name runs on the device alone", { timeout: gpuTimeout }, async ({ build, kernel }) => {
    const steps = await check(build());
    expect(steps.filter((step) => !step.startsWith("webgpu"))).toEqual([]);
    expect(
      steps.some((step) => step.startsWith(`webgpu ${kernel}`)),
      steps.join(", "),
    ).toBe(true);
  });

  const stored = familyGraphs.flatMap(({ name, build, kernel }) =>
    (["float16", "int8"] as const).flatMap((kind) => {
      const graph = narrowed(optimise(build()), kind);
      return graph === undefined ? [] : [{ name, kind, graph, kernel }];
    }),
  );

  test.each(stored)("$name with $kind weights", { timeout: gpuTimeout }, async ({ graph, kernel, kind }) => {
    const steps = await check(graph, new Map(), graph);
    expect(
      steps.some((step) => step.startsWith(`webgpu ${kernel}`) && step.includes(kind)),
      steps.join(),
    ).toBe(true);
  });

  test("every family with weights has narrow ones", () => {
    const families = new Set(stored.map(({ kernel, kind }) => `${kernel} ${kind}`));
    for (const family of ["conv", "conv-transpose", "depthwise", "matmul", "lstm", "gru", "rnn"])
      for (const kind of ["float16", "int8"]) expect(families).toContain(`${family} ${kind}`);
  });
});

/** The graph with every constant that can be stored that way; undefined when there is none. */
function narrowed(graph: Graph, kind: WeightStorage): Graph | undefined {
  const replacements = layersOf(graph).flatMap(({ constant, options }) => {
    const option = options.find(({ storage }) => storage?.kind === kind);
    return option ? [[constant, option] as const] : [];
  });
  return replacements.length === 0 ? undefined : replaceConstants(graph, new Map(replacements));
}
