/** States from the model file to the session: fixed and growing ones, aborted runs, bounds, and what is refused. */
import { describe, expect, test } from "vitest";
import { type CompileOptions, compile, type Package } from "../../compiler/compile.ts";
import { bytesSource } from "../../compiler/import/source.ts";
import { programOf } from "../../compiler/package/program-of.ts";
import { openWasmEngine, type WasmEngine } from "../../runtime/engine/wasm.ts";
import type { LeafcutterError } from "../../runtime/format/diagnostic.ts";
import { contentOf } from "../../runtime/format/inflate.ts";
import { type Tensor, tensorOf } from "../../runtime/format/tensor.ts";
import { validateManifest } from "../../runtime/format/validate-manifest.ts";
import { validateProgram } from "../../runtime/format/validate-program.ts";
import { load } from "../../runtime/index.ts";
import { type ModelFields, modelBytes } from "../import/onnx-writer.ts";
import { cacheOptions, caches, row, rows, sumStates, sums, zeros } from "./stateful-models.ts";

const compileFields = (fields: ModelFields, options: CompileOptions): Promise<Package> =>
  compile(bytesSource("model.onnx", modelBytes(fields)), options);

const filesOf = ({ files }: Package): Record<string, Uint8Array> => Object.fromEntries(files);

async function moduleOf({ manifest: { modules }, files }: Package): Promise<Uint8Array> {
  const [simd] = modules;
  if (!simd) throw new Error("the package has no module");
  return contentOf(simd, files.get(simd.path) ?? new Uint8Array());
}

async function engineOf(built: Package): Promise<WasmEngine> {
  const engine = await openWasmEngine({
    program: validateProgram(await programOf(built)),
    module: await moduleOf(built),
  });
  let offset = 0;
  for (const { path } of built.manifest.shards) {
    const bytes = built.files.get(path) as Uint8Array;
    engine.writeWeights(offset, bytes);
    offset += bytes.byteLength;
  }
  return engine;
}

const errorOf = (action: Promise<unknown>): Promise<LeafcutterError | undefined> =>
  action.then(
    () => undefined,
    (error: LeafcutterError) => error,
  );

const list = (tensor: Tensor | undefined): readonly number[] => Array.from(tensor?.data as Float32Array);

describe("states of one shape", () => {
  test("are no ports, start at zero and follow from run to run as if they were passed", async () => {
    const built = await compileFields(sums, { states: sumStates });
    const plain = await load(filesOf(await compileFields(sums, {})), { worker: false });
    const session = await load(filesOf(built), { worker: false });
    expect(session.inputs.map(({ name }) => name)).toEqual(["x"]);
    expect(session.outputs.map(({ name }) => name)).toEqual(["y"]);
    expect(session.states.map(({ name, output }) => [name, output])).toEqual(Object.entries(sumStates));
    let states: Record<string, Tensor> = { sum: row(0, 0, 0), newer: row(0, 0, 0), older: row(0, 0, 0) };
    for (let run = 1; run <= 4; run++) {
      const x = row(run, -run, 10 * run);
      const expected = await plain.run({ x, ...states });
      expect(await session.run({ x })).toEqual({ y: expected.y });
      states = Object.fromEntries(Object.entries(sumStates).map(([name, next]) => [name, expected[next] as Tensor]));
      for (const name of Object.keys(states)) expect(await session.state(name)).toEqual(states[name]);
    }
    expect(list(await session.state("older"))).toEqual([3, -3, 30]);
    await Promise.all([session.dispose(), plain.dispose()]);
  });

  test("are set, zeroed and read through the worker, in the order of the calls", async () => {
    const session = await load(filesOf(await compileFields(sums, { states: sumStates })));
    const first = session.run({ x: row(1, 1, 1) });
    const reset = session.reset({ sum: row(5, 6, 7), older: row(1, 0, 0) });
    const second = session.run({ x: row(1, 1, 1) });
    const read = session.state("sum");
    await session.reset();
    expect(list((await first).y)).toEqual([1, 1, 1]);
    await reset;
    expect(list((await second).y)).toEqual([37, 49, 64]);
    expect(list(await read)).toEqual([6, 7, 8]);
    expect(list(await session.state("sum"))).toEqual([0, 0, 0]);
    await session.dispose();
  });

  test("are not changed by a reset that is refused", async () => {
    const session = await load(filesOf(await compileFields(sums, { states: sumStates })), { worker: false });
    await session.run({ x: row(1, 2, 3) });
    const refused: readonly [values: Record<string, Tensor>, code: string, text: RegExp][] = [
      [{ sun: row(1, 1, 1) }, "input-unknown", /no such state.*Did you mean sum/],
      [{ older: row(9, 9, 9), sum: row(1, 1) }, "input-shape", /sum: .*\[1, 3\]; received \[1, 2\]/],
      [{ sum: tensorOf("int32", [1, 3], [1, 1, 1]) }, "input-dtype", /float32/],
      [{ x: row(1, 1, 1) }, "input-unknown", /no such state/],
    ];
    for (const [values, code, text] of refused) {
      const error = await errorOf(session.reset(values));
      expect([error?.code, error?.message]).toEqual([code, expect.stringMatching(text)]);
    }
    expect((await errorOf(session.run({ x: row(1, 1, 1), sum: row(0, 0, 0) })))?.message).toMatch(/sum: .*reset/);
    expect((await errorOf(session.state("y")))?.code).toBe("input-unknown");
    expect(list(await session.state("sum"))).toEqual([1, 2, 3]);
    expect(list(await session.state("older"))).toEqual([0, 0, 0]);
    session.resetSync();
    expect(list(session.runSync({ x: row(2, 0, 0) }).y)).toEqual([4, 0, 0]);
    await session.dispose();
  });

  test("stay as they were when a run is aborted between its steps", async () => {
    const engine = await engineOf(await compileFields(sums, { states: sumStates }));
    await engine.run({ x: row(1, 2, 3) });
    const abort = new AbortController();
    const run = engine.run({ x: row(9, 9, 9) }, { signal: abort.signal, profile: true });
    abort.abort();
    expect((await errorOf(run))?.code).toBe("aborted");
    expect(list(await engine.state("sum"))).toEqual([1, 2, 3]);
    expect(list((await engine.run({ x: row(0, 0, 0) })).outputs.y)).toEqual([1, 4, 9]);
  });

  test("are what they were after the self-test, which starts from zeros", async () => {
    const built = await compileFields(sums, { states: sumStates });
    expect(built.manifest.selfTest).toBeDefined();
    const session = await load(filesOf(built), { worker: false });
    await session.run({ x: row(1, 2, 3) });
    await expect.poll(async () => (await session.stats()).selfTest, { timeout: 10_000 }).toBe("passed");
    expect(list((await session.run({ x: row(1, 1, 1) })).y)).toEqual([4, 9, 16]);
    await session.dispose();
  });
});

