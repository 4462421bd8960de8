/**
 * Operators that passes rewrite to canonical ones: the reference of the operator, that of the canonical form, the code
 * generated for it and, where it has the operator, onnxruntime agree.
 */
import { describe, expect, it } from "vitest";
import { GraphBuilder } from "../../compiler/graph/build.ts";
import type { Graph } from "../../compiler/graph/graph.ts";
import { printGraph } from "../../compiler/graph/print.ts";
import { inferNode } from "../../compiler/ops/infer.ts";
import { optimise } from "../../compiler/pipeline.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import { evaluateGraph } from "../graph/evaluate.ts";
import { type AttentionCase, attentionCases } from "../ops/cases/attention-operators.ts";
import { fusedCases } from "../ops/cases/fused-operators.ts";
import { difference } from "../ops/compare.ts";
import { executeReference } from "../ops/execute.ts";
import { runOnnxruntime } from "../ops/one-node-model.ts";
import { runPlanned } from "../plan/execute.ts";

const tolerance = { absolute: 1e-5, relative: 1e-4 };

/** The case as a graph of one node, and the tensors of its inputs. */
function graphOf(one: AttentionCase): { readonly graph: Graph; readonly inputs: Readonly<Record<string, Tensor>> } {
  const builder = new GraphBuilder(one.name, inferNode);
  const inputs: Record<string, Tensor> = {};
  const values = one.inputs.map((tensor, index) => {
    if (!tensor) return undefined;
    if (one.constants.includes(index)) return builder.constant(`x${index}`, tensor);
    inputs[`x${index}`] = tensor;
    return builder.input(`x${index}`, tensor.dtype, tensor.shape);
  });
  const names = Array.from({ length: one.outputCount ?? 1 }, (_, index) => `y${index}`);
  const outputs = builder.addNode(one.op, values, one.attributes, {
    version: one.version,
    name: "node",
    outputs: names,
  });
  outputs.forEach((output, index) => {
    builder.output(`y${index}`, output);
  });
  return { graph: builder.finish(), inputs };
}

const cases = [...attentionCases, ...fusedCases];
const operators = [...new Set(cases.map(({ op }) => op))];

describe.each(operators)("%s", (op) => {
  it.each(cases.filter((one) => one.op === op).map((one) => [one.name, one] as const))("%s", async (_, one) => {
    const call = { ...one, outputCount: one.outputCount ?? 1 };
    const expected = executeReference(call);
    const { graph, inputs } = graphOf(one);
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
