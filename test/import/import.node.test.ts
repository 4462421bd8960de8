import { describe, expect, test } from "vitest";
import type { Graph } from "../../compiler/graph/graph.ts";
import { type ImportOptions, importOnnx } from "../../compiler/import/onnx/import.ts";
import { bytesSource, fileSetSource } from "../../compiler/import/source.ts";
import {
  type AttributeFields,
  type ModelFields,
  modelBytes,
  type NodeFields,
  rawBytes,
  type TensorFields,
} from "./onnx-writer.ts";

const importModel = (model: ModelFields, options?: ImportOptions): Promise<Graph> =>
  importOnnx(bytesSource("model.onnx", modelBytes(model)), options);

const describeNodes = ({ nodes }: Graph): readonly string[] =>
  nodes.map(
    ({ op, inputs, outputs }) =>
      `${op}(${inputs.map((value) => value?.name ?? "").join(",")}) -> ${outputs.map(({ name }) => name).join(",")}`,
  );

const constantsOf = ({ constants }: Graph): Record<string, unknown> =>
  Object.fromEntries(
    [...constants].map(([{ name }, { dtype, shape, data }]) => [
      name,
      [dtype, shape, Array.from(data as ArrayLike<number | bigint>, Number)],
    ]),
  );

const x = { name: "x", dims: ["N", 4] } as const;
const weight: TensorFields = { name: "w", dims: [4], type: 1, floats: [1, 2, 3, 4] };
const add: NodeFields = { op: "Add", inputs: ["x", "w"], outputs: ["y"], name: "add" };
const relu: NodeFields = { op: "Relu", inputs: ["y"], outputs: ["z"] };

describe("a small model", () => {
  const model: ModelFields = { nodes: [add, relu], initializers: [weight], inputs: [x], outputs: ["z"], opset: 13 };

  test("nodes, types, constants and outputs", async () => {
    const graph = await importModel(model, { dims: { N: { lower: 1, upper: 4 } } });
    expect(graph.inputs).toEqual([{ name: "x", type: { dtype: "float32", shape: ["N", 4] } }]);
    expect(describeNodes(graph)).toEqual(["Add(x,w) -> y", "Relu(y) -> z"]);
    expect(graph.nodes.map(({ name, version, sources }) => [name, version, sources])).toEqual([
      ["add", 13, ["add"]],
      ["z", 13, ["z"]],
    ]);
    expect(constantsOf(graph)).toEqual({ w: ["float32", [4], [1, 2, 3, 4]] });
    expect(graph.outputs).toEqual([{ name: "z", value: { name: "z", type: { dtype: "float32", shape: ["N", 4] } } }]);
    expect(graph.outputs[0]?.value).toBe(graph.nodes[1]?.outputs[0]);
    expect([...graph.symbols.values()]).toEqual([{ name: "N", lower: 1, upper: 4 }]);
  });
  test("nodes in another order are sorted", async () => {
    expect(describeNodes(await importModel({ ...model, nodes: [relu, add] }))).toEqual([
      "Add(x,w) -> y",
      "Relu(y) -> z",
    ]);
  });
  test("an initialiser that is also an input is a constant", async () => {
    const graph = await importModel({ ...model, inputs: [x, { name: "w", dims: [4] }] });
    expect(graph.inputs.map(({ name }) => name)).toEqual(["x"]);
    expect(graph.constants.size).toBe(1);
  });
  test("an output may be an input, a constant, or the same value under two names", async () => {
    const graph = await importModel({ ...model, outputs: ["x", "w", "z"] });
    expect(graph.outputs.map(({ value }) => value.name)).toEqual(["x", "w", "z"]);
  });
  test("what nothing uses is not even read", async () => {
    const graph = await importModel({ ...model, initializers: [weight, { name: "text", dims: [1], type: 8 }] });
    expect(graph.constants.size).toBe(1);
  });
  test("nodes of one name are told apart", async () => {
    const again = { ...add, inputs: ["y", "w"], outputs: ["z"] };
    expect((await importModel({ ...model, nodes: [add, again] })).nodes.map(({ name }) => name)).toEqual([
      "add",
      "add_2",
    ]);
  });
  test("an absent input is undefined, trailing ones are dropped", async () => {
    const clip: NodeFields = { op: "Clip", inputs: ["x", "", "six", ""], outputs: ["z"] };
    const graph = await importModel({
      ...model,
      nodes: [clip],
      initializers: [{ name: "six", dims: [], type: 1, floats: [6] }],
    });
    expect(graph.nodes[0]?.inputs.map((value) => value?.name)).toEqual(["x", undefined, "six"]);
  });
  test("the default domain has two names; another stands before the operator", async () => {
    const nodes = [
      { ...add, domain: "ai.onnx" },
      { ...relu, op: "Gelu", domain: "com.microsoft" },
    ];
    expect((await importModel({ ...model, nodes })).nodes.map(({ op, version }) => `${op} ${version}`)).toEqual([
      "Add 13",
      "com.microsoft.Gelu 1",
    ]);
  });
  test("abort", async () => {
    await expect(importModel(model, { signal: AbortSignal.abort() })).rejects.toThrow(/\[aborted\]$/);
  });
});

