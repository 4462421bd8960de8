import { expect, test } from "vitest";
import { expressionAttribute, integerAttribute, integersAttribute } from "../../compiler/graph/attribute.ts";
import { GraphBuilder } from "../../compiler/graph/build.ts";
import type { Graph, Value } from "../../compiler/graph/graph.ts";
import { verifyGraph } from "../../compiler/graph/verify.ts";
import { inferNode } from "../../compiler/ops/infer.ts";
import { applySchemes } from "../../compiler/quantize/apply-schemes.ts";
import { calibrate } from "../../compiler/quantize/calibrate.ts";
import { equalise } from "../../compiler/quantize/equalise.ts";
import { layersOf } from "../../compiler/quantize/layer.ts";
import { binary, constant, type Expression, input, unary } from "../../runtime/format/expression.ts";
import { fillRandom } from "../../runtime/format/random.ts";
import { type Tensor, tensorOf } from "../../runtime/format/tensor.ts";
import { evaluateGraph } from "../graph/evaluate.ts";

type Sample = Readonly<Record<string, Tensor>>;

function random(shape: readonly number[], seed: number): Tensor<"float32"> {
  const tensor = tensorOf("float32", shape, []);
  fillRandom("float32", tensor.data, seed);
  return tensor;
}

/** Uneven channels: the first is a hundred times as large as the others, and the weights that read it a hundredth. */
function uneven(tensor: Tensor<"float32">, channelOf: (at: number) => number, factor: number): Tensor<"float32"> {
  return { ...tensor, data: tensor.data.map((value, at) => (channelOf(at) === 0 ? value * factor : value)) };
}

const window = (group: number) => ({
  strides: integersAttribute([1, 1]),
  dilations: integersAttribute([1, 1]),
  pads: integersAttribute([1, 1, 1, 1]),
  group: integerAttribute(group),
});

const relu = binary("maximum", input(0), constant(0));
const silu = binary("multiply", input(0), unary("sigmoid", input(0)));

/** Convolution, depthwise, convolution; `alsoRead`: the first result is an output as well. */
function chain(activation: Expression, alsoRead = false): Graph {
  const builder = new GraphBuilder("chain", inferNode);
  const epilogue = expressionAttribute(activation);
  const x = builder.input("x", "float32", [1, 5, 5, 4]);
  const first = builder.constant(
    "w1",
    uneven(random([8, 4, 3, 3], 1), (at) => Math.floor(at / 36), 100),
  );
  const bias = builder.constant(
    "b1",
    uneven(random([8], 2), (at) => at, 100),
  );
  const a: Value = builder.add("leafcutter.Conv", [x, first, bias], { ...window(1), epilogue }, { name: "first" });
  const second = builder.constant(
    "w2",
    uneven(random([8, 1, 3, 3], 3), (at) => Math.floor(at / 9), 0.01),
  );
  const b = builder.add("leafcutter.Conv", [a, second], { ...window(8), epilogue }, { name: "second" });
  const third = builder.constant("w3", random([6, 8, 3, 3], 4));
  builder.output("y", builder.add("leafcutter.Conv", [b, third], window(1), { name: "third" }));
  if (alsoRead) builder.output("a", a);
  return builder.finish();
}

const samples: readonly Sample[] = Array.from({ length: 3 }, (_, i) => ({ x: random([1, 5, 5, 4], 50 + i) }));
const open = async (graph: Graph) => ({
  run: async (sample: Sample) => evaluateGraph(graph, sample),
  close: () => undefined,
});
const calibrated = (graph: Graph) => calibrate(graph, samples, { open, source: "samples", method: "min-max" });
const outputOf = (graph: Graph): readonly number[] => [
  ...((evaluateGraph(graph, samples[0] as Sample).y as Tensor).data as Float32Array),
];
const distance = (left: readonly number[], right: readonly number[]): number =>
  Math.sqrt(
    left.reduce((sum, value, at) => sum + (value - (right[at] as number)) ** 2, 0) /
      left.reduce((sum, value) => sum + value ** 2, 0),
  );

