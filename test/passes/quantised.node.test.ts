/** Quantised graphs become integer kernels, and compute what they computed: exactly up to roundings that fall on the other side. */
import { describe, expect, test } from "vitest";
import type { Graph } from "../../compiler/graph/graph.ts";
import { printGraph } from "../../compiler/graph/print.ts";
import { rewriteNodes } from "../../compiler/graph/rewrite.ts";
import { verifyGraph } from "../../compiler/graph/verify.ts";
import { inferNode } from "../../compiler/ops/infer.ts";
import { integerPipeline, optimise, pipeline, toIntegers } from "../../compiler/pipeline.ts";
import { fillRandom } from "../../runtime/format/random.ts";
import { type Tensor, tensorOf, zeros } from "../../runtime/format/tensor.ts";
import { evaluateGraph } from "../graph/evaluate.ts";
import { quantisedCases } from "./quantised-cases.ts";
import { randomGraph } from "./random-graph.ts";

function inputsOf(graph: Graph): Readonly<Record<string, Tensor>> {
  return Object.fromEntries(
    graph.inputs.map(({ name, type }, index) => {
      const tensor = zeros(type.dtype, type.shape as readonly number[]);
      fillRandom(type.dtype, tensor.data, 7 + index);
      return [name, tensor];
    }),
  );
}

/** Root of the mean squared difference over that of the values. */
function relativeError(actual: Tensor | undefined, expected: Tensor): number {
  if (actual?.shape.join() !== expected.shape.join()) return Number.POSITIVE_INFINITY;
  let [error, power] = [0, 0];
  expected.data.forEach((value, index) => {
    error += (Number(actual.data[index]) - Number(value)) ** 2;
    power += Number(value) ** 2;
  });
  return error === 0 ? 0 : Math.sqrt(error / power);
}

/** A rounding in a hundred may fall on the other side: by one step of some thirty. */
const most = 1e-2;

function expectSameResults(graph: Graph): void {
  const inputs = inputsOf(graph);
  const expected = evaluateGraph(graph, inputs);
  let current = graph;
  for (const pass of [...pipeline, ...integerPipeline]) {
    const next = pass.run(current);
    if (next === current) continue;
    verifyGraph(next, inferNode, pass.name);
    const actual = evaluateGraph(next, inputs);
    for (const [name, tensor] of Object.entries(expected))
      expect(
        relativeError(actual[name], tensor),
        `output ${name} after ${pass.name}\n${printGraph(next, { digests: true })}`,
      ).toBeLessThan(most);
    current = next;
  }
}

describe("cases", () => {
  for (const { name, build } of quantisedCases) {
    test(`${name}: results stay`, () => expectSameResults(build()));

    test(`${name}: canonical form`, async () => {
      const graph = optimise(build(), { verify: true });
      await expect(printGraph(graph, { digests: true })).toMatchFileSnapshot(`golden/${name}.txt`);
      expect(toIntegers(graph).nodes.map(({ op }) => op)).toEqual(graph.nodes.map(({ op }) => op));
    });
  }
});

const grid = { scale: 0.0313, zero: 110 };

/** Convolutions of a random network between roundings, as an exporter would place them. */
function quantisedNetwork(seed: number): Graph {
  const graph = randomGraph(seed);
  return rewriteNodes(graph, inferNode, (node, context) => {
    const [x, w, bias] = node.inputs;
    const tensor = w && context.constant(w);
    if (node.op !== "Conv" || !x || !tensor) return undefined;
    const scale = context.addConstant("scale", tensorOf("float32", [], [grid.scale * (1 + (seed % 3))]));
    const zero = context.addConstant("zero", tensorOf("uint8", [], [grid.zero]));
    const rounded = (value: typeof x) =>
      context.emit("DequantizeLinear", [context.emit("QuantizeLinear", [value, scale, zero]), scale, zero]);
    const integers = Array.from(tensor.data as Float32Array, (value) =>
      Math.max(-127, Math.min(127, Math.round(value * 106))),
    );
    const weights = context.emit("DequantizeLinear", [
      context.addConstant("w", tensorOf("int8", tensor.shape, integers)),
      context.addConstant("w.scale", tensorOf("float32", [], [0.0094])),
    ]);
    return rounded(context.emit("Conv", [rounded(x), weights, bias], node.attributes));
  });
}

describe("random networks", () => {
  for (let seed = 1; seed <= 30; seed++)
    test(`seed ${seed}: results stay, every convolution is one of integers`, () => {
      const graph = quantisedNetwork(seed);
      expectSameResults(graph);
      const operators = toIntegers(optimise(graph)).nodes.map(({ op }) => op);
      expect(operators.filter((op) => /^leafcutter\.Conv$|antizeLinear/.test(op))).toEqual([]);
    });
});
