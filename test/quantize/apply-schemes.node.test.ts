import { describe, expect, test } from "vitest";
import {
  dimsAttribute,
  expressionAttribute,
  integerAttribute,
  integersAttribute,
  stringAttribute,
} from "../../compiler/graph/attribute.ts";
import { GraphBuilder } from "../../compiler/graph/build.ts";
import type { Graph, Node } from "../../compiler/graph/graph.ts";
import { inferNode } from "../../compiler/ops/infer.ts";
import { toIntegers } from "../../compiler/pipeline.ts";
import { applySchemes } from "../../compiler/quantize/apply-schemes.ts";
import { calibrate, calibratedValues } from "../../compiler/quantize/calibrate.ts";
import { activationScale } from "../../compiler/quantize/calibration.ts";
import { layersOf } from "../../compiler/quantize/layer.ts";
import type { Scheme } from "../../compiler/quantize/scheme.ts";
import { binary, constant, input } from "../../runtime/format/expression.ts";
import { fillRandom } from "../../runtime/format/random.ts";
import { type Tensor, tensorOf } from "../../runtime/format/tensor.ts";
import { evaluateGraph } from "../graph/evaluate.ts";

const int8: Scheme = { kind: "int8", activationBits: 8, dynamic: false };
const relu = expressionAttribute(binary("maximum", input(0), constant(0)));
const addResidual = expressionAttribute(binary("add", binary("maximum", input(0), constant(0)), input(1)));

function random(shape: readonly number[], seed: number, scale = 1): Tensor<"float32"> {
  const tensor = tensorOf("float32", shape, []);
  fillRandom("float32", tensor.data, seed);
  return { ...tensor, data: tensor.data.map((value) => value * scale) };
}

const window = (padding: number) => ({
  strides: integersAttribute([1, 1]),
  dilations: integersAttribute([1, 1]),
  pads: integersAttribute([padding, padding, padding, padding]),
  group: integerAttribute(1),
});

/** Convolution; residual block; maximum; concatenation of two branches; mean; product. */
function network(): Graph {
  const builder = new GraphBuilder("network", inferNode);
  const x = builder.input("x", "float32", [1, 6, 6, 3]);
  const conv = (
    name: string,
    from: typeof x,
    channels: number,
    edge: 1 | 3,
    epilogue: typeof relu,
    operand?: typeof x,
  ) => {
    const inputs = Number(from.type.shape[3]);
    const weights = builder.constant(
      `${name}/weights`,
      random([channels, inputs, edge, edge], name.length * 7 + channels, 0.4),
    );
    const bias = builder.constant(`${name}/bias`, random([channels], name.length * 5, 0.2));
    return builder.add(
      "leafcutter.Conv",
      [from, weights, bias, operand],
      { ...window(edge === 3 ? 1 : 0), epilogue },
      { name },
    );
  };
  const stem = conv("stem", x, 8, 3, relu);
  const inner = conv("inner", stem, 8, 3, relu);
  const block = conv("block", inner, 8, 3, addResidual, stem);
  const pooled = builder.add(
    "leafcutter.Pool",
    [block],
    {
      ...window(0),
      strides: integersAttribute([2, 2]),
      kernelShape: integersAttribute([2, 2]),
      mode: stringAttribute("max"),
      outputShape: dimsAttribute([3, 3]),
    },
    { name: "pooled" },
  );
  const joined = builder.add(
    "Concat",
    [conv("left", pooled, 4, 1, relu), conv("right branch", pooled, 6, 3, relu)],
    { axis: integerAttribute(3) },
    { name: "joined" },
  );
  const last = conv("last", joined, 12, 3, relu);
  const axes = builder.constant("axes", tensorOf("int64", [2], [1, 2]));
  const mean = builder.add("ReduceMean", [last, axes], { keepdims: integerAttribute(0) }, { name: "mean" });
  const matrix = builder.constant("head/weights", random([5, 12], 77));
  builder.output(
    "y",
    builder.add("leafcutter.MatMul", [mean, matrix], { transposeB: integerAttribute(1) }, { name: "head" }),
  );
  return builder.finish();
}

