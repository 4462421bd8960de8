/** A constant that several readers want is stored once, in every storage, and every reader gets its values. */
import { expect, test } from "vitest";
import { integersAttribute } from "../../compiler/graph/attribute.ts";
import { GraphBuilder } from "../../compiler/graph/build.ts";
import type { Graph } from "../../compiler/graph/graph.ts";
import { inferNode } from "../../compiler/ops/infer.ts";
import { optimise } from "../../compiler/pipeline.ts";
import { defaultCosts } from "../../compiler/plan/default-costs.ts";
import { makePlan } from "../../compiler/plan/make-plan.ts";
import { roundToFloat16, roundToInt8 } from "../../compiler/quantize/round.ts";
import { type Tensor, tensorOf } from "../../runtime/format/tensor.ts";
import { evaluateGraph } from "../graph/evaluate.ts";
import { difference } from "../ops/compare.ts";
import { randomTensor } from "../passes/pass-case.ts";
import { runPlanned } from "./execute.ts";

const [vocabulary, width] = [101, 48];

/** Embedding, then logits by the same matrix, as language models tie them. */
function tied(storage: "float32" | "float16" | "int8"): Graph {
  const b = new GraphBuilder("tied", inferNode);
  const ids = b.input("ids", "int64", [1, 3]);
  const plain = randomTensor([vocabulary, width], 7) as Tensor<"float32">;
  const rounded =
    storage === "float16" ? roundToFloat16(plain) : storage === "int8" ? roundToInt8(plain, 0) : undefined;
  const table = b.constant("table", rounded?.tensor ?? plain, rounded?.storage);
  const hidden = b.add("Tanh", [b.add("Gather", [table, ids])]);
  b.output("logits", b.add("MatMul", [hidden, b.add("Transpose", [table], { perm: integersAttribute([1, 0]) })]));
  return b.finish();
}

for (const storage of ["float32", "float16", "int8"] as const) {
  test(`a tied embedding in ${storage} is stored once`, async () => {
    const graph = optimise(tied(storage), { verify: true });
    const inputs = { ids: tensorOf("int64", [1, 3], [0, 50, 100]) };
    const { outputs } = await runPlanned(graph, [inputs]);
    const expected = evaluateGraph(graph, inputs);
    expect(
      difference(outputs[0]?.logits, expected.logits as Tensor, { absolute: 1e-4, relative: 1e-4 }),
    ).toBeUndefined();
    const { weights } = makePlan(graph, defaultCosts);
    expect(weights.filter(({ constants }) => constants.includes("table"))).toHaveLength(1);
  });
}
