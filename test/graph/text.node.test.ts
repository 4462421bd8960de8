import { describe, expect, test } from "vitest";
import { addDims, maximumDim, multiplyDims } from "../../compiler/graph/dimension.ts";
import type { Attributes, BlockStorage, Graph, Value } from "../../compiler/graph/graph.ts";
import { parseGraph } from "../../compiler/graph/parse.ts";
import { printGraph } from "../../compiler/graph/print.ts";
import { binary, cast, constant, input, load, parameter, select, unary } from "../../runtime/format/expression.ts";
import { type Tensor, tensorOf } from "../../runtime/format/tensor.ts";

/** Everything that the text can say, in one graph. */
function everything(): Graph {
  const batch = { name: "batch size", lower: 1, upper: 4 };
  const x: Value = {
    name: "x:0",
    type: { dtype: "float32", shape: ["batch size", addDims(multiplyDims("n", 2), 1), maximumDim("n", 3)] },
  };
  const none: Value = { name: "none", type: { dtype: "int64", shape: [] } };
  const large: Value = { name: "large", type: { dtype: "float32", shape: [5, 4], storage: { kind: "float16" } } };
  const scaled: Value = {
    name: "scaled",
    type: { dtype: "float32", shape: [2], storage: { kind: "int8", axis: 0, scales: new Float32Array([0.1, 3]) } },
  };
  const scales = new Float32Array([0.1, 3]);
  const blocks: readonly BlockStorage[] = [
    { kind: "int4", axis: 1, blockSize: 16, scales, scaleType: "float32", zeros: new Uint8Array([3, 15]) },
    { kind: "nf4", axis: 0, blockSize: 128, scales },
  ];
  const inBlocks = blocks.map(
    (storage): Value => ({ name: storage.kind, type: { dtype: "float32", shape: [1, 2], storage } }),
  );
  const wide: Value = { name: "wide", type: { dtype: "int64", shape: [3] } };
  const empty: Value = { name: "as", type: { dtype: "bool", shape: [0] } };
  const strange: Value = { name: "strange", type: { dtype: "float32", shape: [4] } };
  const attributes: Attributes = {
    integer: { kind: "integer", value: -3 },
    float: { kind: "float", value: 1e-7 },
    string: { kind: "string", value: 'a "b"\n' },
    integers: { kind: "integers", value: [] },
    floats: { kind: "floats", value: [1, -0, Number.NEGATIVE_INFINITY] },
    strings: { kind: "strings", value: ["a", ""] },
    dims: { kind: "dims", value: ["n", 2] },
    tensor: { kind: "tensor", value: tensorOf("uint8", [2], [1, 255]) },
    expression: {
      kind: "expression",
      value: select(
        binary("less", input(0), constant(2.5)),
        cast("float32", binary("add", parameter(1), constant(-1, "int32"))),
        unary("sigmoid", load(1, [constant(0, "int32"), { kind: "axis", axis: 2 }])),
      ),
    },
    graph: {
      kind: "graph",
      value: { name: "inner", symbols: new Map(), inputs: [], outputs: [], constants: new Map(), nodes: [] },
    },
  };
  const outputs: Value[] = [
    { name: "y", type: x.type },
    { name: "3rd", type: none.type },
  ];
  return {
    name: "every thing",
    symbols: new Map([
      ["batch size", batch],
      ["n", { name: "n", lower: 0, upper: 9 }],
    ]),
    inputs: [x, none],
    outputs: [
      { name: "result", value: outputs[0] as Value },
      { name: "same", value: x },
    ],
    constants: new Map<Value, Tensor>([
      [
        large,
        tensorOf(
          "float32",
          [5, 4],
          Array.from({ length: 20 }, (_, index) => index / 3),
        ),
      ],
      ...inBlocks.map((value) => [value, tensorOf("float32", [1, 2], [1, 2])] as const),
      [scaled, tensorOf("float32", [2], [1, 2])],
      [wide, tensorOf("int64", [3], [9223372036854775807n, -9223372036854775808n, 0n])],
      [empty, tensorOf("bool", [0], [])],
      [strange, tensorOf("float32", [4], [NaN, Infinity, -0, 1e30])],
    ]),
    nodes: [
      {
        op: "com.example.Op",
        version: 7,
        name: "the node",
        sources: ["a", "b c"],
        inputs: [x, undefined, none],
        outputs,
        attributes,
      },
    ],
  };
}

describe("text of a graph", () => {
  test("round-trips exactly", () => {
    const graph = everything();
    const text = printGraph(graph);
    const parsed = parseGraph(text);
    expect(parsed).toEqual(graph);
    expect(printGraph(parsed)).toBe(text);
  });

  test("reads what a person writes", () => {
    const graph = parseGraph(`graph "small"
      input x: float32[2]
      constant two: float32[] = [2]
      y: float32[2] = Mul@14(x, two) # "double"
      output "y" = y`);
    expect(graph.nodes[0]).toMatchObject({
      op: "Mul",
      version: 14,
      name: "double",
      inputs: [{ name: "x" }, { name: "two" }],
    });
  });

  test.each([
    ["graph 'x'", /line 1, column 7.*expected a name/],
    ['graph "g"\ninput x: float31[2]', /line 2, column 10.*expected an element type; received float31/],
    ['graph "g"\ninput value: float32[2]\ny: float32[2] = Neg@6(valeu) # "n"', /line 3, column 23.*such as value/],
    ['graph "g"\ninput x: float32[2]\ninput x: float32[2]', /a value that is not x again/],
    [
      'graph "g"\ninput x: float32[2]\ny: float32[2] = A@1(x) {e: expression (frob $0)} # "n"',
      /expected an operation; received frob/,
    ],
    ['graph "g"\ninput x: float32[2', /received the end/],
  ])("an error says where: %j", (text, expected) => {
    expect(() => parseGraph(text)).toThrow(expected);
  });
});