describe("Constant nodes become constants", () => {
  test.each<readonly [string, AttributeFields, unknown]>([
    ["value", { t: { dims: [2], type: 6, int32s: [1, 2] } }, ["int32", [2], [1, 2]]],
    ["value_float", { f: 0.5 }, ["float32", [], [0.5]]],
    ["value_floats", { floats: [0.5, 2] }, ["float32", [2], [0.5, 2]]],
    ["value_int", { i: 7 }, ["int64", [], [7]]],
    ["value_ints", { ints: [1, -1] }, ["int64", [2], [1, -1]]],
  ])("%s", async (name, attribute, expected) => {
    const graph = await importModel({
      nodes: [{ op: "Constant", outputs: ["c"], attributes: { [name]: attribute } }],
      outputs: ["c"],
    });
    expect(graph.nodes).toEqual([]);
    expect(constantsOf(graph)).toEqual({ c: expected });
  });
  test.each<readonly [string, AttributeFields]>([
    ["value_string", { s: "a" }],
    ["value_strings", { strings: ["a"] }],
    ["sparse_value", { sparse: true }],
  ])("%s is refused", async (name, attribute) => {
    const nodes = [{ op: "Constant", name: "k", outputs: ["c"], attributes: { [name]: attribute } }];
    await expect(importModel({ nodes, outputs: ["c"] })).rejects.toThrow(/node k \(Constant\).*\[model-unsupported\]/);
  });
});

test("attributes of every kind keep their values", async () => {
  const attributes: Record<string, AttributeFields> = {
    integer: { i: -3 },
    float: { f: 0.5 },
    string: { s: "é" },
    integers: { ints: [1, -2] },
    floats: { floats: [0.25, 2] },
    strings: { strings: ["a", ""] },
    tensor: { t: { dims: [1], type: 7, int64s: [9] } },
  };
  const graph = await importModel({ nodes: [{ ...relu, inputs: ["x"], attributes }], inputs: [x], outputs: ["z"] });
  expect(graph.nodes[0]?.attributes).toEqual({
    integer: { kind: "integer", value: -3 },
    float: { kind: "float", value: 0.5 },
    string: { kind: "string", value: "é" },
    integers: { kind: "integers", value: [1, -2] },
    floats: { kind: "floats", value: [0.25, 2] },
    strings: { kind: "strings", value: ["a", ""] },
    tensor: { kind: "tensor", value: { dtype: "int64", shape: [1], data: new BigInt64Array([9n]) } },
  });
});

