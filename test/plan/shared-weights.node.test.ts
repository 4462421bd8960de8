/** A constant that several readers want is stored once, in every storage, and every reader gets its values. */
import { expect, test } from "vitest";
import { integerAttribute, integersAttribute } from "../../compiler/graph/attribute.ts";
import { GraphBuilder } from "../../compiler/graph/build.ts";
import type { Graph, Value } from "../../compiler/graph/graph.ts";
import { inferNode } from "../../compiler/ops/infer.ts";
import { optimise } from "../../compiler/pipeline.ts";
import { defaultCosts } from "../../compiler/plan/default-costs.ts";
import { makePlan } from "../../compiler/plan/make-plan.ts";
import { roundWeights } from "../../compiler/quantize/round-weights.ts";
import { type Scheme, schemeName } from "../../compiler/quantize/scheme.ts";
import { type Tensor, tensorOf } from "../../runtime/format/tensor.ts";
import { evaluateGraph } from "../graph/evaluate.ts";
import { difference } from "../ops/compare.ts";
import { randomTensor } from "../passes/pass-case.ts";
import { runPlanned } from "./execute.ts";

const [vocabulary, width] = [101, 48];

/** Embedding, then logits by the same matrix, as language models tie them. */
function tied(scheme: Scheme): Graph {
  const b = new GraphBuilder("tied", inferNode);
  const ids = b.input("ids", "int64", [1, 3]);
  const table = tableOf(b, scheme);
  const hidden = b.add("Tanh", [b.add("Gather", [table, ids])]);
  b.output("logits", b.add("MatMul", [hidden, b.add("Transpose", [table], { perm: integersAttribute([1, 0]) })]));
  return b.finish();
}

/** Rows and columns of a table, read by an index and element by element. */
function tableAlone(scheme: Scheme): Graph {
  const b = new GraphBuilder("table", inferNode);
  const ids = b.input("ids", "int64", [1, 3]);
  const x = b.input("x", "float32", [vocabulary, 1]);
  const table = tableOf(b, scheme);
  b.output("rows", b.add("Gather", [table, ids]));
  b.output("columns", b.add("Gather", [table, ids], { axis: integerAttribute(1) }));
  b.output("sum", b.add("Add", [table, x]));
  return b.finish();
}

function tableOf(b: GraphBuilder, scheme: Scheme): Value {
  const plain = randomTensor([vocabulary, width], 7) as Tensor<"float32">;
  const rounded = roundWeights(plain, scheme, { channelAxis: 0, contractionAxis: 1 });
  return b.constant("table", rounded?.tensor ?? plain, rounded?.storage);
}

const schemes: readonly Scheme[] = [
  { kind: "float32" },
  { kind: "float16" },
  { kind: "int8-weights" },
  { kind: "int4", blockSize: 32, zeros: true },
  { kind: "int4", blockSize: 16, zeros: false },
  { kind: "nf4", blockSize: 64, zeros: false },
];

for (const scheme of schemes) {
  test(`a table in ${schemeName(scheme)} is read element by element`, async () => {
    const graph = optimise(tableAlone(scheme), { verify: true });
    const inputs = { ids: tensorOf("int64", [1, 3], [0, 40, 47]), x: randomTensor([vocabulary, 1], 8) as Tensor };
    const { outputs } = await runPlanned(graph, [inputs]);
    const expected = evaluateGraph(graph, inputs);
    for (const name of ["rows", "columns", "sum"])
      expect(difference(outputs[0]?.[name], expected[name] as Tensor, { absolute: 0, relative: 0 })).toBeUndefined();
  });

  test(`a tied embedding in ${schemeName(scheme)} is stored once`, async () => {
    const graph = optimise(tied(scheme), { verify: true });
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
