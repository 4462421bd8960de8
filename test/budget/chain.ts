/** A chain of products with a simple model of what its packages and plans cost, executed by the reference functions. */

import type { Budget } from "../../compiler/budget/budget.ts";
import { publishedEnergy } from "../../compiler/budget/energy.ts";
import type { PlanCosts, StepCosts } from "../../compiler/budget/plan-costs.ts";
import type { Execution } from "../../compiler/budget/tools.ts";
import { GraphBuilder } from "../../compiler/graph/build.ts";
import { type Graph, indexGraph, type Value } from "../../compiler/graph/graph.ts";
import { inferNode } from "../../compiler/ops/infer.ts";
import { fillRandom } from "../../runtime/format/random.ts";
import { type Tensor, tensorOf } from "../../runtime/format/tensor.ts";
import { evaluateGraph } from "../graph/evaluate.ts";

/** A chain of products of 24, 40 and 8 columns. */
export function chain(reversed = false, rows = 3): Graph {
  const builder = new GraphBuilder("chain", inferNode);
  const input = builder.input("x", "float32", [rows, 32]);
  const sizes = [
    [32, 24],
    [24, 40],
    [40, 8],
  ] as const;
  const order = reversed ? [2, 1, 0] : [0, 1, 2];
  const constants: Value[] = [];
  for (const i of order) {
    const tensor = tensorOf("float32", sizes[i] ?? [], []);
    fillRandom("float32", tensor.data, 20 + i);
    constants[i] = builder.constant(`w${i}`, tensor);
  }
  const output = constants.reduce((value, constant) => builder.add("leafcutter.MatMul", [value, constant]), input);
  builder.output("y", output);
  return builder.finish();
}

const elementBytes = { float32: 4, float16: 2, int8: 1, int4: 0.5, nf4: 0.5 } as const;

function weigh(graph: Graph): Map<string, number> {
  return new Map(
    [...graph.constants].map(([{ name, type }, { data }]) => [
      name,
      Math.ceil(data.length * elementBytes[type.storage?.kind ?? "float32"]),
    ]),
  );
}

/** 1000 bytes of program, 100 for each kind of kernel, and the weights. */
export function fakeSize(graph: Graph): number {
  const kinds = new Set([...graph.constants.keys()].map(({ type }) => type.storage?.kind ?? "float32"));
  return 1000 + 100 * kinds.size + [...weigh(graph).values()].reduce((sum, bytes) => sum + bytes, 0);
}

/** Executes by the reference functions. */
async function open(graph: Graph, variants: readonly Graph[]): Promise<Execution> {
  const own = new Map<Value, Tensor>(graph.constants);
  return {
    flops: 1000,
    run: async (sample) => evaluateGraph({ ...graph, constants: own }, sample),
    exchange: (name, variant) => {
      const source = variant === undefined ? graph : variants[variant];
      const other = [...(source?.constants ?? [])].find(([value]) => value.name === name)?.[1];
      const value = [...own.keys()].find((key) => key.name === name);
      if (other && value) own.set(value, other);
    },
    close: () => undefined,
  };
}

/** A product takes 2 ms and 4 mJ, on integers half of that; making integers of floats 0.1 ms and 0.1 mJ. */
export function fakeCosts(graph: Graph): PlanCosts {
  const index = indexGraph(graph);
  const steps = graph.nodes.map(({ name, op, inputs }): StepCosts => {
    const constants = inputs.flatMap((value) => (value && graph.constants.has(value) ? [value.name] : []));
    const isInteger = inputs[0] && index.producer(inputs[0])?.op === "DequantizeLinear";
    const share = op === "leafcutter.MatMul" ? (isInteger ? 0.5 : 1) : op === "QuantizeLinear" ? 0.05 : 0;
    return { name, op, constants, nanoseconds: 2e6 * share, joules: 4e-3 * share };
  });
  return {
    memoryBytes: 10_000 + [...weigh(graph).values()].reduce((sum, bytes) => sum + bytes, 0),
    nanoseconds: steps.reduce((sum, step) => sum + step.nanoseconds, 0),
    joules: steps.reduce((sum, step) => sum + step.joules, 0),
    steps,
    weights: [...weigh(graph)].map(([name, bytes]) => ({ constants: [name], bytes })),
  };
}

export const chainBudget = (given: Partial<Budget>): Budget => ({
  limits: {},
  objective: "quality",
  precision: undefined,
  samples: undefined,
  truth: {},
  device: { name: "test", energy: publishedEnergy },
  acceptPrior: false,
  toIntegers: (graph) => graph,
  costOf: fakeCosts,
  sizeOf: async (graph) => fakeSize(graph),
  open,
  ...given,
});