describe("functions of the model are inlined", () => {
  const scaleAndClip = {
    name: "ScaledLeaky",
    domain: "local",
    inputs: ["a", "b"],
    outputs: ["r"],
    attributes: ["slope"],
    nodes: [
      { op: "Mul", inputs: ["a", "b"], outputs: ["t"] },
      { op: "LeakyRelu", inputs: ["t"], outputs: ["r"], attributes: { alpha: { reference: "slope" } } },
    ],
  };
  const call = (input: string, output: string, attributes: Record<string, AttributeFields> = {}): NodeFields => ({
    op: "ScaledLeaky",
    domain: "local",
    inputs: [input, "w"],
    outputs: [output],
    attributes,
  });
  const model = (nodes: readonly NodeFields[], functions: ModelFields["functions"] & object): ModelFields => ({
    nodes,
    functions,
    initializers: [weight],
    inputs: [x],
    outputs: ["z"],
  });

  test("two calls, an attribute given and one left to the operator's default", async () => {
    const graph = await importModel(model([call("x", "y", { slope: { f: 0.5 } }), call("y", "z")], [scaleAndClip]));
    expect(describeNodes(graph)).toEqual([
      "Mul(x,w) -> y/t",
      "LeakyRelu(y/t) -> y",
      "Mul(y,w) -> z/t",
      "LeakyRelu(z/t) -> z",
    ]);
    expect(graph.nodes.map(({ attributes }) => attributes)).toEqual([
      {},
      { alpha: { kind: "float", value: 0.5 } },
      {},
      {},
    ]);
  });
  test("a default of the function", async () => {
    const withDefault = { ...scaleAndClip, attributes: [], defaults: { slope: { f: 0.25 } } };
    const graph = await importModel(model([call("x", "z")], [withDefault]));
    expect(graph.nodes[1]?.attributes).toEqual({ alpha: { kind: "float", value: 0.25 } });
  });
  test("an output that is an input", async () => {
    const pass = { name: "ScaledLeaky", domain: "local", inputs: ["a"], outputs: ["a"], nodes: [] };
    expect(describeNodes(await importModel(model([call("x", "z")], [pass])))).toEqual(["Identity(x) -> z"]);
  });
  test("a function of the overload that the call names", async () => {
    const functions = ["", "negative"].map((overload) => ({
      name: "f",
      domain: "local",
      overload,
      inputs: ["a"],
      outputs: ["r"],
      nodes: [{ op: overload === "" ? "Relu" : "Neg", inputs: ["a"], outputs: ["r"] }],
    }));
    const nodes = [{ op: "f", domain: "local", overload: "negative", inputs: ["x"], outputs: ["z"] }];
    expect(describeNodes(await importModel(model(nodes, functions)))).toEqual(["Neg(x) -> z"]);
  });
  test("a function that calls itself is refused", async () => {
    const selfCall = { ...scaleAndClip, nodes: [call("a", "r")] };
    await expect(importModel(model([call("x", "z")], [selfCall]))).rejects.toThrow(/calls itself.*\[model-invalid\]/);
  });
  test("a body that doubles forty times is refused", async () => {
    const functions = Array.from({ length: 40 }, (_, level) => ({
      name: `f${level}`,
      domain: "local",
      inputs: ["a"],
      outputs: ["r"],
      nodes: ["t", "r"].map((output, index) => ({
        op: level === 39 ? "Relu" : `f${level + 1}`,
        domain: level === 39 ? "" : "local",
        inputs: [index === 0 ? "a" : "t"],
        outputs: [output],
      })),
    }));
    const nodes = [{ op: "f0", domain: "local", inputs: ["x"], outputs: ["z"] }];
    await expect(importModel(model(nodes, functions))).rejects.toThrow(/too many nodes.*\[model-invalid\]/);
  });
});

