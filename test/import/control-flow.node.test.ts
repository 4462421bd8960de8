/** If, Loop and Scan at import: what is decided, what is written out, what stays a node, what a region takes from outside. */
import { describe, expect, test } from "vitest";
import { graphOf } from "../../compiler/graph/attribute.ts";
import type { Graph, Node } from "../../compiler/graph/graph.ts";
import { verifyGraph } from "../../compiler/graph/verify.ts";
import { type ImportOptions, importOnnx } from "../../compiler/import/onnx/import.ts";
import { bytesSource } from "../../compiler/import/source.ts";
import { inferNode } from "../../compiler/ops/infer.ts";
import { tensorOf } from "../../runtime/format/tensor.ts";
import { type GraphFields, type ModelFields, modelBytes, type NodeFields } from "./onnx-writer.ts";

const [float, int64, bool] = [1, 7, 9];

async function importModel(model: ModelFields, options?: ImportOptions): Promise<Graph> {
  const graph = await importOnnx(bytesSource("model.onnx", modelBytes(model)), options);
  verifyGraph(graph, inferNode, "import");
  return graph;
}

const opsOf = (graph: Graph): readonly string[] => graph.nodes.map(({ op }) => op);
const nodeOf = (graph: Graph, op: string): Node => graph.nodes.find((node) => node.op === op) as Node;
const captured = (graph: Graph, op: string, from: number): readonly (string | undefined)[] =>
  nodeOf(graph, op)
    .inputs.slice(from)
    .map((value) => value?.name);

const branch = (op: string, ...inputs: readonly string[]): GraphFields => ({
  nodes: [{ op, inputs, outputs: ["result"] }],
  outputs: ["result"],
});
const choose = (whenTrue: GraphFields, whenFalse: GraphFields, condition = "choice", output = "z"): NodeFields => ({
  op: "If",
  name: "choose",
  inputs: [condition],
  outputs: [output],
  attributes: { then_branch: { g: whenTrue }, else_branch: { g: whenFalse } },
});
const choice = { name: "choice", type: bool, dims: [] };
const x = { name: "x", type: float, dims: [2, 3] };

