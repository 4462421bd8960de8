/** Random quantised networks: exactly what the operators define, through every pass, plan, generated code and engine. */
import { describe, expect, test } from "vitest";
import type { Graph } from "../../compiler/graph/graph.ts";
import { printGraph } from "../../compiler/graph/print.ts";
import { verifyGraph } from "../../compiler/graph/verify.ts";
import { inferNode } from "../../compiler/ops/infer.ts";
import { integerPipeline, optimise, pipeline } from "../../compiler/pipeline.ts";
import { evaluateGraph } from "../graph/evaluate.ts";
import { difference } from "../ops/compare.ts";
import { randomQuantisedGraph } from "../passes/random-quantised-graph.ts";
import { runPlanned, type Tensors } from "./execute.ts";
import { randomInputs } from "./expect-planned.ts";

type Bindings = ReadonlyMap<string, number>;
const exact = { absolute: 0, relative: 0 };

const expectSame = (actual: Tensors | undefined, expected: Tensors, where: () => string): void => {
  for (const [name, tensor] of Object.entries(expected)) {
    const found = difference(actual?.[name], tensor, exact);
    if (found) expect.fail(`output ${name}: ${found}\n${where()}`);
  }
};

function expectPassesKeep(graph: Graph, seed: number, bindings: Bindings): void {
  const inputs = randomInputs(graph, seed, bindings);
  const expected = evaluateGraph(graph, inputs, bindings);
  let current = graph;
  for (const pass of [...pipeline, ...integerPipeline]) {
    const next = pass.run(current);
    if (next === current) continue;
    verifyGraph(next, inferNode, pass.name);
    expectSame(
      evaluateGraph(next, inputs, bindings),
      expected,
      () => `after ${pass.name}\n${printGraph(current, { digests: true })}\n${printGraph(next, { digests: true })}`,
    );
    current = next;
  }
}

describe("random quantised networks", () => {
  for (let seed = 1; seed <= 40; seed++)
    test(`network ${seed}`, async () => {
      const graph = randomQuantisedGraph(seed);
      const bindings: Bindings = new Map();
      expectPassesKeep(graph, seed, bindings);
      const inputs = randomInputs(graph, seed, bindings);
      const expected = evaluateGraph(graph, inputs, bindings);
      const form = optimise(graph);
      const { outputs } = await runPlanned(form, [inputs, inputs]);
      for (const one of outputs)
        expectSame(one, expected, () => `generated code of\n${printGraph(form, { digests: true })}`);
    });
});

describe("random quantised networks for batches of 1 to 4", () => {
  for (let seed = 1001; seed <= 1015; seed++)
    test(`network ${seed}`, async () => {
      const graph = randomQuantisedGraph(seed, true);
      const batches: readonly Bindings[] = [4, 1, 3, 2, 4].map((batch) => new Map([["batch", batch]]));
      const inputs = batches.map((bindings, run) => randomInputs(graph, seed + run, bindings));
      const form = optimise(graph);
      const { outputs } = await runPlanned(form, inputs);
      batches.forEach((bindings, run) => {
        expectSame(
          outputs[run],
          evaluateGraph(graph, inputs[run] as Tensors, bindings),
          () => `run ${run} of\n${printGraph(form, { digests: true })}`,
        );
      });
    });
});
