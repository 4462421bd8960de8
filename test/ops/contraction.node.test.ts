/**
 * Convolutions, pools, products, reductions and normalisations. The reference agrees with onnxruntime-web (canonical forms:
 * with the ONNX form they stand for), inference with the reference, and every lowering, families included, with both.
 */
import { describe, expect, it } from "vitest";
import type { Tensor } from "../../runtime/format/tensor.ts";
import { channelsFirst, channelsLast } from "../../runtime/reference/channels-last.ts";
import type { OperatorCase } from "./case.ts";
import { canonicalCases } from "./cases/canonical.ts";
import { channelsLastCases, reductionCases } from "./cases/reduction.ts";
import { windowCases } from "./cases/window.ts";
import { type Bound, difference } from "./compare.ts";
import { executeExpression, executeLoops, executeReference, inferCall, type Knowledge } from "./execute.ts";
import { runOnnxruntime } from "./one-node-model.ts";

const bound: Bound = { absolute: 2e-6, relative: 2e-5 };

/** Forms that onnxruntime-web has no kernel for, or of which it has another opinion than the standard. */
const withoutOracle = (one: OperatorCase): boolean =>
  one.op === "LpPool" ||
  one.name === "even size" ||
  (one.op === "AveragePool" && one.attributes.dilations !== undefined);

function allAgree(actual: readonly Tensor[] | undefined, expected: readonly Tensor[], what: string): void {
  if (!actual) return;
  expected.forEach((tensor, index) => {
    expect(difference(actual[index], tensor, bound), `${what}, output ${index}`).toBeUndefined();
  });
}

const callOf = (one: OperatorCase) => ({ ...one, outputCount: one.outputCount ?? 1 });

/** The parts of the record agree; returns what the reference gives. */
function consistent(one: OperatorCase): readonly Tensor[] {
  const call = callOf(one);
  const outputs = executeReference(call);
  for (const knowledge of ["types", "constants"] satisfies Knowledge[]) {
    expect(inferCall(call, knowledge).types).toEqual(outputs.map(({ dtype, shape }) => ({ dtype, shape })));
    allAgree(executeExpression(call, knowledge), outputs, `expression knowing ${knowledge}`);
    allAgree(executeLoops(call, knowledge), outputs, `lowering knowing ${knowledge}`);
  }
  return outputs;
}

const onnxCases = [...windowCases, ...reductionCases];

describe.each([...new Set(onnxCases.map(({ op }) => op))])("%s", (op) => {
  it.each(onnxCases.filter((one) => one.op === op).map((one) => [one.name, one] as const))("%s", async (_, one) => {
    const outputs = consistent(one);
    if (!withoutOracle(one)) allAgree(outputs, await runOnnxruntime(callOf(one)), "reference");
  });
});

describe("canonical forms", () => {
  it.each(canonicalCases.map((one) => [`${one.op}, ${one.name}`, one] as const))("%s", (_, one) => {
    consistent(one);
    // Weights are constants in the families: the lowering must exist.
    expect(executeLoops(callOf(one), "constants")).toBeDefined();
  });
});

describe("channels last", () => {
  it.each(channelsLastCases.map((one) => [`${one.op}, ${one.name}`, one] as const))("%s", (_, one) => {
    const [y] = consistent(one);
    const { layout: __, ...attributes } = one.attributes;
    const [x, ...parameters] = one.inputs;
    const [expected] = executeReference({ ...callOf(one), attributes, inputs: [x && channelsFirst(x), ...parameters] });
    allAgree([y as Tensor], [channelsLast(expected as Tensor)], "the form with channels first");
  });
});
