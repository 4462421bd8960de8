/**
 * Whole graphs on WebGPU against the reference functions: every family, borders, views, epilogues, and steps that have
 * to run beside the device.
 */
import { describe, expect, test } from "vitest";
import { layersOf } from "../../compiler/budget/layers.ts";
import { replaceConstants } from "../../compiler/budget/replace-constants.ts";
import { GraphBuilder } from "../../compiler/graph/build.ts";
import type { Graph } from "../../compiler/graph/graph.ts";
import type { WeightStorage } from "../../compiler/kernels/problem.ts";
import { inferNode } from "../../compiler/ops/infer.ts";
import { optimise } from "../../compiler/pipeline.ts";
import { roundWeights } from "../../compiler/quantize/round-weights.ts";
import { type Scheme, schemeName } from "../../compiler/quantize/scheme.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import { evaluateGraph } from "../graph/evaluate.ts";
import { regionGraphs } from "../graph/region-graphs.ts";
import { difference } from "../ops/compare.ts";
import { passCases } from "../passes/cases.ts";
import { randomTensor } from "../passes/pass-case.ts";
import { randomGraph } from "../passes/random-graph.ts";
import { type FamilyGraph, familyGraphs } from "./family-graphs.ts";
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

  const inBlocks = [...familyGraphs, tableGraph].flatMap(({ name, build, kernel }) =>
    blockSchemes.flatMap((scheme) => {
      const graph = blocked(optimise(build()), scheme);
      return graph ? [{ name, scheme: schemeName(scheme), graph, kernel }] : [];
    }),
  );

  test.each(inBlocks)("$name with $scheme weights", { timeout: gpuTimeout }, async ({ graph, kernel }) => {
    const steps = await check(graph, new Map(), graph);
    expect(steps.filter((step) => !step.startsWith("webgpu"))).toEqual([]);
    expect(
      steps.some((step) => step.startsWith(`webgpu ${kernel}`)),
      steps.join(),
    ).toBe(true);
  });

  test("products and tables have weights in blocks", () => {
    const kernels = new Set(inBlocks.map(({ kernel, scheme }) => `${kernel} ${scheme}`));
    for (const kernel of ["conv", "conv-transpose", "matmul", "lstm", "gru", "rnn", tableGraph.kernel])
      for (const scheme of blockSchemes) expect(kernels).toContain(`${kernel} ${schemeName(scheme)}`);
  });

  test("every family with weights has narrow ones", () => {
    const families = new Set(stored.map(({ kernel, kind }) => `${kernel} ${kind}`));
    for (const family of ["conv", "conv-transpose", "depthwise", "matmul", "lstm", "gru", "rnn"])
      for (const kind of ["float16", "int8"]) expect(families).toContain(`${family} ${kind}`);
  });
});

const blockSchemes: readonly Scheme[] = [
  { kind: "int4", blockSize: 16, zeros: true },
  { kind: "int4", blockSize: 32, zeros: false },
  { kind: "nf4", blockSize: 16, zeros: false },
];

const tableGraph: FamilyGraph = {
  name: "rows of a table",
  kernel: "elementwise",
  build: () => {
    const builder = new GraphBuilder("table", inferNode);
    const table = builder.constant("table", randomTensor([11, 40], 5));
    builder.output("y", builder.add("Gather", [table, builder.input("ids", "int32", [2, 3])]));
    return builder.finish();
  },
};

/** The graph with the weights of products, recurrent layers and tables in blocks; undefined when there are none. */
function blocked(graph: Graph, scheme: Scheme): Graph | undefined {
  const replacements = graph.nodes.flatMap(({ op, inputs }) => {
    const layout = {
      "leafcutter.Conv": { channelAxis: 0, contractionAxis: 1 },
      "leafcutter.ConvTranspose": { channelAxis: 1, contractionAxis: 0 },
      "leafcutter.MatMul": { channelAxis: 1, contractionAxis: 0 },
      "leafcutter.Recurrent": { channelAxis: 0, contractionAxis: 1 },
      Gather: { channelAxis: 0, contractionAxis: 1 },
    }[op];
    const places = op === "Gather" ? [0] : op === "leafcutter.Recurrent" ? [1, 2] : [1];
    return places.flatMap((place) => {
      const weights = inputs[place];
      const tensor = weights && graph.constants.get(weights);
      const rounded = layout && tensor && roundWeights(tensor as Tensor<"float32">, scheme, layout);
      return rounded ? [[weights, rounded] as const] : [];
    });
  });
  return replacements.length === 0 ? undefined : replaceConstants(graph, new Map(replacements));
}

/** The graph with every constant that can be stored that way; undefined when there is none. */
function narrowed(graph: Graph, kind: WeightStorage): Graph | undefined {
  const replacements = layersOf(graph).flatMap(({ constant, options }) => {
    const option = options.find(({ storage }) => storage?.kind === kind);
    return option ? [[constant, option] as const] : [];
  });
  return replacements.length === 0 ? undefined : replaceConstants(graph, new Map(replacements));
}