test.each([
  ["a rectifier takes the factors through", relu, 0],
  ["another activation divides its result", silu, 1],
])("%s: the same function, and int8 comes closer to it", async (_, activation, operands) => {
  const graph = chain(activation);
  const calibration = await calibrated(graph);
  const equalised = equalise(graph, calibration);
  expect(equalised).not.toBe(graph);
  verifyGraph(equalised, inferNode, "equalise");
  expect(equalised.nodes[0]?.inputs.length).toBe(3 + operands);
  const expected = outputOf(graph);
  expect(distance(expected, outputOf(equalised))).toBeLessThan(1e-5);
  const quantised = async (candidate: Graph) =>
    applySchemes(
      candidate,
      new Map(layersOf(candidate).map(({ node }) => [node, { kind: "int8", activationBits: 8, dynamic: false }])),
      await calibrated(candidate),
    );
  const plain = distance(expected, outputOf(await quantised(graph)));
  expect(distance(expected, outputOf(await quantised(equalised)))).toBeLessThan(0.5 * plain);
});

test("a value that somebody else reads stays as it is", async () => {
  const graph = chain(relu, true);
  const equalised = equalise(graph, await calibrated(graph));
  expect(evaluateGraph(equalised, samples[0] as Sample).a).toEqual(evaluateGraph(graph, samples[0] as Sample).a);
});

test("the scale and the shift of a norm take the factors of the product behind it", async () => {
  const builder = new GraphBuilder("norm", inferNode);
  const x = builder.input("x", "float32", [3, 16]);
  const scale = builder.constant(
    "scale",
    uneven(random([16], 7), (at) => at, 80),
  );
  const shift = builder.constant("shift", random([16], 8));
  const normed = builder.add("LayerNormalization", [x, scale, shift], { axis: integerAttribute(1) }, { version: 17 });
  builder.output("y", builder.add("leafcutter.MatMul", [normed, builder.constant("w", random([16, 12], 9))]));
  const graph = builder.finish();
  const sample = { x: random([3, 16], 10) };
  const equalised = equalise(graph, await calibrate(graph, [sample], { open, source: "samples" }));
  verifyGraph(equalised, inferNode, "equalise");
  const [before, after] = [graph, equalised].map((candidate) => [
    ...((evaluateGraph(candidate, sample).y as Tensor).data as Float32Array),
  ]);
  expect(equalised.nodes[0]?.inputs[1]).not.toBe(scale);
  expect(distance(before as number[], after as number[])).toBeLessThan(1e-5);
});

/** x -> a; a and b = pool(a) + a behind a convolution, joined, read by one convolution; `pinned`: the join is an output as well. */
function residual(pinned: boolean): Graph {
  const builder = new GraphBuilder("residual", inferNode);
  const epilogue = expressionAttribute(silu);
  const x = builder.input("x", "float32", [1, 5, 5, 4]);
  const first = builder.constant(
    "w1",
    uneven(random([8, 4, 3, 3], 1), (at) => Math.floor(at / 36), 100),
  );
  const a = builder.add("leafcutter.Conv", [x, first], { ...window(1), epilogue }, { name: "first" });
  const added = expressionAttribute(binary("add", input(0), input(1)));
  const second = builder.constant("w2", random([8, 8, 1, 1], 3));
  const flat = { ...window(1), pads: integersAttribute([0, 0, 0, 0]) };
  const b = builder.add("leafcutter.Conv", [a, second, undefined, a], { ...flat, epilogue: added }, { name: "second" });
  const joined = builder.add("Concat", [a, b], { axis: integerAttribute(3) }, { name: "joined" });
  const third = builder.constant("w3", random([6, 16, 3, 3], 4));
  builder.output("y", builder.add("leafcutter.Conv", [joined, third], window(1), { name: "third" }));
  if (pinned) builder.output("joined", joined);
  return builder.finish();
}

test("factors go through a concatenation and around a residual addition", async () => {
  const graph = residual(false);
  const equalised = equalise(graph, await calibrated(graph));
  verifyGraph(equalised, inferNode, "equalise");
  const [, second] = equalised.nodes;
  // What is added is multiplied, the sum is divided.
  expect(second?.inputs.length).toBe(6);
  expect(distance(outputOf(graph), outputOf(equalised))).toBeLessThan(1e-5);
});

test("what a concatenation shares with an output stays as it is", async () => {
  const graph = residual(true);
  expect(equalise(graph, await calibrated(graph))).toBe(graph);
});
