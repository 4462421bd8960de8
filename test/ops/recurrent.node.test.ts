/**
 * LSTM, GRU and RNN: the reference agrees with onnxruntime-web, and what the compiler makes of a layer with constant
 * weights (passes, plan, generated code of both targets) with the reference.
 */
import { setFlagsFromString } from "node:v8";
import { describe, expect, it, test } from "vitest";
import { wasmRelaxed, wasmSimd } from "../../compiler/assemble/target.ts";
import { GraphBuilder } from "../../compiler/graph/build.ts";
import type { Graph, Value } from "../../compiler/graph/graph.ts";
import { inferNode } from "../../compiler/ops/infer.ts";
import { optimise } from "../../compiler/pipeline.ts";
import { evaluateGraph } from "../graph/evaluate.ts";
import { runPlanned, type Tensors } from "../plan/execute.ts";
import type { OperatorCase } from "./case.ts";
import { recurrentCases } from "./cases/recurrent.ts";
import { type Bound, difference } from "./compare.ts";
import { executeLoops, executeReference, inferCall } from "./execute.ts";
import { runOnnxruntime } from "./one-node-model.ts";

setFlagsFromString("--experimental-wasm-relaxed-simd");

const bound: Bound = { absolute: 1e-5, relative: 1e-5 };
const callOf = (one: OperatorCase) => ({ ...one, outputCount: one.outputCount ?? 1 });
const outputNames = ["Y", "Y_h", "Y_c"];

/** What onnxruntime refuses: batch first; sequences of no steps. */
const withoutOracle = (one: OperatorCase): boolean =>
  one.attributes.layout !== undefined || (one.inputs[4]?.data as Int32Array | undefined)?.includes(0) === true;

/** The node with constant weights; the outputs that are asked for. */
function graphOf(one: OperatorCase, outputs: readonly string[]): { readonly graph: Graph; readonly inputs: Tensors } {
  const builder = new GraphBuilder("layer", inferNode);
  const inputs: Record<string, Tensors[string]> = {};
  const operands = one.inputs.map((tensor, index): Value | undefined => {
    if (!tensor) return undefined;
    const name = `x${index}`;
    if ([1, 2, 3, 7].includes(index)) return builder.constant(name, tensor);
    inputs[name] = tensor;
    return builder.input(name, tensor.dtype, tensor.shape);
  });
  const results = builder.addNode(one.op, operands, one.attributes, { version: one.version });
  outputNames.forEach((name, index) => {
    const value = results[index];
    if (value && outputs.includes(name)) builder.output(name, value);
  });
  return { graph: builder.finish(), inputs };
}

describe.each(["LSTM", "GRU", "RNN"])("%s", (op) => {
  const cases = recurrentCases.filter((one) => one.op === op).map((one) => [one.name, one] as const);

  it.each(cases.filter(([, one]) => !withoutOracle(one)))("%s: as onnxruntime", async (_, one) => {
    const outputs = executeReference(callOf(one));
    expect(inferCall(callOf(one), "types").types).toEqual(outputs.map(({ dtype, shape }) => ({ dtype, shape })));
    const expected = await runOnnxruntime(callOf(one));
    expected.forEach((tensor, index) => {
      expect(difference(outputs[index], tensor, bound), outputNames[index]).toBeUndefined();
    });
  });

  it.each(cases)("%s: generated", async (_, one) => {
    for (const outputs of [outputNames, ["Y"], ["Y_h"]]) {
      const { graph, inputs } = graphOf(one, outputs);
      const expected = evaluateGraph(graph, inputs);
      const optimised = optimise(graph, { verify: true });
      expect(optimised.nodes.map((node) => node.op)).toContain("leafcutter.Recurrent");
      for (const target of [wasmSimd, wasmRelaxed]) {
        const { outputs: runs, program } = await runPlanned(optimised, [inputs, inputs], target);
        expect(program.steps.map(({ kind }) => kind)).not.toContain("host");
        for (const results of runs)
          for (const [name, tensor] of Object.entries(expected))
            expect(difference(results[name], tensor, bound), `${name} on ${target.name}`).toBeUndefined();
      }
    }
  });

  it.each(cases)("%s: lowered", (_, one) => {
    const { graph, inputs } = graphOf(one, outputNames);
    const expected = evaluateGraph(graph, inputs);
    const optimised = optimise(graph);
    const node = optimised.nodes.find((candidate) => candidate.op === "leafcutter.Recurrent");
    if (!node) throw new Error("the layer is not canonical");
    const before = evaluateGraph(
      {
        ...optimised,
        outputs: node.inputs.flatMap((value) => (value ? [{ name: value.name, value }] : [])),
      },
      inputs,
    );
    const call = {
      op: node.op,
      version: node.version,
      attributes: node.attributes,
      inputs: node.inputs.map((value) => value && before[value.name]),
      outputCount: node.outputs.length,
    };
    const lowered = executeLoops(call, "constants");
    executeReference(call).forEach((tensor, index) => {
      expect(difference(lowered?.[index], tensor, bound)).toBeUndefined();
    });
    expect(Object.keys(expected).length).toBeGreaterThan(0);
  });
});

test("directions with activations of their own run as a host step", async () => {
  const one = recurrentCases.find(({ op, name }) => op === "RNN" && name === "bidirectional") as OperatorCase;
  const attributes = { ...one.attributes, activations: { kind: "strings", value: ["Tanh", "Relu"] } } as const;
  const { graph, inputs } = graphOf({ ...one, attributes }, outputNames);
  const { outputs, program } = await runPlanned(optimise(graph), [inputs]);
  expect(program.steps.map(({ kind }) => kind)).toContain("host");
  for (const [name, tensor] of Object.entries(evaluateGraph(graph, inputs)))
    expect(difference(outputs[0]?.[name], tensor, bound)).toBeUndefined();
});

test("time and batch may be open", async () => {
  const builder = new GraphBuilder("layer", inferNode);
  const [time, batch] = [builder.symbol("time", 1, 6), builder.symbol("batch", 1, 4)];
  const one = recurrentCases.find(({ op, name }) => op === "LSTM" && name === "bidirectional") as OperatorCase;
  const [, w, r, bias] = one.inputs.map((tensor, index) => tensor && builder.constant(`c${index}`, tensor));
  const x = builder.input("x", "float32", [time, batch, 3]);
  const results = builder.addNode("LSTM", [x, w, r, bias], one.attributes, { version: 14 });
  for (const [index, value] of results.entries()) builder.output(outputNames[index] as string, value);
  const graph = builder.finish();
  const optimised = optimise(graph);
  for (const [steps, rows] of [
    [6, 4],
    [1, 1],
    [3, 2],
  ] as const) {
    const data = Float32Array.from({ length: steps * rows * 3 }, (_, index) => Math.sin(index));
    const inputs: Tensors = { x: { dtype: "float32", shape: [steps, rows, 3], data } };
    const bindings = new Map([
      ["time", steps],
      ["batch", rows],
    ]);
    const { outputs } = await runPlanned(optimised, [inputs]);
    for (const [name, tensor] of Object.entries(evaluateGraph(graph, inputs, bindings)))
      expect(difference(outputs[0]?.[name], tensor, bound), name).toBeUndefined();
  }
});