describe("an If whose condition is known", () => {
  const branch = (op: string): AttributeFields => ({
    g: {
      nodes: [
        { op, inputs: ["y", "k"], outputs: ["inner"] },
        { op: "Relu", inputs: ["inner"], outputs: ["result"] },
      ],
      initializers: [{ name: "k", dims: [], type: 1, floats: [2] }],
      outputs: ["result"],
    },
  });
  const choose = (condition: string, output: string): NodeFields => ({
    op: "If",
    inputs: [condition],
    outputs: [output],
    attributes: { then_branch: branch("Mul"), else_branch: branch("Sub") },
  });
  const base: ModelFields = { initializers: [weight], inputs: [x], outputs: ["a", "b"] };
  const bool = (name: string, value: number): TensorFields => ({ name, dims: [], type: 9, int32s: [value] });

  test("becomes the branch that it takes, twice without a clash of names", async () => {
    const initializers = [weight, bool("yes", 1), bool("no", 0)];
    const graph = await importModel({ ...base, nodes: [add, choose("yes", "a"), choose("no", "b")], initializers });
    expect(describeNodes(graph).slice(1)).toEqual([
      "Mul(y,a/k) -> a/inner",
      "Relu(a/inner) -> a/result",
      "Sub(y,b/k) -> b/inner",
      "Relu(b/inner) -> b/result",
    ]);
    expect(graph.outputs.map(({ name, value }) => [name, value.name])).toEqual([
      ["a", "a/result"],
      ["b", "b/result"],
    ]);
  });
  test("knows comparisons of constants", async () => {
    const four = { name: "four", dims: [], type: 7, int64s: [4] };
    const nodes = [add, { op: "Equal", inputs: ["four", "four"], outputs: ["same"] }, choose("same", "a")];
    const graph = await importModel({ ...base, nodes, initializers: [weight, four], outputs: ["a"] });
    expect(describeNodes(graph).slice(2)).toEqual(["Mul(y,a/k) -> a/inner", "Relu(a/inner) -> a/result"]);
  });
});

describe("external data", () => {
  const data = new Float32Array([9, 1, 2, 3, 4]);
  const importWith = (external: Readonly<Record<string, string>>): Promise<Graph> => {
    const model = {
      nodes: [add],
      initializers: [{ name: "w", dims: [4], type: 1, external }],
      inputs: [x],
      outputs: ["y"],
    };
    const files = new Map([
      ["m/model.onnx", new Blob([modelBytes(model) as Uint8Array<ArrayBuffer>])],
      ["m/weights/w.bin", new Blob([rawBytes(data) as Uint8Array<ArrayBuffer>])],
      ["outside.bin", new Blob([rawBytes(data) as Uint8Array<ArrayBuffer>])],
    ]);
    return importOnnx(fileSetSource(files, "m/model.onnx"));
  };
  test.each([{ offset: "4", length: "16" }, { offset: "4" }])("is read from %j", async (place) => {
    expect(constantsOf(await importWith({ location: "weights/w.bin", ...place }))).toEqual({
      w: ["float32", [4], [1, 2, 3, 4]],
    });
  });
  test.each<readonly [string, Readonly<Record<string, string>>, RegExp]>([
    ["a missing file", { location: "absent.bin" }, /absent\.bin.*\[file-missing\]/],
    ["a path out of the folder", { location: "../outside.bin" }, /outside\.bin.*\[file-refused\]/],
    ["an absolute path", { location: "/etc/passwd" }, /\[file-refused\]/],
    ["no location", { offset: "0" }, /tensor w.*without a location.*\[model-invalid\]/],
    [
      "an offset past the end",
      { location: "weights/w.bin", offset: "8" },
      /at most 20 bytes; received offset 8, length 16.*\[model-invalid\]/,
    ],
    ["a huge offset", { location: "weights/w.bin", offset: "9".repeat(30) }, /offset.*not valid.*\[model-invalid\]/],
    ["a negative offset", { location: "weights/w.bin", offset: "-4" }, /offset.*not valid.*\[model-invalid\]/],
    [
      "a length that is not the tensor's",
      { location: "weights/w.bin", length: "20" },
      /expected 4 .*received 5.*\[model-invalid\]/,
    ],
  ])("%s", async (_, external, message) => {
    await expect(importWith(external)).rejects.toThrow(message);
  });
  test("a model file alone", async () => {
    const initializers = [{ name: "w", dims: [4], type: 1, external: { location: "w.bin" } }];
    await expect(importModel({ nodes: [add], initializers, inputs: [x], outputs: ["y"] })).rejects.toThrow(
      /w\.bin.*folder.*\[file-missing\]/,
    );
  });
});