const samples = Array.from({ length: 4 }, (_, i) => ({ x: random([1, 6, 6, 3], 200 + i) }));
const open = async (graph: Graph) => ({
  run: async (sample: Readonly<Record<string, Tensor>>) => evaluateGraph(graph, sample),
  close: () => undefined,
});
const calibrated = (graph: Graph) => calibrate(graph, samples, { open, source: "samples", method: "min-max" });
const everywhere = (graph: Graph, scheme: Scheme): ReadonlyMap<Node, Scheme> =>
  new Map(layersOf(graph).map(({ node }) => [node, scheme]));
const nodeOf = (graph: Graph, name: string): Node => graph.nodes.find((node) => node.name === name) as Node;

describe("integers from end to end", () => {
  test("every layer reads dequantised values, and so do residuals, pools, concatenations and means", async () => {
    const graph = network();
    const quantised = applySchemes(graph, everywhere(graph, int8), await calibrated(graph));
    for (const name of ["stem", "inner", "block", "pooled", "joined", "last", "mean", "head"]) {
      const { inputs } = nodeOf(quantised, name);
      const activations = inputs.filter(
        (value) => value && !quantised.constants.has(value) && value.type.dtype === "float32",
      );
      expect(
        activations.map((value) => value?.name.endsWith("/dequantised")),
        name,
      ).toEqual(activations.map(() => true));
    }
    expect(nodeOf(quantised, "head").outputs[0]?.name).toBe(quantised.outputs[0]?.value.name);
    for (const { weights } of layersOf(quantised)) expect(weights.type.storage?.kind).toBe("int8");
  });

  test("what only moves keeps its scale: the pool that of its input, members of a concatenation one", async () => {
    const graph = network();
    const quantised = applySchemes(graph, everywhere(graph, int8), await calibrated(graph));
    const scaleOf = (name: string) => {
      const [, scale] = nodeOf(quantised, `${nodeOf(graph, name).outputs[0]?.name}/quantised`).inputs;
      return scale && quantised.constants.get(scale)?.data[0];
    };
    expect(scaleOf("pooled")).toBe(scaleOf("block"));
    expect(new Set(["left", "right branch", "joined"].map(scaleOf)).size).toBe(1);
    expect(scaleOf("stem")).not.toBe(scaleOf("block"));
  });

  test("a float layer keeps reading floats", async () => {
    const graph = network();
    const picks = new Map([...everywhere(graph, int8)].filter(([{ name }]) => name !== "last" && name !== "head"));
    const quantised = applySchemes(graph, picks, await calibrated(graph));
    expect(nodeOf(quantised, "last").inputs[0]?.name).not.toMatch(/dequantised/);
    expect(nodeOf(quantised, "left").inputs[0]?.name).toMatch(/dequantised/);
    expect(nodeOf(quantised, "joined").inputs[0]?.name).not.toMatch(/dequantised/);
  });

  test("dynamic: the range comes from the run, and no calibration is needed", () => {
    const graph = network();
    const quantised = applySchemes(
      graph,
      everywhere(graph, { kind: "int8", activationBits: 8, dynamic: true }),
      undefined,
    );
    expect(quantised.nodes.filter(({ op }) => op === "DequantizeLinear")).toHaveLength(6);
    expect(nodeOf(quantised, "head").inputs[0]?.name).toMatch(/row dequantised/);
    expect(nodeOf(quantised, "block").inputs[3]?.name).not.toMatch(/dequantised/);
    const integers = toIntegers(quantised, { verify: true });
    expect(integers.nodes.filter(({ op }) => op.startsWith("leafcutter.Integer"))).toHaveLength(7);
  });

  test("seven bits: products are marked for the relaxed dot", async () => {
    const graph = network();
    const quantised = applySchemes(
      graph,
      everywhere(graph, { kind: "int8", activationBits: 7, dynamic: false }),
      await calibrated(graph),
    );
    const bitsOf = (name: string) =>
      nodeOf(quantised, `${nodeOf(graph, name).outputs[0]?.name}/quantised`).attributes.bits?.value;
    // The mean reads integers too, and needs no relaxed product.
    expect([bitsOf("stem"), bitsOf("joined"), bitsOf("last")]).toEqual([7, 7, undefined]);
    const integers = toIntegers(quantised, { verify: true });
    const marked = ["inner", "block", "left", "last"].map((name) => nodeOf(integers, name).attributes.inputBits?.value);
    expect(marked).toEqual([7, 7, 7, 7]);
  });

  test.each([8, 7] as const)(
    "%s bits: integer kernels compute what the dequantised graph does",
    async (activationBits) => {
      const graph = network();
      const scheme: Scheme = { kind: "int8", activationBits, dynamic: false };
      const quantised = applySchemes(graph, everywhere(graph, scheme), await calibrated(graph));
      const integers = toIntegers(quantised, { verify: true });
      expect(integers.nodes.filter(({ op }) => /^leafcutter.Integer/.test(op))).toHaveLength(7);
      expect(integers.nodes.filter(({ op }) => /^leafcutter.(Conv|MatMul)$/.test(op))).toHaveLength(0);
      const float = (evaluateGraph(graph, samples[0] ?? {}).y as Tensor).data as Float32Array;
      const expected = (evaluateGraph(quantised, samples[0] ?? {}).y as Tensor).data as Float32Array;
      const received = (evaluateGraph(integers, samples[0] ?? {}).y as Tensor).data as Float32Array;
      const distance = (left: Float32Array, right: Float32Array) =>
        Math.sqrt(left.reduce((sum, value, at) => sum + (value - (right[at] ?? 0)) ** 2, 0));
      expect(distance(received, expected)).toBeLessThan(0.5 * distance(expected, float));
      expect(distance(received, float)).toBeLessThan(
        (activationBits === 8 ? 0.05 : 0.1) * distance(float, new Float32Array(5)),
      );
    },
  );

  test("static int8 without a calibration is refused", () => {
    const graph = network();
    expect(() => applySchemes(graph, everywhere(graph, int8), undefined)).toThrow("need a range for every activation");
  });
});

