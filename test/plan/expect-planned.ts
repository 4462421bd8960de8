/** The claim of the planner's tests: generated code gives what the graph means, before and after the passes. */
import { expect } from "vitest";
import { evaluateDim } from "../../compiler/graph/dimension.ts";
import type { Graph } from "../../compiler/graph/graph.ts";
import { printGraph } from "../../compiler/graph/print.ts";
import { optimise } from "../../compiler/pipeline.ts";
import { fillRandom } from "../../runtime/format/random.ts";
import { zeros } from "../../runtime/format/tensor.ts";
import { evaluateGraph } from "../graph/evaluate.ts";
import { difference } from "../ops/compare.ts";
import { runPlanned, type Tensors } from "./execute.ts";

type Bindings = ReadonlyMap<string, number>;

export function randomInputs(graph: Graph, seed: number, bindings: Bindings = new Map()): Tensors {
  return Object.fromEntries(
    graph.inputs.map(({ name, type }, index) => {
      const tensor = zeros(
        type.dtype,
        type.shape.map((dim) => evaluateDim(dim, bindings)),
      );
      fillRandom(type.dtype, tensor.data, seed + index);
      return [name, tensor];
    }),
  );
}

/** Two runs in one memory, so that what a run leaves behind is seen by the next. */
export const expectPlanned = (graph: Graph, bindings: Bindings = new Map(), seed = 5): Promise<void> =>
  expectRuns(graph, [bindings, bindings], seed);

/** A run for each of `bindings`, all in one memory. */
export async function expectRuns(graph: Graph, bindings: readonly Bindings[], seed: number): Promise<void> {
  const inputs = bindings.map((one, run) => randomInputs(graph, seed + 1000 * run, one));
  const expected = inputs.map((one, run) => evaluateGraph(graph, one, bindings[run]));
  // Symbolic shape arithmetic becomes attributes in the passes; without them nothing lowers it.
  for (const form of graph.symbols.size > 0 ? [optimise(graph)] : [graph, optimise(graph)]) {
    const { outputs } = await runPlanned(form, inputs);
    expected.forEach((wanted, run) => {
      for (const [name, tensor] of Object.entries(wanted)) {
        const relative = /float16/.test(tensor.dtype) ? 4e-3 : 2e-4;
        expect(
          difference(outputs[run]?.[name], tensor, { absolute: relative, relative }),
          `output ${name} of run ${run} of the ${form === graph ? "imported" : "optimised"} graph\n${printGraph(form, { digests: true })}`,
        ).toBeUndefined();
      }
    });
  }
}