describe("If", () => {
  const base: ModelFields = {
    inputs: [x, choice],
    initializers: [{ name: "w", dims: [3], type: float, floats: [1, 2, 3] }],
    outputs: ["z"],
  };

  test("takes what both branches read from outside, in one order; constants are shared", async () => {
    const nodes = [
      { op: "Relu", inputs: ["x"], outputs: ["a"] },
      { op: "Neg", inputs: ["x"], outputs: ["b"] },
      choose(branch("Add", "b", "w"), branch("Sub", "a", "b")),
    ];
    const graph = await importModel({ ...base, nodes });
    expect(captured(graph, "If", 1)).toEqual(["b", "a"]);
    const taken = graphOf(nodeOf(graph, "If"), "then_branch");
    expect([...taken.constants.keys()].map(({ name }) => name)).toEqual(["w"]);
    expect([...graph.constants.keys()].find(({ name }) => name === "w")).toBe([...taken.constants.keys()][0]);
  });

  test("names of graphs further out reach through every level", async () => {
    const deep = { nodes: [choose(branch("Relu", "x"), branch("Mul", "x", "w"), "choice", "deep")], outputs: ["deep"] };
    const graph = await importModel({ ...base, nodes: [choose(deep, branch("Neg", "x"))] });
    expect(captured(graph, "If", 1)).toEqual(["choice", "x"]);
    expect(captured(graphOf(nodeOf(graph, "If"), "then_branch"), "If", 1)).toEqual(["x"]);
  });

  test("arithmetic on symbolic shapes is known inside", async () => {
    const nodes = [
      { op: "Shape", inputs: ["x"], outputs: ["shape"] },
      choose(branch("Reshape", "y", "shape"), branch("Relu", "x")),
    ];
    const inputs = [{ ...x, dims: ["rows", 3] }, { name: "y", type: float, dims: [3, "rows"] }, choice];
    const graph = await importModel({ ...base, nodes, inputs }, { dims: { rows: { lower: 1, upper: 8 } } });
    expect(nodeOf(graph, "If").outputs[0]?.type.shape).toEqual(["rows", 3]);
    expect(opsOf(graphOf(nodeOf(graph, "If"), "then_branch"))).toEqual(["Shape", "Reshape"]);
  });

  test("a condition that shapes decide takes its branch; the other may be nonsense", async () => {
    const nodes: NodeFields[] = [
      { op: "Size", inputs: ["x"], outputs: ["size"] },
      { op: "Cast", inputs: ["size"], outputs: ["has"], attributes: { to: { i: bool } } },
      choose(branch("Relu", "x"), branch("NoSuchOperator", "nothing"), "has"),
    ];
    const graph = await importModel({ ...base, nodes, inputs: [x] });
    expect(opsOf(graph)).toContain("Relu");
    expect(opsOf(graph)).not.toContain("If");
  });

  test("a condition whose value is given takes its branch", async () => {
    const graph = await importModel(
      { ...base, nodes: [choose(branch("Relu", "x"), branch("Neg", "x"))] },
      { values: { choice: [0] } },
    );
    expect(opsOf(graph)).toEqual(["Neg"]);
  });

  test("a branch that cannot be compiled becomes an error for when it is taken", async () => {
    const graph = await importModel({ ...base, nodes: [choose(branch("Relu", "x"), branch("NoSuchOperator", "x"))] });
    expect(opsOf(graphOf(nodeOf(graph, "If"), "else_branch"))).toEqual(["leafcutter.Unreachable"]);
    expect(nodeOf(graph, "If").outputs[0]?.type).toEqual({ dtype: "float32", shape: [2, 3] });
  });

  test("and leaves the graph when a data set decides the condition", async () => {
    const sampleShapes = [{ ...tensorOf("bool", [], [1]), name: "choice", index: 1 }];
    const nodes = [choose(branch("Relu", "x"), branch("NoSuchOperator", "x"))];
    const graph = await importModel({ ...base, nodes }, { sampleShapes });
    expect(opsOf(graph)).toEqual(["Relu"]);
    expect(graph.fixedInputs?.get("choice")).toEqual([1]);
  });

  test("two branches that cannot be compiled are refused", async () => {
    const nodes = [choose(branch("NoSuchOperator", "x"), branch("NoSuchOperator", "x"))];
    await expect(importModel({ ...base, nodes })).rejects.toThrow(/NoSuchOperator.*\[operator-unknown\]/);
  });

  test("branches of different types take the condition from the data set, or are refused", async () => {
    const model = { ...base, nodes: [choose(branch("Relu", "x"), branch("ReduceSum", "x"))] };
    await expect(importModel(model)).rejects.toThrow(/node choose.*different types.*--value choice.*\[value-unbound\]/);
    const sample = (name: string, tensor: ReturnType<typeof tensorOf>, index: number) => ({ ...tensor, name, index });
    const sampleShapes = [
      sample("x", tensorOf("float32", [2, 3], [1, 2, 3, 4, 5, 6]), 0),
      sample("choice", tensorOf("bool", [], [1]), 1),
    ];
    const graph = await importModel(model, { sampleShapes });
    expect(opsOf(graph)).toEqual(["Relu"]);
    expect(graph.fixedInputs?.get("choice")).toEqual([1]);
  });
});

