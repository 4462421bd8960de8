/** Control flow through plan, generated code and engine: both ways of every branch, loops of every length, in one memory. */
import { describe, expect, test } from "vitest";
import { parseGraph } from "../../compiler/graph/parse.ts";
import { printGraph } from "../../compiler/graph/print.ts";
import { optimise } from "../../compiler/pipeline.ts";
import { tensorOf } from "../../runtime/format/tensor.ts";
import { evaluateGraph } from "../graph/evaluate.ts";
import { regionGraphs } from "../graph/region-graphs.ts";
import { difference } from "../ops/compare.ts";
import { runPlanned } from "./execute.ts";
import { expectRuns, randomInputs } from "./expect-planned.ts";

describe.each(regionGraphs)("$name", ({ build, bindings }) => {
  test("computes what the graph means, whatever the conditions", async () => {
    const graph = build();
    const bools = graph.inputs.filter(({ type }) => type.dtype === "bool");
    const runs = Array.from({ length: 2 ** bools.length * 2 }, (_, run) => ({
      ...randomInputs(graph, 11 + run, bindings),
      ...Object.fromEntries(
        bools.map(({ name, type }, index) => [
          name,
          tensorOf("bool", type.shape as readonly number[], [(run >> index) & 1]),
        ]),
      ),
    }));
    const expected = runs.map((inputs) => evaluateGraph(graph, inputs, bindings));
    for (const form of [graph, optimise(graph, { verify: true })]) {
      if (form === graph && graph.symbols.size > 0) continue;
      const { outputs } = await runPlanned(form, runs);
      expected.forEach((wanted, run) => {
        for (const [name, tensor] of Object.entries(wanted))
          expect(
            difference(outputs[run]?.[name], tensor, { absolute: 1e-5, relative: 1e-5 }),
            `${name} of run ${run}\n${printGraph(form, { digests: true })}`,
          ).toBeUndefined();
      });
    }
  });

  test("reads back as it is printed", () => {
    const text = printGraph(build());
    expect(printGraph(parseGraph(text))).toBe(text);
  });
});

test("a loop of a symbolic length runs as often as the input is long", async () => {
  const { build } = regionGraphs.find(({ bindings }) => bindings) as (typeof regionGraphs)[number];
  await expectRuns(
    build(),
    [3, 9, 1, 2].map((length) => new Map([["length", length]])),
    31,
  );
});
