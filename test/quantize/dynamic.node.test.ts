/** int8 dynamic: rows of products, and images of convolutions, in integers whose scale the run finds. */
import { expect, test } from "vitest";
import { openExecution } from "../../compiler/execution.ts";
import { expressionAttribute, integerAttribute, integersAttribute } from "../../compiler/graph/attribute.ts";
import { GraphBuilder } from "../../compiler/graph/build.ts";
import type { Graph } from "../../compiler/graph/graph.ts";
import { inferNode } from "../../compiler/ops/infer.ts";
import { toIntegers } from "../../compiler/pipeline.ts";
import { defaultCosts } from "../../compiler/plan/default-costs.ts";
import { makePlan } from "../../compiler/plan/make-plan.ts";
import { applySchemes } from "../../compiler/quantize/apply-schemes.ts";
import { layersOf } from "../../compiler/quantize/layer.ts";
import { parseScheme, type Scheme } from "../../compiler/quantize/scheme.ts";
import { binary, constant, input } from "../../runtime/format/expression.ts";
import { fillRandom } from "../../runtime/format/random.ts";
import { type Tensor, tensorOf } from "../../runtime/format/tensor.ts";
import { evaluateGraph } from "../graph/evaluate.ts";

const scheme = parseScheme("int8-dynamic") as Scheme;

function random(shape: readonly number[], seed: number, scale = 1): Tensor<"float32"> {
  const tensor = tensorOf("float32", shape, []);
  fillRandom("float32", tensor.data, seed);
  return { ...tensor, data: tensor.data.map((value) => value * scale) };
}

const relu = expressionAttribute(binary("maximum", input(0), constant(0)));
const residual = expressionAttribute(binary("add", input(0), input(1)));

/** Two products with a bias, an activation and a residual between them. */
function products(): Graph {
  const builder = new GraphBuilder("products", inferNode);
  const x = builder.input("x", "float32", [2, 9, 24]);
  const wide = builder.add(
    "leafcutter.MatMul",
    [x, builder.constant("w1", random([24, 40], 3, 0.3)), builder.constant("b1", random([40], 4))],
    { epilogue: relu },
    { name: "wide" },
  );
  builder.output(
    "y",
    builder.add(
      "leafcutter.MatMul",
      [wide, builder.constant("w2", random([24, 40], 5, 0.3)), undefined, x],
      { transposeB: integerAttribute(1), epilogue: residual },
      { name: "narrow" },
    ),
  );
  return builder.finish();
}

function convolution(): Graph {
  const builder = new GraphBuilder("convolution", inferNode);
  const x = builder.input("x", "float32", [1, 8, 8, 6]);
  const attributes = {
    strides: integersAttribute([1, 1]),
    dilations: integersAttribute([1, 1]),
    pads: integersAttribute([1, 1, 1, 1]),
    group: integerAttribute(1),
    epilogue: relu,
  };
  const [weights, bias] = [
    builder.constant("w", random([10, 6, 3, 3], 6, 0.3)),
    builder.constant("b", random([10], 7)),
  ];
  builder.output("y", builder.add("leafcutter.Conv", [x, weights, bias], attributes, { name: "conv" }));
  return builder.finish();
}

const dynamic = (graph: Graph): Graph =>
  applySchemes(graph, new Map(layersOf(graph).map(({ node }) => [node, scheme])), undefined);

const differenceOf = (got: Tensor | undefined, wanted: Tensor | undefined): number => {
  let [largest, difference] = [0, 0];
  for (const [index, value] of (wanted?.data ?? []).entries()) {
    largest = Math.max(largest, Math.abs(Number(value)));
    difference = Math.max(difference, Math.abs(Number(value) - Number(got?.data[index])));
  }
  return difference / largest;
};

test.each([
  ["products", products, ["matmul-i8", "matmul-i8"]],
  ["a convolution", convolution, ["conv-i8"]],
] as const)("%s run on integer kernels, as the quantised graph says and close to floats", async (_, make, kernels) => {
  const graph = make();
  const quantised = dynamic(graph);
  const integers = toIntegers(quantised, { verify: true });
  const names = makePlan(integers, defaultCosts).steps.flatMap((step) =>
    step.kind === "kernel" && step.op.startsWith("leafcutter.Integer") ? [step.kernel.name.split(" ")[0]] : [],
  );
  expect(names).toEqual(kernels);
  const x = random(graph.inputs[0]?.type.shape as readonly number[], 8);
  const execution = await openExecution(integers, []);
  const { y } = await execution.run({ x });
  execution.close();
  expect(differenceOf(y, (await evaluateGraph(quantised, { x })).y)).toBeLessThan(1e-5);
  expect(differenceOf(y, (await evaluateGraph(graph, { x })).y)).toBeLessThan(0.02);
});

test("a row's scale is its own: a row of large numbers leaves the others as exact as they were, and zeros are zeros", async () => {
  const graph = products();
  const x = random([2, 9, 24], 9);
  const loud = { ...x, data: x.data.map((value, at) => (at < 24 ? value * 1e4 : at < 48 ? 0 : value)) };
  const execution = await openExecution(toIntegers(dynamic(graph)), []);
  const [quiet, mixed] = [(await execution.run({ x })).y, (await execution.run({ x: loud })).y];
  const float = (await evaluateGraph(graph, { x: loud })).y;
  execution.close();
  expect(mixed?.data.slice(48)).toEqual(quiet?.data.slice(48));
  const zeros = [...(mixed?.data.slice(24, 48) ?? [])].map((value, at) =>
    Math.abs(Number(value) - Number(float?.data[24 + at])),
  );
  expect(Math.max(...zeros)).toBeLessThan(0.05);
});

test("the range of ONNX, whose zero point the run finds, is corrected in the epilogue", async () => {
  const builder = new GraphBuilder("imported", inferNode);
  const x = builder.input("x", "float32", [5, 16]);
  const [integers, scale, zero] = builder.addNode("DynamicQuantizeLinear", [x]);
  const floats = builder.add("DequantizeLinear", [integers, scale, zero]);
  const scales = Float32Array.from({ length: 12 }, (_, channel) => 0.01 + channel * 1e-3);
  const weights = random([16, 12], 10);
  const rounded = weights.data.map((value, at) => {
    const step = scales[at % 12] as number;
    return Math.max(-127, Math.min(127, Math.round(value / step))) * step;
  });
  const constant = builder.constant("w", tensorOf("float32", [16, 12], rounded), { kind: "int8", axis: 1, scales });
  builder.output("y", builder.add("leafcutter.MatMul", [floats, constant], {}));
  const graph = builder.finish();
  const result = toIntegers(graph, { verify: true });
  expect(result.nodes.map(({ op }) => op)).toContain("leafcutter.IntegerMatMul");
  const values = { x: random([5, 16], 11) };
  const execution = await openExecution(result, []);
  const { y } = await execution.run(values);
  execution.close();
  expect(differenceOf(y, (await evaluateGraph(graph, values)).y)).toBeLessThan(1e-5);
});