describe("Loop", () => {
  const repeat = (
    body: GraphFields,
    trips = "trips",
    condition = "",
    carried = ["x"],
    outputs = ["z"],
  ): NodeFields => ({
    op: "Loop",
    name: "repeat",
    inputs: [trips, condition, ...carried],
    outputs,
    attributes: { body: { g: body } },
  });
  const header = [
    { name: "i", type: int64, dims: [] },
    { name: "on", type: bool, dims: [] },
  ];
  const body = (...nodes: readonly NodeFields[]): GraphFields => ({
    nodes,
    inputs: [...header, { name: "state", type: float }],
    outputs: ["on", "next"],
  });
  const trips = (value: number) => ({ name: "trips", dims: [], type: int64, int64s: [value] });
  const relu = body({ op: "Relu", inputs: ["state"], outputs: ["next"] });
  const base: ModelFields = { inputs: [x], outputs: ["z"] };

  test("a short one is written out", async () => {
    const graph = await importModel({ ...base, nodes: [repeat(relu)], initializers: [trips(3)] });
    expect(opsOf(graph)).toEqual(["Relu", "Relu", "Relu"]);
  });

  test("a long one stays a node, of as many iterations as are counted", async () => {
    const graph = await importModel({ ...base, nodes: [repeat(relu)], initializers: [trips(1000)] });
    expect(opsOf(graph)).toEqual(["leafcutter.Loop"]);
    const unlimited = await importModel({
      ...base,
      nodes: [repeat(body({ op: "Relu", inputs: ["state"], outputs: ["next"] }), "", "go")],
      inputs: [x, { name: "go", type: bool, dims: [] }],
    });
    expect(nodeOf(unlimited, "leafcutter.Loop").attributes.trips).toEqual({ kind: "dims", value: [2 ** 31 - 1] });
  });

  test("one that never runs gives what it was given", async () => {
    const graph = await importModel({ ...base, nodes: [repeat(relu)], initializers: [trips(0)] });
    expect(opsOf(graph)).toEqual([]);
    expect(graph.outputs[0]?.value).toBe(graph.inputs[0]);
  });

  test("shapes that differ between iterations are written out, whatever the number", async () => {
    const grow = body({ op: "Concat", inputs: ["state", "x"], outputs: ["next"], attributes: { axis: { i: 0 } } });
    const graph = await importModel({ ...base, nodes: [repeat(grow)], initializers: [trips(200)] });
    expect(graph.outputs[0]?.value.type.shape).toEqual([402, 3]);
    const inputs = [x, { name: "trips", type: int64, dims: [] }];
    await expect(importModel({ ...base, nodes: [repeat(grow)], inputs })).rejects.toThrow(
      /--value trips.*\[value-unbound\]/,
    );
  });

  test("slices of a number that only a run can tell are refused", async () => {
    const counting: GraphFields = {
      nodes: [
        { op: "ReduceSum", inputs: ["state"], outputs: ["sum"], attributes: { keepdims: { i: 0 } } },
        { op: "Cast", inputs: ["sum"], outputs: ["go"], attributes: { to: { i: bool } } },
        { op: "Relu", inputs: ["state"], outputs: ["next"] },
      ],
      inputs: [...header, { name: "state", type: float }],
      outputs: ["go", "next", "sum"],
    };
    const nodes = [repeat(counting, "trips", "", ["x"], ["z", "sums"])];
    await expect(importModel({ ...base, nodes, initializers: [trips(1000)] })).rejects.toThrow(
      /node repeat.*slices.*\[operator-invalid\]/,
    );
  });
});

describe("Scan", () => {
  const scan = (attributes: NodeFields["attributes"] = {}): ModelFields => ({
    nodes: [
      {
        op: "Scan",
        name: "scan",
        inputs: ["x"],
        outputs: ["z"],
        attributes: {
          num_scan_inputs: { i: 1 },
          body: {
            g: {
              nodes: [{ op: "Neg", inputs: ["row"], outputs: ["out"] }],
              inputs: [{ name: "row", type: float }],
              outputs: ["out"],
            },
          },
          ...attributes,
        },
      },
    ],
    inputs: [{ name: "x", type: float, dims: [200, 3] }],
    outputs: ["z"],
  });

  test("is a loop over its slices, of any length", async () => {
    const model = { ...scan(), inputs: [{ name: "x", type: float, dims: ["steps", 3] }] };
    const graph = await importModel(model, { dims: { steps: { lower: 1, upper: 50 } } });
    expect(opsOf(graph)).toEqual(["leafcutter.Loop"]);
    expect(graph.outputs[0]?.value.type.shape).toEqual(["steps", 3]);
  });

  test("turns what it collects as asked", async () => {
    const graph = await importModel(scan({ scan_output_axes: { ints: [-1] }, scan_output_directions: { ints: [1] } }));
    expect(opsOf(graph)).toEqual(["leafcutter.Loop", "Slice", "Transpose"]);
    expect(graph.outputs[0]?.value.type.shape).toEqual([3, 200]);
  });

  test("of an old operator set is refused", async () => {
    await expect(importModel({ ...scan(), opset: 8 })).rejects.toThrow(
      /Scan of operator sets before 9.*\[model-unsupported\]/,
    );
  });
});
