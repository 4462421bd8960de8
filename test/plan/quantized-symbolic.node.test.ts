/** Quantised graphs whose extents are known in the run only: one plan, runs of several sizes in one memory. */
import { describe, expect, it } from "vitest";
import { integerAttribute, integersAttribute } from "../../compiler/graph/attribute.ts";
import { GraphBuilder } from "../../compiler/graph/build.ts";
import type { Attributes, Graph, Value } from "../../compiler/graph/graph.ts";
import { inferNode } from "../../compiler/ops/infer.ts";
import { optimise } from "../../compiler/pipeline.ts";
import type { DType } from "../../runtime/format/dtype.ts";
import { type Tensor, tensorOf } from "../../runtime/format/tensor.ts";
import { evaluateGraph } from "../graph/evaluate.ts";
import { noise } from "../kernels/tensors.ts";
import { randomIntegers, scales } from "../ops/cases/integer-product.ts";
import { stepsApart } from "../ops/steps-apart.ts";
import { runPlanned } from "./execute.ts";
import { randomInputs } from "./expect-planned.ts";

const windowed = integersAttribute([1, 1, 1, 1]);

/** A graph of a few lines. */
class Lines {
  readonly builder = new GraphBuilder("quantised", inferNode);
  #count = 0;

  constant(tensor: Tensor): Value {
    return this.builder.constant(`c${this.#count++}`, tensor);
  }

  number(value: number, dtype: DType = "float32"): Value {
    return this.constant(tensorOf(dtype, [], [value]));
  }

  add(op: string, inputs: readonly (Value | undefined)[], attributes: Attributes = {}, version = 13): Value {
    return this.builder.add(op, inputs, attributes, { version });
  }

  /** Quantised and back. */
  rounded(value: Value, scale: number, zero: number): Value {
    const parameters = [this.number(scale), this.number(zero, "uint8")];
    return this.add("DequantizeLinear", [this.add("QuantizeLinear", [value, ...parameters]), ...parameters]);
  }
}

function convolutions(): Graph {
  const lines = new Lines();
  const { builder } = lines;
  const shape = [builder.symbol("batch", 1, 3), 3, builder.symbol("height", 4, 11), builder.symbol("width", 5, 9)];
  const x = lines.rounded(builder.input("x", "float32", shape), 0.017, 120);
  const weights = (filters: number, channels: number, seed: number): Value =>
    lines.add(
      "DequantizeLinear",
      [
        lines.constant(randomIntegers("int8", [filters, channels, 3, 3], seed)),
        lines.constant(scales(filters, 0.004, seed)),
      ],
      { axis: integerAttribute(0) },
    );
  const stem = lines.add("Conv", [x, weights(8, 3, 1)], { pads: windowed, strides: integersAttribute([2, 1]) }, 11);
  const first = lines.rounded(lines.add("Relu", [stem]), 0.03, 0);
  const depthwise = lines.add("Conv", [first, weights(8, 1, 2)], { pads: windowed, group: integerAttribute(8) }, 11);
  const sum = lines.rounded(lines.add("Add", [lines.rounded(depthwise, 0.05, 130), first]), 0.06, 100);
  const pooled = lines.add("MaxPool", [sum], { kernel_shape: integersAttribute([3, 3]), pads: windowed }, 12);
  builder.output("features", pooled);
  builder.output("mean", lines.rounded(lines.add("GlobalAveragePool", [pooled]), 0.06, 100));
  return builder.finish();
}

function products(): Graph {
  const lines = new Lines();
  const { builder } = lines;
  const rows = builder.symbol("rows", 1, 7);
  const x = builder.input("x", "float32", [rows, 40]);
  const [integers, scale, zero] = builder.addNode("DynamicQuantizeLinear", [x], {}, { version: 11 });
  const weights = lines.constant(randomIntegers("int8", [40, 9], 1));
  const total = lines.add("MatMulInteger", [integers, weights, zero], {}, 10);
  const floats = lines.add("Cast", [total], { to: integerAttribute(1) });
  builder.output("dynamic", lines.add("Mul", [floats, scale], {}, 14));
  const packed = [
    lines.constant(randomIntegers("uint8", [5, 3, 8], 2)),
    lines.constant({ ...scales(15, 0.1, 3), shape: [5, 3] }),
    lines.constant(randomIntegers("uint8", [5, 2], 8)),
  ];
  const sizes = { K: integerAttribute(40), N: integerAttribute(5), block_size: integerAttribute(16) };
  builder.output("blocks", lines.add("com.microsoft.MatMulNBits", [x, ...packed], sizes, 1));
  const steps = [lines.constant(scales(40, 0.03, 4)), lines.constant(randomIntegers("int8", [40], 5))];
  builder.output("axis", lines.add("QuantizeLinear", [x, ...steps], { axis: integerAttribute(1) }));
  const indices = builder.input("indices", "int64", [rows]);
  const table = [
    lines.constant(randomIntegers("uint8", [6, 16], 6)),
    indices,
    lines.constant({ ...scales(12, 0.1, 7), shape: [6, 2] }),
  ];
  builder.output(
    "gathered",
    lines.add("com.microsoft.GatherBlockQuantized", table, { block_size: integerAttribute(16) }, 1),
  );
  return builder.finish();
}

/** Each output may be this far away: a step of the last rounding before it. */
const slack: Readonly<Record<string, number>> = { features: 0.061, mean: 0.061, dynamic: 1e-5, blocks: 1e-5, axis: 1 };

async function expectRuns(graph: Graph, bindings: readonly ReadonlyMap<string, number>[]): Promise<void> {
  const inputs = bindings.map((one, run) => {
    const given = randomInputs(graph, 7 + run, one);
    const { x, indices } = given;
    return {
      ...given,
      ...(x ? { x: tensorOf("float32", x.shape, noise(x.data.length, 3 + run)) } : {}),
      ...(indices
        ? {
            indices: tensorOf(
              "int64",
              indices.shape,
              Array.from(indices.data.keys(), (at) => at % 6),
            ),
          }
        : {}),
    };
  });
  const { outputs, program } = await runPlanned(optimise(graph), inputs);
  expect(program.steps.filter(({ kind }) => kind === "host")).toEqual([]);
  bindings.forEach((binding, run) => {
    for (const [name, wanted] of Object.entries(evaluateGraph(graph, inputs[run] ?? {}, binding))) {
      const largest = Math.max(...Array.from(wanted.data as ArrayLike<number>, Math.abs));
      const allowed = slack[name] ?? 1e-6;
      expect(
        stepsApart(outputs[run]?.[name], wanted, name === "features" || name === "mean" ? allowed / largest : allowed),
        `output ${name} of run ${run}`,
      ).toBeUndefined();
    }
  });
}

describe("quantised graphs of ranges", () => {
  it("convolutions", () =>
    expectRuns(
      convolutions(),
      [
        [2, 11, 9],
        [1, 4, 5],
        [3, 7, 8],
      ].map(
        ([batch = 1, height = 1, width = 1]) =>
          new Map([
            ["batch", batch],
            ["height", height],
            ["width", width],
          ]),
      ),
    ));

  it("products and tables", () =>
    expectRuns(
      products(),
      [7, 1, 4].map((rows) => new Map([["rows", rows]])),
    ));
});
