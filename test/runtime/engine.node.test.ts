/** The WASM engine on a program of two kernels, a slow one and a host step. */
import { expect, test } from "vitest";
import { loadExtensions } from "../../runtime/engine/extensions.ts";
import { BoundHostStep } from "../../runtime/engine/host-step.ts";
import { createWasmEngine, type WasmEngine } from "../../runtime/engine/wasm.ts";
import { LeafcutterError } from "../../runtime/format/diagnostic.ts";
import type { HostStep } from "../../runtime/format/program.ts";
import { tensorOf } from "../../runtime/format/tensor.ts";
import type { Reference } from "../../runtime/reference/reference.ts";
import {
  counterOf,
  expectedOutput,
  type TinyOptions,
  tinyModule,
  tinyProgram,
  weights,
  width,
} from "./tiny-package.ts";

const double: Reference = ({ inputs: [x] }) => {
  if (x === undefined) throw new TypeError("no input");
  return [
    tensorOf(
      "float32",
      x.shape,
      Array.from(x.data as Float32Array, (value) => 2 * value),
    ),
  ];
};

function engine(options: TinyOptions = {}, module = tinyModule()): WasmEngine {
  const program = tinyProgram(options);
  const references = new Map([["Double", double]]);
  const extensions = { bindHostStep: (step: HostStep) => new BoundHostStep(step, references) };
  const created = createWasmEngine({ program, module, extensions });
  created.writeWeights(0, new Uint8Array(weights.buffer));
  return created;
}

const x = (rows: number): Float32Array => Float32Array.from({ length: rows * width }, (_, index) => (index % 5) - 2);

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof LeafcutterError) return error.code;
    throw error;
  }
  return "none";
}

test.each(["Format disk", "constructor"])("a host step of the function %s is refused", async (reference) => {
  await expect(loadExtensions(tinyProgram({ reference }))).rejects.toMatchObject({
    diagnostic: { code: "program-invalid", where: reference },
  });
});

test("runs at every batch size with the extents of the input", () => {
  const created = engine();
  for (const rows of [4, 1, 3]) {
    const { y } = created.runSync({ x: { data: x(rows), shape: [rows, width] } }).outputs;
    expect(y).toEqual({ dtype: "float32", shape: [rows, width], data: expectedOutput(x(rows)) });
  }
});

test("infers the batch from the length, and outputs are the caller's own", () => {
  const created = engine();
  const first = created.runSync({ x: { data: x(2) } }).outputs.y;
  created.runSync({ x: { data: new Float32Array(width).fill(9) } });
  expect(first?.shape).toEqual([2, width]);
  expect(first?.data).toEqual(expectedOutput(x(2)));
});

test("outputs go into the caller's arrays, which must fit", () => {
  const created = engine();
  const y = new Float32Array(20).subarray(2, 2 + 2 * width);
  const { outputs } = created.runSync({ x: { data: x(2) } }, { into: { y } });
  expect(outputs.y?.data).toBe(y);
  expect(y).toEqual(expectedOutput(x(2)));
  y.fill(0);
  const refused = [{ y: y.subarray(1) }, { y: new Float64Array(2 * width) }, { z: y }];
  for (const into of refused)
    expect(codeOf(() => created.runSync({ x: { data: x(2) } }, { into }))).toBe("option-invalid");
  expect(y.every((value) => value === 0)).toBe(true);
});

test("a run in slices and a run in one entry agree, also with a host step at the end", async () => {
  const created = engine({ reference: "Double", slow: { iterations: 100, rounds: 1000 } });
  const sync = created.runSync({ x: { data: x(3) } }).outputs;
  expect((await created.run({ x: { data: x(3) } })).outputs).toEqual(sync);
  expect(sync.z?.data).toEqual(expectedOutput(x(3)).map((value) => 2 * value));
  expect(counterOf(created.memory)).toBe(200_000);
});

test("a profiled run names every step and where it ran", async () => {
  const created = engine({ reference: "Double" });
  const steps = (await created.run({ x: { data: x(1) } }, { profile: true })).steps ?? [];
  expect(steps.map(({ name, kernel, where }) => [name, kernel, where])).toEqual([
    ["add", "add", "wasm"],
    ["relu", "relu", "wasm"],
    ["host", "Double", "host"],
  ]);
  expect(steps[0]?.flops).toBe(width);
  expect(created.runSync({ x: { data: x(1) } }, { profile: true }).steps).toHaveLength(3);
});

test("an abort takes effect inside one long step, and the engine runs again", async () => {
  const iterations = 1_000_000;
  const rounds = 10_000;
  const created = engine({ slow: { iterations, rounds } });
  const abort = new AbortController();
  setImmediate(() => abort.abort());
  await expect(created.run({ x: { data: x(1) } }, { signal: abort.signal })).rejects.toMatchObject({ code: "aborted" });
  const counted = counterOf(created.memory) >>> 0;
  expect(counted % rounds).toBe(0);
  expect(counted / rounds).toBeLessThan(iterations / 1000);
  const quick = engine();
  expect((await quick.run({ x: { data: x(1) } })).outputs.y?.data).toEqual(expectedOutput(x(1)));
});

test("inputs that do not fit are refused by name, type and shape", () => {
  const created = engine();
  const data = x(1);
  expect(codeOf(() => created.runSync({}))).toBe("input-missing");
  expect(codeOf(() => created.runSync({ x: { data: new Float64Array(width) } }))).toBe("input-dtype");
  expect(codeOf(() => created.runSync({ x: { data, dtype: "int32" } }))).toBe("input-dtype");
  expect(codeOf(() => created.runSync({ x: { data, shape: [1, 7] } }))).toBe("input-shape");
  expect(codeOf(() => created.runSync({ x: { data, shape: [width] } }))).toBe("input-shape");
  expect(codeOf(() => created.runSync({ x: { data, shape: [2, width] } }))).toBe("input-shape");
  expect(codeOf(() => created.runSync({ x: { data: x(5) } }))).toBe("input-shape");
  expect(codeOf(() => created.runSync({ x: { data: new Float32Array(width + 1) } }))).toBe("input-shape");
  expect(() => created.runSync({ X: { data } })).toThrow(/Did you mean x\?/);
  expect(() => created.runSync({ x: { data: x(5), shape: [5, width] } })).toThrow(
    /x: .*expected \[batch 1\.\.4, 8\].*received \[5, 8\]/,
  );
  expect(created.runSync({ x: { data } }).outputs.y?.data).toEqual(expectedOutput(data));
});

test("a kernel's known answer passes, leaves no trace, and fails for a wrong kernel", async () => {
  const good = engine({ probe: true });
  expect(await good.probeKernels()).toEqual([]);
  const { start, bytes } = good.program.memory.arena;
  expect(new Uint8Array(good.memory.buffer, start, bytes).every((byte) => byte === 0)).toBe(true);
  const failures = await engine({ probe: true }, tinyModule({ faultyAdd: true })).probeKernels();
  expect(failures.map(({ kernel }) => kernel)).toEqual(["add"]);
});

test("a module that imports more than the memory is refused", () => {
  expect(codeOf(() => engine({}, tinyModule({ foreign: true })))).toBe("package-invalid");
  expect(() => engine({}, tinyModule({ foreign: true }))).toThrow(/function env\.exfiltrate/);
});

test("an engine that replaces another takes over its memory and weights", () => {
  const first = engine();
  const second = createWasmEngine({ program: first.program, module: tinyModule(), memory: first.memory });
  expect(second.runSync({ x: { data: x(1) } }).outputs.y?.data).toEqual(expectedOutput(x(1)));
});
