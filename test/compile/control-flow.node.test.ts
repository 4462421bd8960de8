/** Models with control flow from file to result: synchronous and in slices, timed, aborted, and with a branch that is not there. */
import { describe, expect, test } from "vitest";
import { type CompileOptions, compile, type Package } from "../../compiler/compile.ts";
import { bytesSource } from "../../compiler/import/source.ts";
import { LeafcutterError } from "../../runtime/format/diagnostic.ts";
import { tensorOf } from "../../runtime/format/tensor.ts";
import { load } from "../../runtime/index.ts";
import { type GraphFields, type ModelFields, modelBytes, type NodeFields } from "../import/onnx-writer.ts";

const [float, int64, bool] = [1, 7, 9];

const build = (fields: ModelFields, options: CompileOptions = {}): Promise<Package> =>
  compile(bytesSource("model.onnx", modelBytes(fields)), options);

const branch = (op: string): GraphFields => ({
  nodes: [{ op, inputs: ["x"], outputs: ["result"] }],
  outputs: ["result"],
});

/** y = x > limit in sum ? -x : |x|. */
const chooser: ModelFields = {
  nodes: [
    { op: "ReduceSum", inputs: ["x"], outputs: ["sum"], attributes: { keepdims: { i: 0 } } },
    { op: "Greater", inputs: ["sum", "limit"], outputs: ["large"] },
    {
      op: "If",
      name: "choose",
      inputs: ["large"],
      outputs: ["y"],
      attributes: { then_branch: { g: branch("Neg") }, else_branch: { g: branch("Abs") } },
    },
  ],
  inputs: [
    { name: "x", type: float, dims: [3] },
    { name: "limit", type: float, dims: [] },
  ],
  outputs: ["y"],
};
const x = tensorOf("float32", [3], [1, -2, 4]);
const limit = (value: number) => tensorOf("float32", [], [value]);

/** Doubles x until its sum is over a million, at most `trips` times. */
const doubling = (trips: number | undefined): ModelFields => {
  const loop: NodeFields = {
    op: "Loop",
    name: "repeat",
    inputs: [trips === undefined ? "" : "trips", "", "x"],
    outputs: ["y"],
    attributes: {
      body: {
        g: {
          nodes: [
            { op: "Add", inputs: ["state", "state"], outputs: ["next"] },
            { op: "ReduceSum", inputs: ["next"], outputs: ["sum"], attributes: { keepdims: { i: 0 } } },
            { op: "Less", inputs: ["sum", "million"], outputs: ["on"] },
          ],
          inputs: [
            { name: "i", type: int64, dims: [] },
            { name: "go", type: bool, dims: [] },
            { name: "state", type: float },
          ],
          outputs: ["on", "next"],
        },
      },
    },
  };
  return {
    nodes: [loop],
    inputs: [{ name: "x", type: float, dims: [3] }],
    initializers: [
      { name: "million", dims: [], type: float, floats: [1e6] },
      ...(trips === undefined ? [] : [{ name: "trips", dims: [], type: int64, int64s: [trips] }]),
    ],
    outputs: ["y"],
  };
};

test("a branch is taken by what the run computes", async () => {
  const { files, manifest } = await build(chooser);
  expect(manifest.selfTest).toBeDefined();
  const session = await load(Object.fromEntries(files), { worker: false });
  expect((await session.run({ x, limit: limit(2) })).y?.data).toEqual(new Float32Array([-1, 2, -4]));
  expect(session.runSync({ x, limit: limit(3) }).y?.data).toEqual(new Float32Array([1, 2, 4]));
  expect(session.runSync({ x, limit: limit(2) }).y?.data).toEqual(new Float32Array([-1, 2, -4]));
  await session.dispose();
});

test.each<[trips: number | undefined, factor: number]>([
  [undefined, 2 ** 19],
  [1000, 2 ** 19],
  [7, 2 ** 7],
])("a loop of at most %s iterations ends there, or when it says so", async (trips, factor) => {
  const { files, manifest } = await build(doubling(trips));
  // On generated inputs it may never say so.
  if (trips === undefined) expect(manifest.selfTest).toBeUndefined();
  const session = await load(Object.fromEntries(files), { worker: false });
  for (const run of [session.run({ x }), session.run({ x })])
    expect((await run).y?.data).toEqual(new Float32Array([factor, -2 * factor, 4 * factor]));
  expect(session.runSync({ x }).y?.data).toEqual(new Float32Array([factor, -2 * factor, 4 * factor]));
  await session.dispose();
});

test("a profiled run adds up what a step takes in all iterations, one entry a step", async () => {
  const { files, report } = await build(doubling(undefined));
  const session = await load(Object.fromEntries(files), { worker: false });
  await session.stats({ profile: true });
  expect((await session.run({ x })).y?.data[0]).toBe(2 ** 19);
  const { steps = [] } = await session.stats();
  expect(steps).toHaveLength(report.steps.length);
  expect(steps.map(({ kernel }) => kernel)).toContain("repeat");
  await session.dispose();
});

test("a loop that would go on is aborted between its slices, and the next run starts anew", async () => {
  const forever = doubling(undefined);
  const { files } = await build({
    ...forever,
    initializers: [{ name: "million", dims: [], type: float, floats: [Number.POSITIVE_INFINITY] }],
  });
  const session = await load(Object.fromEntries(files), { worker: false });
  const never = tensorOf("float32", [3], [0, 0, 0]);
  const control = new AbortController();
  const run = session.run({ x: never }, { signal: control.signal });
  setTimeout(() => control.abort(), 20);
  await expect(run).rejects.toThrow(/\[aborted\]/);
  const { y } = await session.run({ x });
  expect(y?.data[2]).toBe(Number.POSITIVE_INFINITY);
  await session.dispose();
});

describe("a branch that cannot be compiled", () => {
  const model: ModelFields = {
    ...chooser,
    nodes: (chooser.nodes ?? []).map((node) =>
      node.op === "If"
        ? { ...node, attributes: { then_branch: { g: branch("NoSuchOperator") }, else_branch: { g: branch("Abs") } } }
        : node,
    ),
  };

  test("is a typed error with the reason in the run that takes it, and no other", async () => {
    const { files } = await build(model);
    const session = await load(Object.fromEntries(files), { worker: false });
    expect((await session.run({ x, limit: limit(3) })).y?.data).toEqual(new Float32Array([1, 2, 4]));
    const failure = await session.run({ x, limit: limit(2) }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(LeafcutterError);
    expect(String(failure)).toMatch(/branch that could not be compiled.*NoSuchOperator.*\[model-unsupported\]/);
    expect((await session.run({ x, limit: limit(3) })).y?.data).toEqual(new Float32Array([1, 2, 4]));
    await session.dispose();
  });
});