const counted = (count: number): readonly number[] => Array.from({ length: 2 * count }, (_, i) => i + 1);

describe("states that grow", () => {
  test("append in place, row by row and several at once, to a capacity", async () => {
    const built = await compileFields(caches, cacheOptions);
    expect(validateManifest(JSON.parse(JSON.stringify(built.manifest)))).toEqual(built.manifest);
    const [key, value] = (await programOf(built)).states ?? [];
    expect([key, value]).toMatchObject([
      { kind: "growing", name: "past.key", axis: 1, capacity: 6, shape: [2, "s1", 2] },
      { kind: "growing", name: "past.value", axis: 1, capacity: 6, shape: [2, "s1", 2] },
    ]);
    const session = await load(filesOf(built), { worker: false });
    for (const [first, count] of [
      [0, 1],
      [1, 2],
      [3, 1],
      [4, 2],
    ] as const) {
      const length = first + count;
      const { keys, values } = await session.run({ x: rows(first, count), mask: zeros(length) });
      expect(keys?.shape).toEqual([2, length, 2]);
      expect(list(keys)).toEqual([...counted(length), ...new Array<number>(2 * length).fill(0)]);
      expect(list(values)).toEqual([...counted(length), ...counted(length).map((one) => -one)]);
    }
    expect(await session.state("past.value")).toEqual(rows(0, 6));
    await session.dispose();
  });

  test("copy no row that they have: the steps that write them move as many bytes at any length", async () => {
    const { steps, states = [] } = await programOf(await compileFields(caches, cacheOptions));
    const regions = new Set(states.map(({ address }) => address));
    const writers = steps.filter(
      (step) => step.kind === "kernel" && step.accesses.some((a) => a.mode !== "read" && regions.has(Number(a.start))),
    );
    expect(writers.length).toBe(2);
    for (const step of writers) expect(JSON.stringify(step.kind === "kernel" && step.bytes)).not.toMatch(/s1/);
  });

  test("refuse a run beyond the bound before it starts, with nothing lost", async () => {
    const session = await load(filesOf(await compileFields(caches, cacheOptions)), { worker: false });
    for (const first of [0, 2, 4]) await session.run({ x: rows(first, 2), mask: zeros(first + 2) });
    const error = await errorOf(session.run({ x: rows(6, 1), mask: zeros(7) }));
    expect([error?.code, error?.message]).toEqual([
      "state-full",
      expect.stringMatching(/past\.key: .*s1 of at most 4; received 6/),
    ]);
    expect(await session.state("past.value")).toEqual(rows(0, 6));
    await session.reset();
    expect((await session.state("past.key")).shape).toEqual([2, 0, 2]);
    expect(list((await session.run({ x: rows(0, 1), mask: zeros(1) })).values)).toEqual([1, 2, -1, -2]);
    await session.dispose();
  });

  test("take their last rows back, in this thread and in a worker", async () => {
    const files = filesOf(await compileFields(caches, cacheOptions));
    for (const worker of [false, true]) {
      const session = await load(files, { worker });
      for (const first of [0, 2]) await session.run({ x: rows(first, 2), mask: zeros(first + 2) });
      await session.rewind(3);
      expect(await session.state("past.value")).toEqual(rows(0, 1));
      for (const refused of [2, -1, 0.5]) expect((await errorOf(session.rewind(refused)))?.code).toBe("option-invalid");
      expect(list((await session.run({ x: rows(1, 2), mask: zeros(3) })).values)).toEqual(list(rows(0, 3)));
      await session.dispose();
    }
    const fixed = await load(filesOf(await compileFields(sums, { states: sumStates })), { worker: false });
    expect((await errorOf(fixed.rewind(0)))?.message).toMatch(/sum: a state of one shape cannot go back/);
    await fixed.dispose();
  });

  test("check what depends on their length, and are set together", async () => {
    const session = await load(filesOf(await compileFields(caches, cacheOptions)), { worker: false });
    await session.reset({ "past.key": rows(0, 3), "past.value": rows(0, 3) });
    const short = await errorOf(session.run({ x: rows(3, 1), mask: zeros(3) }));
    expect([short?.code, short?.message]).toEqual(["input-shape", expect.stringMatching(/mask: /)]);
    const refused: readonly [values: Record<string, Tensor>, code: string][] = [
      [{ "past.key": rows(0, 1) }, "input-missing"],
      [{ "past.key": rows(0, 1), "past.value": rows(0, 2) }, "input-shape"],
      [{ "past.key": rows(0, 5), "past.value": rows(0, 5) }, "input-shape"],
    ];
    for (const [values, code] of refused) expect((await errorOf(session.reset(values)))?.code).toBe(code);
    expect(list((await session.run({ x: rows(3, 1), mask: zeros(4) })).values)).toEqual(list(rows(0, 4)));
    await session.dispose();
  });

  test("are as long as before when a run is aborted between its steps", async () => {
    const engine = await engineOf(await compileFields(caches, cacheOptions));
    await engine.run({ x: rows(0, 2), mask: zeros(2) });
    const abort = new AbortController();
    const run = engine.run({ x: rows(7, 2), mask: zeros(4) }, { signal: abort.signal, profile: true });
    abort.abort();
    expect((await errorOf(run))?.code).toBe("aborted");
    expect(await engine.state("past.value")).toEqual(rows(0, 2));
    const { values } = (await engine.run({ x: rows(2, 1), mask: zeros(3) })).outputs;
    expect(list(values)).toEqual(list(rows(0, 3)));
  });
});

