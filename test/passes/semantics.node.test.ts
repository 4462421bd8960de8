/** Every pass keeps what a graph computes; the optimised form of each case is golden (update: npx vitest run --project node -u test/passes). */
import { describe, expect, test } from "vitest";
import { evaluateDim } from "../../compiler/graph/dimension.ts";
import type { Graph } from "../../compiler/graph/graph.ts";
import { parseGraph } from "../../compiler/graph/parse.ts";
import { printGraph } from "../../compiler/graph/print.ts";
import { verifyGraph } from "../../compiler/graph/verify.ts";
import { inferNode } from "../../compiler/ops/infer.ts";
import { optimise, pipeline } from "../../compiler/pipeline.ts";
import { fillRandom } from "../../runtime/format/random.ts";
import { type Tensor, zeros } from "../../runtime/format/tensor.ts";
import { evaluateGraph } from "../graph/evaluate.ts";
import { difference } from "../ops/compare.ts";
import { passCases } from "./cases.ts";
import { randomGraph } from "./random-graph.ts";

function inputsOf(graph: Graph, bindings: ReadonlyMap<string, number>): Readonly<Record<string, Tensor>> {
  return Object.fromEntries(
    graph.inputs.map(({ name, type }, index) => {
      const shape = type.shape.map((dim) => evaluateDim(dim, bindings));
      const tensor = zeros(type.dtype, shape);
      fillRandom(type.dtype, tensor.data, 77 + index);
      return [name, tensor];
    }),
  );
}

/** Runs the graph before and after every pass of the pipeline. */
function expectSameResults(graph: Graph, bindings: ReadonlyMap<string, number> = new Map()): void {
  const inputs = inputsOf(graph, bindings);
  const expected = evaluateGraph(graph, inputs, bindings);
  let current = graph;
  for (const pass of pipeline) {
    const next = pass.run(current);
    if (next === current) continue;
    verifyGraph(next, inferNode, pass.name);
    const actual = evaluateGraph(next, inputs, bindings);
    for (const [name, tensor] of Object.entries(expected)) {
      // A half-precision result is rounded more often in the original.
      const relative = /float16/.test(tensor.dtype) ? 2e-3 : 1e-4;
      expect(
        difference(actual[name], tensor, { absolute: relative, relative }),
        `output ${name} after ${pass.name}\n${printGraph(next, { digests: true })}`,
      ).toBeUndefined();
    }
    current = next;
  }
}

describe("cases", () => {
  for (const { name, build, bindings } of passCases) {
    test(`${name}: results stay`, () => expectSameResults(build(), bindings));

    test(`${name}: canonical form`, async () => {
      const graph = optimise(build(), { verify: true });
      await expect(printGraph(graph, { digests: true })).toMatchFileSnapshot(`golden/${name}.txt`);
      expect(optimise(graph)).toBe(graph);
      const text = printGraph(graph);
      expect(printGraph(parseGraph(text))).toBe(text);
    });
  }
});

describe("random graphs", () => {
  for (let seed = 1; seed <= 40; seed++) test(`seed ${seed}: results stay`, () => expectSameResults(randomGraph(seed)));
});
