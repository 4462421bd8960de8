/** What comes in blocks of four bits stays in four bits, and is read by float kernels; what cannot stays what it was. */
import { expect, test } from "vitest";
import { isBlockStorage } from "../../compiler/graph/blocks.ts";
import type { Graph } from "../../compiler/graph/graph.ts";
import { optimise } from "../../compiler/pipeline.ts";
import { defaultCosts } from "../../compiler/plan/default-costs.ts";
import { makePlan } from "../../compiler/plan/make-plan.ts";
import { tensorOf } from "../../runtime/format/tensor.ts";
import { blockCases } from "../ops/cases/block-operators.ts";
import { oneNodeGraph } from "../ops/one-node-graph.ts";

const optimised = (one: (typeof blockCases)[number], constants = one.constants): Graph =>
  optimise(oneNodeGraph({ ...one, outputCount: 1 }, (index) => constants.includes(index)).graph, { verify: true });

test.each(blockCases)("$op: $name", (one) => {
  const graph = optimised(one);
  const storages = [...graph.constants.keys()].flatMap(({ type }) =>
    isBlockStorage(type.storage) ? [type.storage] : [],
  );
  expect(storages).toHaveLength(1);
  expect(storages[0]?.zeros !== undefined).toBe(one.constants.includes(3));
  expect(graph.nodes.map(({ op }) => op)).not.toContain(one.op);
  // A result that is a constant is written out as it is.
  if (graph.nodes.length === 0) return;
  const weights = makePlan(graph, defaultCosts).weights.reduce((sum, { bytes }) => sum + bytes.length, 0);
  const float = [...graph.constants.values()].reduce((sum, { data }) => sum + 4 * data.length, 0);
  // Far below half of float32, scales and the padding of small tables included.
  expect(weights).toBeLessThan(float * 0.5);
});

test("scales that are float16 numbers are stored as such", () => {
  const [one] = blockCases as readonly [(typeof blockCases)[number]];
  const scales = tensorOf(
    "float32",
    [40],
    Array.from({ length: 40 }, (_, i) => (i % 7) / 64),
  );
  const graph = optimised({ ...one, inputs: one.inputs.with(2, scales) });
  const storage = [...graph.constants.keys()].find(({ type }) => type.storage)?.type.storage;
  expect(storage).toMatchObject({ kind: "int4", axis: 1, blockSize: 32 });
  expect(storage).not.toHaveProperty("scaleType");
});

test("weights that are no constants, and groups of their own, stay as they are", () => {
  const [one] = blockCases as readonly [(typeof blockCases)[number]];
  expect(optimised(one, [2]).nodes.map(({ op }) => op)).toContain(one.op);
});