test.each<[name: string, options: CompileOptions, text: RegExp]>([
  ["an unknown input", { dims: { "*": 1 }, states: { passed: "present.key" } }, /no input called passed/],
  [
    "an unknown output",
    { ...cacheOptions, states: { "past.key": "present.kay" } },
    /no output called present.kay.*mean present.key/,
  ],
  ["a pattern on one side", { ...cacheOptions, states: { "past.*": "present.key" } }, /one \* on both sides/],
  [
    "an output twice",
    { ...cacheOptions, states: { "past.key": "present.key", "past.value": "present.key" } },
    /a state already/,
  ],
  ["types that differ", { ...cacheOptions, dims: { "*": 1 }, states: { x: "values" } }, /the types do not agree/],
  [
    "a length without a range",
    { ...cacheOptions, dims: { seq: 1, s1: 2, s2: 2, total: 3 } },
    /--dim 'past.key:1=0..N'/,
  ],
  [
    "two axes that grow",
    { states: { mask: "keys" }, dims: { seq: 1, s1: 2, s2: 2, total: 3 } },
    /more than one axis grows/,
  ],
  [
    "another open dimension",
    { ...cacheOptions, dims: { ...cacheOptions.dims, "past.*:1": 2 }, states: { x: "new" } },
    /only the length.*--dim seq=N/,
  ],
  [
    "arithmetic over what is not there",
    { ...cacheOptions, dims: { "past.*:1": { lower: 0, upper: 4 }, seq: 1, total: "sequence + 1" } },
    /total cannot be bound to sequence \+ 1/,
  ],
])("a compile refuses %s", async (_, options, text) => {
  const error = await errorOf(compileFields(caches, options));
  expect([error?.code, error?.message]).toEqual(["option-invalid", expect.stringMatching(text)]);
});

test("a compile refuses a length with a range beside a fixed one", async () => {
  const error = await errorOf(compileFields(caches, { ...cacheOptions, dims: { ...cacheOptions.dims, total: 5 } }));
  expect([error?.code, error?.message]).toEqual(["operator-invalid", expect.stringMatching(/--dim total=past\+1/)]);
});

test("a compile refuses a state that grows at its front", async () => {
  const nodes = (caches.nodes ?? []).map((node) =>
    node.op === "Concat" ? { ...node, inputs: [...(node.inputs ?? [])].reverse() } : node,
  );
  const error = await errorOf(compileFields({ ...caches, nodes }, cacheOptions));
  expect(error?.message).toMatch(/past\.key.*behind those it has.*Concat\(past\.key, …\) on axis 1/);
});
