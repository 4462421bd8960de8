/** Average pools between integers are sums of integers; those whose windows differ keep their floats. */
import { expect, test } from "vitest";
import { openExecution } from "../../compiler/execution.ts";
import { integerAttribute, integersAttribute, stringAttribute } from "../../compiler/graph/attribute.ts";
import { GraphBuilder } from "../../compiler/graph/build.ts";
import type { Graph, Value } from "../../compiler/graph/graph.ts";
import { inferNode } from "../../compiler/ops/infer.ts";
import { optimise } from "../../compiler/pipeline.ts";
import { fillRandom } from "../../runtime/format/random.ts";
import { tensorOf } from "../../runtime/format/tensor.ts";
import { evaluateGraph } from "../graph/evaluate.ts";

interface Case {
  readonly dtype: "uint8" | "int8";
  readonly zero: number;
  readonly kernel: readonly [number, number];
  readonly strides: readonly [number, number];
  readonly pads: readonly number[];
  readonly counted: boolean;
  readonly ceil?: boolean;
}

/** x in integers -> AveragePool between Q/DQ pairs -> integers. */
function graphOf({ dtype, zero, kernel, strides, pads, counted, ceil = false }: Case): Graph {
  const builder = new GraphBuilder("pools", inferNode);
  const parameters = (name: string, scale: number, level: number): readonly [Value, Value] => [
    builder.constant(`${name}.scale`, tensorOf("float32", [], [scale])),
    builder.constant(`${name}.zero`, tensorOf(dtype, [], [level])),
  ];
  const x = builder.input("x", dtype, [1, 19, 9, 7]);
  const floats = builder.add("DequantizeLinear", [x, ...parameters("in", 0.031, zero)]);
  const pooled = builder.add("AveragePool", [floats], {
    kernel_shape: integersAttribute(kernel),
    strides: integersAttribute(strides),
    pads: integersAttribute(pads),
    count_include_pad: integerAttribute(counted ? 1 : 0),
    ceil_mode: integerAttribute(ceil ? 1 : 0),
    auto_pad: stringAttribute("NOTSET"),
  });
  builder.output("y", builder.add("QuantizeLinear", [pooled, ...parameters("out", 0.0187, zero + 3)]));
  return builder.finish();
}

const whole: Case = { dtype: "uint8", zero: 121, kernel: [2, 2], strides: [2, 2], pads: [0, 0, 0, 0], counted: false };

async function run(graph: Graph, { dtype }: Case) {
  const x = tensorOf(dtype, [1, 19, 9, 7], []);
  fillRandom(dtype, x.data, 5);
  const result = optimise(graph, { verify: true });
  const execution = await openExecution(result, []);
  const { y } = await execution.run({ x });
  execution.close();
  const wanted = (await evaluateGraph(graph, { x })).y;
  const steps = [...(wanted?.data ?? [])].map((value, at) => Math.abs(Number(value) - Number(y?.data[at])));
  return { ops: result.nodes.map(({ op }) => op), steps };
}

test.each<[string, Case]>([
  ["uint8", whole],
  ["int8, no zero point", { ...whole, dtype: "int8", zero: 0 }],
  ["overlapping windows", { ...whole, kernel: [3, 3], strides: [1, 2] }],
  ["padding that counts", { ...whole, kernel: [3, 3], strides: [2, 1], pads: [1, 1, 1, 1], counted: true }],
])("%s: one integer kernel, equal but for ties", async (_, each) => {
  const { ops, steps } = await run(graphOf(each), each);
  expect(ops.filter((op) => /Pool|Quantize|Elementwise/.test(op))).toEqual([]);
  expect(ops).toContain("leafcutter.IntegerConv");
  expect(Math.max(...steps)).toBeLessThanOrEqual(1);
  expect(steps.filter((step) => step > 0).length).toBeLessThanOrEqual(0.02 * steps.length);
});

test.each<[string, Case]>([
  ["padding that does not count", { ...whole, kernel: [3, 3], strides: [2, 1], pads: [1, 1, 1, 1] }],
  ["a last window that is cut", { ...whole, ceil: true, kernel: [2, 2], strides: [2, 2] }],
  ["large windows", { ...whole, kernel: [5, 5], strides: [1, 1] }],
])("%s stays in floats and is right", async (_, each) => {
  const { ops, steps } = await run(graphOf(each), each);
  expect(ops).toContain("leafcutter.Pool");
  expect(Math.max(...steps)).toBeLessThanOrEqual(1);
});
