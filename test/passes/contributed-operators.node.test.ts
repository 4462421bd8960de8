/**
 * Operators that passes rewrite to canonical ones: the reference of the operator, that of the canonical form, the code
 * generated for it and, where it has the operator, onnxruntime agree.
 */
import { describe, expect, it } from "vitest";
import { printGraph } from "../../compiler/graph/print.ts";
import { optimise } from "../../compiler/pipeline.ts";
import { evaluateGraph } from "../graph/evaluate.ts";
import { attentionCases } from "../ops/cases/attention-operators.ts";
import { blockCases } from "../ops/cases/block-operators.ts";
import { fusedCases } from "../ops/cases/fused-operators.ts";
import { difference } from "../ops/compare.ts";
import { executeReference } from "../ops/execute.ts";
import { oneNodeGraph } from "../ops/one-node-graph.ts";
import { runOnnxruntime } from "../ops/one-node-model.ts";
import { runPlanned } from "../plan/execute.ts";

const tolerance = { absolute: 1e-5, relative: 1e-4 };

const cases = [...attentionCases, ...fusedCases, ...blockCases];
const operators = [...new Set(cases.map(({ op }) => op))];

describe.each(operators)("%s", (op) => {
  it.each(cases.filter((one) => one.op === op).map((one) => [one.name, one] as const))("%s", async (_, one) => {
    const call = { ...one, outputCount: one.outputCount ?? 1 };
    const expected = executeReference(call);
    const { graph, inputs } = oneNodeGraph(call, (index) => one.constants.includes(index));
    const optimised = optimise(graph, { verify: true });
    const text = printGraph(optimised, { digests: true });
    const canonical = evaluateGraph(optimised, inputs);
    const run = await runPlanned(optimised, [inputs]);
    const onHost = run.program.steps.flatMap((step) => (step.kind === "host" ? [step.op] : []));
    expect(onHost, text).toEqual(one.host ? [op] : []);
    const generated = run.outputs[0] ?? {};
    const oracle = one.oracle === "none" ? undefined : await runOnnxruntime(call);
    expected.forEach((tensor, index) => {
      const name = `y${index}`;
      expect(difference(canonical[name], tensor, tolerance), `canonical form, ${name}\n${text}`).toBeUndefined();
      expect(difference(generated[name], tensor, tolerance), `generated code, ${name}\n${text}`).toBeUndefined();
      if (oracle && (index === 0 || one.oracle !== "first"))
        expect(difference(oracle[index], tensor, tolerance), `onnxruntime, ${name}`).toBeUndefined();
    });
  });
});
