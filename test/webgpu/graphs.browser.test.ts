/**
 * Whole graphs on WebGPU against the reference functions: every family, borders, views, epilogues, and steps that have
 * to run beside the device.
 */
import { describe, expect, test } from "vitest";
import type { Graph } from "../../compiler/graph/graph.ts";
import { evaluateGraph } from "../graph/evaluate.ts";
import { difference } from "../ops/compare.ts";
import { passCases } from "../passes/cases.ts";
import { randomGraph } from "../passes/random-graph.ts";
import { familyGraphs } from "./family-graphs.ts";
import { adapterReason, gpuTimeout, openGraph, randomInputs } from "./graph-engine.ts";

const reason = await adapterReason();

/** Where the steps ran. */
async function check(graph: Graph, bindings: ReadonlyMap<string, number> = new Map()): Promise<readonly string[]> {
  const inputs = randomInputs(graph, bindings);
  const expected = evaluateGraph(graph, inputs, bindings);
  const engine = await openGraph(graph);
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
});
