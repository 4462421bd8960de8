/**
 * Quantised operators with constant weights through passes, plan and generated code: integer products to the bit, whole
 * operators within one quantisation step of their definition (a fused chain may multiply by the combined scale).
 */
import { describe, expect, it } from "vitest";
import { optimise } from "../../compiler/pipeline.ts";
import { isFloat } from "../../runtime/format/dtype.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import type { OperatorCase } from "../ops/case.ts";
import { integerProductCases } from "../ops/cases/integer-product.ts";
import { quantizedCases } from "../ops/cases/quantized.ts";
import { difference } from "../ops/compare.ts";
import { executeReference } from "../ops/execute.ts";
import { oneNodeGraph } from "../ops/one-node-graph.ts";
import { stepsApart } from "../ops/steps-apart.ts";
import { runPlanned } from "./execute.ts";

const callOf = (one: OperatorCase) => ({ ...one, outputCount: one.outputCount ?? 1 });

/** Whether the planner chose something else than a host step for every node. */
const hasNoHostStep = ({ steps }: Awaited<ReturnType<typeof runPlanned>>["program"]): boolean =>
  steps.every(({ kind }) => kind !== "host");

describe("integer products, weights constant", () => {
  it.each(integerProductCases.map((one) => [`${one.op}, ${one.name}`, one] as const))("%s", async (_, one) => {
    const call = callOf(one);
    // Whole residuals are activations, rows of the result are constants.
    const isActivation = (index: number): boolean => index === 0 || (one.inputs[index]?.shape.length ?? 0) > 2;
    const { graph, inputs } = oneNodeGraph(call, (index) => index === 1 || !isActivation(index));
    const { program, outputs } = await runPlanned(graph, [inputs]);
    expect(hasNoHostStep(program)).toBe(true);
    const [expected] = executeReference(call);
    expect(difference(outputs[0]?.y0, expected as Tensor, { absolute: 1e-6, relative: 1e-6 })).toBeUndefined();
  });
});

describe.each([...new Set(quantizedCases.map(({ op }) => op))])("%s, parameters constant", (op) => {
  it.each(quantizedCases.filter((one) => one.op === op).map((one) => [one.name, one] as const))(
    "%s",
    async (_, one) => {
      const call = callOf(one);
      const { graph, inputs } = oneNodeGraph(call, (index) => index > 0);
      const { outputs } = await runPlanned(optimise(graph), [inputs]);
      for (const [index, expected] of executeReference(call).entries())
        expect(stepsApart(outputs[0]?.[`y${index}`], expected, isFloat(expected.dtype) ? 1e-5 : 1)).toBeUndefined();
    },
  );
});