test("bias correction brings the mean of what a layer computes back", async () => {
  const graph = network();
  const scheme: Scheme = { kind: "int4", blockSize: 32, zeros: false };
  const calibration = await calibrated(graph);
  const meansOf = async (candidate: Graph) => {
    const { channels } = await calibrate(
      { ...candidate, outputs: [{ name: "y", value: nodeOf(candidate, "last").outputs[0] as never }] },
      samples,
      { open, source: "samples" },
    );
    return channels.get(nodeOf(candidate, "inner").outputs[0]?.name ?? "")?.mean ?? new Float64Array();
  };
  // Without its activation the layer is linear, and the correction exact but for the border.
  const linear: Graph = {
    ...graph,
    nodes: graph.nodes.map((node) =>
      node.name === "inner"
        ? { ...node, attributes: { ...node.attributes, epilogue: expressionAttribute(input(0)) } }
        : node,
    ),
  };
  const pick = new Map([[nodeOf(linear, "inner"), scheme]]);
  const expected = await meansOf(linear);
  const errorOf = async (correctBias: boolean) => {
    const received = await meansOf(applySchemes(linear, pick, calibration, { correctBias }));
    return received.reduce((sum, mean, channel) => sum + (mean - (expected[channel] ?? 0)) ** 2, 0);
  };
  const plain = await errorOf(false);
  expect(plain).toBeGreaterThan(0);
  expect(await errorOf(true)).toBeLessThan(0.5 * plain);
});

test("scales: zero falls on a code, and the range after a rectifier uses all codes", () => {
  expect(activationScale({ lower: 0, upper: 5.1 }, 8)).toEqual({ scale: Math.fround(5.1 / 255), zero: 0, bits: 8 });
  const { scale, zero } = activationScale({ lower: -1, upper: 3 }, 7);
  expect(zero).toBe(Math.round(127 / 4));
  expect((127 - zero) * scale).toBeCloseTo(3, 1);
  expect(activationScale({ lower: 0, upper: 0 }, 8)).toEqual({ scale: 1, zero: 0, bits: 8 });
});

test("calibration knows the values that any choice of layers needs", async () => {
  const graph = network();
  const { ranges } = await calibrated(graph);
  expect([...ranges.keys()].sort()).toEqual(
    calibratedValues(graph)
      .map(({ name }) => name)
      .sort(),
  );
  expect(ranges.size).toBe(10);
});
