/** Inputs that shapes depend on: bound by the data set or by hand, kept as inputs, checked when the package runs. */
import { describe, expect, test } from "vitest";
import { type CompileOptions, compile, type Package } from "../../compiler/compile.ts";
import { bytesSource } from "../../compiler/import/source.ts";
import type { LeafcutterError } from "../../runtime/format/diagnostic.ts";
import { type Tensor, tensorOf } from "../../runtime/format/tensor.ts";
import { validateManifest } from "../../runtime/format/validate-manifest.ts";
import { load } from "../../runtime/index.ts";
import { type ModelFields, modelBytes } from "../import/onnx-writer.ts";

const [float, int64, bool] = [1, 7, 9];

/** Sums x over axes that an input names, through a Concat with a constant axis. */
const model: ModelFields = {
  nodes: [
    { op: "Concat", inputs: ["axes", "one"], outputs: ["all"], attributes: { axis: { i: 0 } } },
    { op: "ReduceSum", inputs: ["x", "all"], outputs: ["y"], attributes: { keepdims: { i: 0 } } },
  ],
  initializers: [{ name: "one", dims: [1], type: int64, int64s: [1] }],
  inputs: [
    { name: "x", type: float, dims: [2, 3, 2] },
    { name: "axes", type: int64, dims: ["count"] },
  ],
  outputs: ["y"],
  opset: 18,
};

const build = (options: CompileOptions, fields: ModelFields = model): Promise<Package> =>
  compile(bytesSource("model.onnx", modelBytes(fields)), options);

const x = tensorOf("float32", [2, 3, 2], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
const axes = (...values: readonly number[]): Tensor => tensorOf("int64", [values.length], values);
const sample = (...tensors: readonly Tensor[]): CompileOptions => ({
  sampleShapes: tensors.map((tensor, index) => ({ ...tensor, name: "", index })),
});

const codeOf = (action: Promise<unknown>): Promise<string> =>
  action.then(
    () => "none",
    (error: LeafcutterError) => error.code,
  );

describe("an input that a shape depends on", () => {
  test("has the value of the data set, stays an input, and says so", async () => {
    const { manifest, files } = await build(sample(x, axes(2)));
    expect(manifest.inputs).toEqual([
      { name: "x", dtype: "float32", shape: [2, 3, 2] },
      { name: "axes", dtype: "int64", shape: [1], value: [2] },
    ]);
    expect(manifest.selfTest).toBeDefined();
    const session = await load(Object.fromEntries(files), { worker: false });
    expect(session.inputs[1]?.value).toEqual([2]);
    const { y } = await session.run({ x, axes: axes(2) });
    expect(y).toEqual(tensorOf("float32", [2], [21, 57]));
    await session.dispose();
  });

  test("refuses another value in a run, naming both, and stays usable", async () => {
    const { files } = await build({ values: { axes: [2] } });
    const session = await load(Object.fromEntries(files), { worker: false });
    const run = session.run({ x, axes: axes(0) });
    await expect(run).rejects.toThrow(/axes: .*expected \[2\]; received \[0\]/);
    expect(await codeOf(session.run({ x, axes: axes(0) }))).toBe("input-value");
    expect((await session.run({ x, axes: axes(2) })).y?.shape).toEqual([2]);
    await session.dispose();
  });

  test("takes the caller's value before the data set's", async () => {
    const { manifest } = await build({ ...sample(x, axes(2)), values: { axes: [0] } });
    expect(manifest.outputs[0]?.shape).toEqual([2]);
    expect(manifest.inputs[1]?.value).toEqual([0]);
    expect(manifest.provenance.options).toEqual({ "value axes": "0" });
  });

  test("without a value is an error that names the input and the flag", async () => {
    const attempt = build({});
    await expect(attempt).rejects.toThrow(/axes int64\[count\].*--value axes=/);
    expect(await codeOf(build({}))).toBe("value-unbound");
  });

  test("must have a value that fits", async () => {
    expect(await codeOf(build({ values: { axis: [0] } }))).toBe("option-invalid");
    await expect(build({ values: { axis: [0] } })).rejects.toThrow(/Did you mean axes\?/);
    expect(await codeOf(build({ values: { axes: [0.5] } }))).toBe("option-invalid");
    expect(await codeOf(build({ values: { axes: new Array<number>(65).fill(0) } }))).toBe("option-invalid");
    expect(await codeOf(build({ values: { x: [1, 2] } }))).toBe("option-invalid");
  });

  test("is not fixed when no shape depends on it", async () => {
    const { manifest } = await build(sample(x, axes(2)), {
      ...model,
      nodes: [{ op: "Neg", inputs: ["x"], outputs: ["y"] }],
      inputs: [{ name: "x", type: float, dims: [2, 3, 2] }],
    });
    expect(manifest.inputs[0]).not.toHaveProperty("value");
  });
});

describe("a Dropout whose training_mode is an input", () => {
  const dropout: ModelFields = {
    nodes: [{ op: "Dropout", inputs: ["x", "", "training"], outputs: ["y"] }],
    inputs: [
      { name: "x", type: float, dims: [2, 3, 2] },
      { name: "training", type: bool, dims: [] },
    ],
    outputs: ["y"],
    opset: 18,
  };

  test("is compiled for false and refused for true", async () => {
    const { manifest } = await build({ values: { training: [0] } }, dropout);
    expect(manifest.inputs[1]?.value).toEqual([0]);
    await expect(build({ values: { training: [1] } }, dropout)).rejects.toThrow(/training mode/);
    expect(await codeOf(build({}, dropout))).toBe("value-unbound");
  });
});

test("a manifest whose fixed value does not fit its input is refused", async () => {
  const { manifest } = await build({ values: { axes: [2] } });
  const withValue = (value: unknown): unknown => ({
    ...manifest,
    inputs: manifest.inputs.map((port) => (port.name === "axes" ? { ...port, value } : port)),
  });
  expect(() => validateManifest(withValue([2]))).not.toThrow();
  for (const value of [[], [1, 2], ["2"], [0.5], [null], 2, [Number.MAX_VALUE]])
    expect(() => validateManifest(withValue(value)), JSON.stringify(value)).toThrow(/inputs\[1\]\.value/);
});
