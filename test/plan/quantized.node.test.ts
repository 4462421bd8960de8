/**
 * Quantised operators with constant weights through passes, plan and generated code: integer products to the bit, whole
 * operators within one quantisation step of their definition (a fused chain may multiply by the combined scale).
 */
import { describe, expect, it } from "vitest";
import { integerAttribute, integersAttribute } from "../../compiler/graph/attribute.ts";
import { GraphBuilder } from "../../compiler/graph/build.ts";
import { inferNode } from "../../compiler/ops/infer.ts";
import { optimise } from "../../compiler/pipeline.ts";
import { isFloat } from "../../runtime/format/dtype.ts";
import { type Tensor, tensorOf } from "../../runtime/format/tensor.ts";
import { evaluateGraph } from "../graph/evaluate.ts";
import { noise } from "../kernels/tensors.ts";
import type { OperatorCase } from "../ops/case.ts";
import { integerProductCases, randomIntegers } from "../ops/cases/integer-product.ts";
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

describe("a zero point that only the run knows", () => {
  const cases = quantizedCases.filter(
    ({ op, inputs }) => /^(Conv|MatMul)Integer$/.test(op) && inputs[2]?.shape.length === 0,
  );
  it.each(cases.map((one) => [`${one.op}, ${one.name}`, one] as const))("%s", async (_, one) => {
    const call = callOf(one);
    const { graph, inputs } = oneNodeGraph(call, (index) => index === 1 || index === 3);
    const { outputs, program } = await runPlanned(optimise(graph), [inputs]);
    expect(hasNoHostStep(program)).toBe(true);
    const [expected] = executeReference(call);
    expect(stepsApart(outputs[0]?.y0, expected as Tensor, 0)).toBeUndefined();
  });
});

it("convolutions quantised in the run keep one layout between them", async () => {
  const builder = new GraphBuilder("dynamic", inferNode);
  let x = builder.input("x", "float32", [1, 3, 9, 8]);
  const shapes = [
    [5, 3, 3, 3],
    [4, 5, 3, 3],
  ] as const;
  for (const [index, shape] of shapes.entries()) {
    const [integers, scale, zero] = builder.addNode("DynamicQuantizeLinear", [x], {}, { version: 11 });
    const weights = builder.constant(`w${index}`, randomIntegers("int8", shape, index));
    const attributes = { pads: integersAttribute([1, 1, 1, 1]) };
    const sum = builder.add("ConvInteger", [integers, weights, zero], attributes, { version: 10 });
    const floats = builder.add("Cast", [sum], { to: integerAttribute(1) }, { version: 13 });
    const step = builder.add(
      "Mul",
      [scale, builder.constant(`s${index}`, tensorOf("float32", [], [0.01]))],
      {},
      {
        version: 14,
      },
    );
    x = builder.add("Relu", [builder.add("Mul", [floats, step], {}, { version: 14 })], {}, { version: 14 });
  }
  builder.output("y", x);
  const graph = builder.finish();
  const canonical = optimise(graph);
  expect(canonical.nodes.filter(({ op }) => op === "Transpose")).toHaveLength(2);
  expect(canonical.nodes.filter(({ op }) => op === "leafcutter.IntegerConv")).toHaveLength(2);
  const inputs = { x: tensorOf("float32", [1, 3, 9, 8], noise(216, 5)) };
  const { outputs } = await runPlanned(canonical, [inputs]);
  const { y } = evaluateGraph(graph, inputs);
  expect(difference(outputs[0]?.y, y as Tensor, { absolute: 0.02, relative: 1e-5 })).toBeUndefined();
});
