/**
 * The operator tables on WebGPU: every case that lowers without a host step, as a graph of one node, against the
 * reference function. What has no shader runs beside the device, and must agree too.
 */
import { describe, expect, test } from "vitest";
import { GraphBuilder } from "../../compiler/graph/build.ts";
import type { Graph } from "../../compiler/graph/graph.ts";
import { inferNode } from "../../compiler/ops/infer.ts";
import type { DType } from "../../runtime/format/dtype.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import { numbersOf, tensorOfNumbers } from "../../runtime/reference/numbers.ts";
import type { OperatorCase } from "../ops/case.ts";
import { activationCases } from "../ops/cases/activation.ts";
import { arithmeticCases } from "../ops/cases/arithmetic.ts";
import { convertCases } from "../ops/cases/convert.ts";
import { logicCases } from "../ops/cases/logic.ts";
import { mathCases } from "../ops/cases/math.ts";
import { reductionCases } from "../ops/cases/reduction.ts";
import { difference } from "../ops/compare.ts";
import { executeReference } from "../ops/execute.ts";
import { adapterReason, gpuTimeout, openGraph } from "./graph-engine.ts";

const reason = await adapterReason();
const cases: readonly OperatorCase[] = [
  ...arithmeticCases,
  ...mathCases,
  ...activationCases,
  ...logicCases,
  ...convertCases,
  ...reductionCases,
].filter(({ inputs, outputCount = 1 }) => outputCount === 1 && isOnDevice(inputs));
const operators = [...new Set(cases.map(({ op }) => op))];

/** Of types whose last place may round the other way. */
const precision: Readonly<Partial<Record<DType, number>>> = { float16: 1e-3, bfloat16: 8e-3 };

/** float64 is not a type of the device. */
function isOnDevice(inputs: readonly (Tensor | undefined)[]): boolean {
  return inputs.every((input) => input?.dtype !== "float64");
}

function graphOf({ op, version, attributes, inputs }: OperatorCase): Graph {
  const builder = new GraphBuilder(op, inferNode);
  const values = inputs.map((input, index) => input && builder.input(`x${index}`, input.dtype, input.shape));
  builder.output("y", builder.add(op, values, attributes, { version }));
  return builder.finish();
}

/** The trigonometric functions are good up to 10^4. */
function withinDomain({ op, inputs }: OperatorCase, output: Tensor): Tensor {
  const [x] = inputs;
  if (!x || !["Sin", "Cos", "Tan"].includes(op)) return output;
  const values = numbersOf(x);
  const numbers = Array.from(numbersOf(output), (value, index) => (Math.abs(values[index] ?? 0) <= 10_000 ? value : 0));
  return tensorOfNumbers(output.dtype, output.shape, numbers);
}

describe.skipIf(reason !== undefined)(`on WebGPU${reason === undefined ? "" : `, skipped: ${reason}`}`, () => {
  const beside = new Set<string>();

  test.each(operators)("%s", { timeout: gpuTimeout }, async (op) => {
    const problems: string[] = [];
    for (const one of cases.filter((candidate) => candidate.op === op)) {
      const [expected] = executeReference({ ...one, outputCount: 1 });
      if (!expected) throw new Error("the reference gives no output");
      const graph = graphOf(one);
      const engine = await openGraph(graph);
      const inputs = Object.fromEntries(
        one.inputs.flatMap((input, index) => (input ? [[`x${index}`, input] as const] : [])),
      );
      try {
        const { outputs, steps = [] } = await engine.run(inputs, { profile: true });
        if (steps.some(({ where }) => where !== "webgpu")) beside.add(op);
        const received = outputs.y && withinDomain(one, outputs.y);
        const bound = { absolute: 0, relative: precision[expected.dtype] ?? 2e-5, least: 2e-6 };
        const problem = difference(received, withinDomain(one, expected), bound);
        if (problem !== undefined) problems.push(`${one.name} by ${steps.map(({ where }) => where)}: ${problem}`);
      } finally {
        engine.dispose();
      }
    }
    expect(problems).toEqual([]);
  });

  test("all but casts to float64 and powers of integers run on the device", () => {
    expect([...beside].sort()).toEqual(["Cast", "Pow"]);
  });
});