describe("refused, naming the place", () => {
  const base: ModelFields = { nodes: [add], initializers: [weight], inputs: [x], outputs: ["y"] };
  test.each<readonly [string, Partial<ModelFields>, RegExp]>([
    ["an operator set that is too old", { opset: 6 }, /expected 7 to 26; received 6.*\[model-unsupported\]/],
    ["an operator set that is too new", { opset: 27 }, /expected 7 to 26; received 27.*\[model-unsupported\]/],
    ["an unknown operator", { nodes: [{ ...add, op: "Ad" }] }, /node add.*Ad is not known.*Add.*\[operator-unknown\]/],
    ["a name that nothing produces", { initializers: [] }, /node add \(Add\).*nothing produces "w".*\[model-invalid\]/],
    ["an output that nothing produces", { outputs: ["q"] }, /output q.*\[model-invalid\]/],
    ["a model without outputs", { outputs: [] }, /no outputs.*\[model-invalid\]/],
    ["two producers", { nodes: [add, { ...relu, outputs: ["y"] }] }, /\[model-invalid\]/],
    ["a cycle", { nodes: [{ ...add, inputs: ["x", "z"] }, relu] }, /node .*cycle.*\[model-invalid\]/],
    ["shapes that do not fit", { inputs: [{ name: "x", dims: [1, 5] }] }, /node add.*\[operator-invalid\]/],
    [
      "a missing input of an operator",
      { nodes: [{ ...add, inputs: ["x"] }] },
      /node add \(Add\).*\[operator-invalid\]/,
    ],
    [
      "more outputs than the operator has",
      { nodes: [{ ...add, outputs: ["y", "b", "c", "d"] }] },
      /node add \(Add\).*more outputs.*\[model-invalid\]/,
    ],
    [
      "a used tensor of strings",
      { initializers: [{ name: "w", dims: [1], type: 8 }] },
      /tensor w.*string.*\[model-unsupported\]/,
    ],
    ["an input of strings", { inputs: [{ name: "x", type: 8, dims: [1] }] }, /input x.*string.*\[model-unsupported\]/],
    [
      "an If with one branch",
      {
        nodes: [
          {
            ...relu,
            op: "If",
            inputs: ["x"],
            outputs: ["y"],
            name: "branch",
            attributes: { then_branch: { g: { nodes: [add], outputs: ["y"] } } },
          },
        ],
      },
      /node branch \(If\).*else_branch is missing.*\[model-invalid\]/,
    ],
    [
      "a sparse attribute",
      { nodes: [{ ...add, attributes: { a: { sparse: true } } }] },
      /node add \(Add\).*sparse.*\[model-unsupported\]/,
    ],
    [
      "a parameter outside a function",
      { nodes: [{ ...add, attributes: { a: { reference: "p" } } }] },
      /node add \(Add\).*\[model-invalid\]/,
    ],
  ])("%s", async (_, change, message) => {
    await expect(importModel({ ...base, ...change })).rejects.toThrow(message);
  });
  test("a file that is not a model", async () => {
    const page = new TextEncoder().encode("<!doctype html><title>404</title>");
    await expect(importOnnx(bytesSource("model.onnx", page))).rejects.toThrow(/model\.onnx.*\[model-invalid\]/);
    await expect(importOnnx(bytesSource("model.onnx", new Uint8Array(0)))).rejects.toThrow(
      /model\.onnx.*no graph.*\[model-invalid\]/,
    );
  });
});
