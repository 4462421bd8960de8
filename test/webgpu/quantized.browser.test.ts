/**
 * Quantised operators with constant weights on WebGPU: through passes and plan, against the reference functions. The device's
 * division is not exact, so a result may be a step away.
 */
import { describe, expect, test } from "vitest";
import { isFloat } from "../../runtime/format/dtype.ts";
import type { OperatorCase } from "../ops/case.ts";
import { integerProductCases } from "../ops/cases/integer-product.ts";
import { quantizedCases } from "../ops/cases/quantized.ts";
import { executeReference } from "../ops/execute.ts";
import { oneNodeGraph } from "../ops/one-node-graph.ts";
import { stepsApart } from "../ops/steps-apart.ts";
import { adapterReason, gpuTimeout, openGraph } from "./graph-engine.ts";

const reason = await adapterReason();
const cases: readonly OperatorCase[] = [...integerProductCases, ...quantizedCases];

describe.skipIf(reason !== undefined)(
  `quantised, on WebGPU${reason === undefined ? "" : `, skipped: ${reason}`}`,
  () => {
    test.each([...new Set(cases.map(({ op }) => op))])("%s", { timeout: gpuTimeout }, async (op) => {
      const problems: string[] = [];
      for (const one of cases.filter((candidate) => candidate.op === op)) {
        const call = { ...one, outputCount: one.outputCount ?? 1 };
        const isActivation = (index: number): boolean =>
          index === 0 || (op.startsWith("leafcutter.") && index > 2 && (one.inputs[index]?.shape.length ?? 0) > 2);
        const { graph, inputs } = oneNodeGraph(call, (index) => !isActivation(index));
        const engine = await openGraph(graph);
        try {
          const { outputs, steps = [] } = await engine.run(inputs, { profile: true });
          for (const [index, expected] of executeReference(call).entries()) {
            const problem = stepsApart(outputs[`y${index}`], expected, isFloat(expected.dtype) ? 2e-5 : 1);
            if (problem !== undefined) problems.push(`${one.name} by ${steps.map(({ where }) => where)}: ${problem}`);
          }
          if (steps.some(({ where }) => where !== "webgpu"))
            problems.push(
              `${one.name} does not run on the device: ${steps.map(({ name, where }) => `${name} ${where}`)}`,
            );
        } finally {
          engine.dispose();
        }
      }
      expect(problems).toEqual([]);
    });
  },
);
