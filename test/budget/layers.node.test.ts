import { expect, test } from "vitest";
import { type Layer, layersOf } from "../../compiler/budget/layers.ts";
import { GraphBuilder } from "../../compiler/graph/build.ts";
import type { Attributes, Graph, Value } from "../../compiler/graph/graph.ts";
import { inferNode } from "../../compiler/ops/infer.ts";
import { schemeName } from "../../compiler/quantize/scheme.ts";
import { binary, input } from "../../runtime/format/expression.ts";
import { fillRandom } from "../../runtime/format/random.ts";
import { type Tensor, tensorOf } from "../../runtime/format/tensor.ts";

const window: Attributes = {
  strides: { kind: "integers", value: [1, 1] },
  dilations: { kind: "integers", value: [1, 1] },
  pads: { kind: "integers", value: [0, 0, 0, 0] },
};
const addition: Attributes = { expression: { kind: "expression", value: binary("add", input(0), input(1)) } };

function weights(shape: readonly number[], seed = 1): Tensor<"float32"> {
  const tensor = tensorOf("float32", shape, []);
  fillRandom("float32", tensor.data, seed);
  return tensor;
}

function optionsOf(build: (builder: GraphBuilder) => Value): Record<string, string[]> {
  const builder = new GraphBuilder("options", inferNode);
  builder.output("y", build(builder));
  const graph: Graph = builder.finish();
  return Object.fromEntries(
    layersOf(graph).map(({ constant, options }: Layer) => [
      constant.name,
      options.map(({ scheme, storage }) =>
        storage && "axis" in storage ? `${schemeName(scheme)} along ${storage.axis}` : scheme.kind,
      ),
    ]),
  );
}

test("weights of convolutions: scales along the output channels; the bias stays", () => {
  const options = optionsOf((builder) => {
    const x = builder.input("x", "float32", [1, 6, 6, 64]);
    const w = builder.constant("w", weights([512, 64, 1, 1]));
    return builder.add("leafcutter.Conv", [x, w, builder.constant("b", weights([512]))], window);
  });
  expect(options).toEqual({ w: ["float32", "float16", "int8-weights along 0", "int4/32 along 1", "int4/128 along 1"] });
});

test("a constant matrix: scales along its columns", () => {
  const product = (shape: readonly number[], transposeB: number) =>
    optionsOf((builder) => {
      const x = builder.input("x", "float32", [4, 32]);
      const w = builder.constant("w", weights(shape));
      return builder.add("leafcutter.MatMul", [x, w], { transposeB: { kind: "integer", value: transposeB } });
    });
  expect(product([32, 16], 0)).toEqual({ w: ["float32", "float16", "int8-weights along 1", "int4/32 along 0"] });
  expect(product([16, 32], 1)).toEqual({ w: ["float32", "float16", "int8-weights along 0", "int4/32 along 1"] });
});

test("a table and an elementwise constant, read by loop nests", () => {
  const options = optionsOf((builder) => {
    const rows = builder.input("rows", "int64", [5]);
    const looked = builder.add("Gather", [builder.constant("table", weights([40, 16])), rows]);
    return builder.add(
      "leafcutter.Elementwise",
      [looked, builder.constant("positions", weights([1, 5, 16]))],
      addition,
    );
  });
  expect(options).toEqual({ table: ["float32", "float16", "int8-weights along 0", "int4/32 along 1"] });
});

test("a table that is also a product's matrix takes the scales that both can read", () => {
  const shared = (transposeB: number, shape: readonly number[]) =>
    optionsOf((builder) => {
      const table = builder.constant("table", weights(shape));
      const looked = builder.add("Gather", [table, builder.input("rows", "int64", [5])]);
      return builder.add("leafcutter.MatMul", [looked, table], { transposeB: { kind: "integer", value: transposeB } });
    });
  expect(shared(1, [40, 16])).toEqual({ table: ["float32", "float16", "int8-weights along 0", "int4/32 along 1"] });
  expect(shared(0, [16, 16])).toEqual({ table: ["float32", "float16", "int8-weights along 1", "int4/32 along 0"] });
});

test("float16 of the model is kept; overflow, outputs, epilogues and host steps take no storage", () => {
  const product = (tensor: Tensor<"float32">, half: boolean) =>
    optionsOf((builder) => {
      const w = builder.constant("w", tensor, half ? { kind: "float16" } : undefined);
      return builder.add("leafcutter.MatMul", [builder.input("x", "float32", [4, 32]), w]);
    });
  expect(product(weights([32, 16]), true)).toEqual({ w: ["float16", "int8-weights along 1", "int4/32 along 0"] });
  const large = weights([32, 16]);
  large.data[3] = 1e6;
  expect(product(large, false)).toEqual({ w: ["float32", "int8-weights along 1"] });
  const asOutput = optionsOf((builder) => {
    const w = builder.constant("w", weights([32, 16]));
    builder.output("w", w);
    return builder.add("leafcutter.MatMul", [builder.input("x", "float32", [4, 32]), w]);
  });
  expect(asOutput).toEqual({});
  const asOperand = optionsOf((builder) => {
    const w = builder.constant("w", weights([32, 16]));
    const x = builder.input("x", "float32", [32, 32]);
    return builder.add("leafcutter.MatMul", [x, w, undefined, builder.constant("e", weights([32, 16]))], {
      epilogue: { kind: "expression", value: binary("add", input(0), input(1)) },
    });
  });
  expect(asOperand).toEqual({ w: ["float32", "float16", "int8-weights along 1", "int4/32 along 0"] });
});

test("rounding tells how many weights are done", () => {
  const builder = new GraphBuilder("two products", inferNode);
  const x = builder.input("x", "float32", [4, 32]);
  const first = builder.add("leafcutter.MatMul", [x, builder.constant("v", weights([32, 32]))], {});
  builder.output("y", builder.add("leafcutter.MatMul", [first, builder.constant("w", weights([32, 32]))], {}));
  const told: number[][] = [];
  layersOf(builder.finish(), undefined, undefined, (done, total) => told.push([done, total]));
  expect(told).toEqual([
    [0, 2],
    [1, 2],
  ]);
});
