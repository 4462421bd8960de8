/** Several threads of Node over one shared memory: results, losses, traps; and the pieces they are made of. */
import { afterEach, expect, test } from "vitest";
import { generateThreadWalk } from "../../compiler/codegen/wasm/thread-walk.ts";
import { sharedForm } from "../../runtime/engine/shared-module.ts";
import { layOutThreads, stepsWithScratch } from "../../runtime/engine/thread-layout.ts";
import { type StartHelper, startHelper, ThreadTeam } from "../../runtime/engine/thread-team.ts";
import { createWasmEngine, type WasmEngine } from "../../runtime/engine/wasm.ts";
import { createMemory } from "../../runtime/engine/wasm-module.ts";
import { LeafcutterError } from "../../runtime/format/diagnostic.ts";
import { pageBytes } from "../../runtime/format/program.ts";
import { expectedOutput, type TinyOptions, tinyModule, tinyProgram, weights, width } from "./tiny-package.ts";

const x = (rows: number): Float32Array => Float32Array.from({ length: rows * width }, (_, index) => (index % 5) - 2);

const opened: WasmEngine[] = [];
afterEach(() => {
  for (const engine of opened.splice(0)) engine.dispose();
});

interface TeamCase {
  readonly threads?: number;
  readonly tiny?: TinyOptions;
  readonly trapRow?: number;
  readonly start?: StartHelper;
  readonly patience?: bigint;
}

async function teamEngine({ threads = 2, tiny = {}, trapRow = -1, ...rest }: TeamCase = {}): Promise<WasmEngine> {
  const program = tinyProgram({ divided: true, ...tiny });
  const kernels = new WebAssembly.Module(sharedForm(tinyModule({ trapRow }), "tiny"));
  const walk = new WebAssembly.Module(generateThreadWalk() as Uint8Array<ArrayBuffer>);
  const layout = layOutThreads(program, threads);
  const memory = createMemory(layout.pages, true);
  const team = new ThreadTeam({ program, layout, memory, kernels, walk, ...rest });
  const engine = createWasmEngine({ program, module: kernels, variant: "wasm-simd-threads", memory, team });
  opened.push(engine);
  engine.writeWeights(0, new Uint8Array(weights.buffer));
  await team.settled;
  return engine;
}

function expectRuns(engine: WasmEngine, rows: number): void {
  const { y } = engine.runSync({ x: { data: x(rows), shape: [rows, width] } }).outputs;
  expect(y).toEqual({ dtype: "float32", shape: [rows, width], data: expectedOutput(x(rows)) });
  expect(y?.data.buffer).toBeInstanceOf(ArrayBuffer);
}

test.each([2, 3, 4, 7])("%i threads compute what one computes, at every extent, again and again", async (threads) => {
  const engine = await teamEngine({ threads });
  expect(engine.threads).toEqual({ count: threads });
  for (let round = 0; round < 50; round++) for (const rows of [4, 1, 3, 2]) expectRuns(engine, rows);
  expect(engine.threads).toEqual({ count: threads });
});

test("a run in slices between which helpers sleep, aborted, and then another", async () => {
  const engine = await teamEngine({ tiny: { slow: { iterations: 100_000, rounds: 10_000 } } });
  const abort = new AbortController();
  const running = engine.run({ x: { data: x(4) } }, { signal: abort.signal });
  setTimeout(() => abort.abort(), 20);
  await expect(running).rejects.toMatchObject({ diagnostic: { code: "aborted" } });
  expect(engine.threads).toEqual({ count: 2 });
});

test("kernels' known answers run by all threads", async () => {
  const engine = await teamEngine({ tiny: { probe: true } });
  expect(await engine.probeKernels()).toEqual([]);
});

test("a helper that cannot start: one thread, and why", async () => {
  const broken: StartHelper = () => {
    throw new Error("no more threads");
  };
  const engine = await teamEngine({ start: broken });
  expect(engine.threads).toEqual({ count: 1, why: "a helper thread failed to start: no more threads" });
  expectRuns(engine, 4);
});

test("a helper that dies between two runs: one thread from then on", async () => {
  let kill: (() => void) | undefined;
  const mortal: StartHelper = (onAnswer, onFailure) => {
    const helper = startHelper(onAnswer, (reason) => {
      onFailure(reason);
      died();
    });
    kill = () => helper.terminate();
    return helper;
  };
  let died: () => void = () => undefined;
  const death = new Promise<void>((resolve) => {
    died = resolve;
  });
  const engine = await teamEngine({ start: mortal });
  expectRuns(engine, 4);
  kill?.();
  await death;
  expectRuns(engine, 4);
  expect(engine.threads).toEqual({ count: 1, why: "a helper thread died: the thread ended with code 1" });
});

test("a helper that dies unseen in the middle of a run: the run is done again by one thread", async () => {
  const absent: StartHelper = (onAnswer) => {
    setTimeout(() => onAnswer({ kind: "ready" }));
    return { post: () => undefined, keepAlive: () => undefined, terminate: () => undefined };
  };
  const engine = await teamEngine({ start: absent, patience: 20_000_000n });
  expect(engine.threads).toEqual({ count: 2 });
  const { y } = (await engine.run({ x: { data: x(4) } })).outputs;
  expect(y?.data).toEqual(expectedOutput(x(4)));
  expect(engine.threads).toEqual({ count: 1, why: "a helper thread did not do its part in time" });
});

test.each([
  ["thread 0", 0, "the module trapped"],
  ["a helper", 3, "the module trapped in a helper thread"],
])("a trap in %s hangs nobody and rejects the run", async (_, trapRow, why) => {
  const engine = await teamEngine({ trapRow });
  const run = (rows: number): unknown => engine.runSync({ x: { data: x(rows) } });
  expect(() => run(4)).toThrow(LeafcutterError);
  expect(engine.threads).toEqual({ count: 1, why });
  expect(() => run(4)).toThrow("the module trapped");
});

test("further threads have records and scratch of their own behind the planned pages", () => {
  const program = tinyProgram();
  const [add] = program.steps;
  if (add?.kind !== "kernel") throw new Error("the first step is a kernel");
  const scratch = { word: 2, start: add.arguments[2] as number, bytes: 100, mode: "scratch" } as const;
  const withScratch = { ...program, steps: [{ ...add, accesses: [...add.accesses.slice(0, 2), scratch] }] };
  const layout = layOutThreads(withScratch, 3);
  expect(layout.pages).toBe(2);
  expect(layout.control).toBe(pageBytes);
  const [first, second] = layout.spaces;
  expect(first?.table).toBeGreaterThanOrEqual(layout.control + 16);
  expect(first?.scratch).toBeGreaterThanOrEqual((first?.table ?? 0) + program.memory.table.bytes);
  expect(second?.table).toBeGreaterThanOrEqual((first?.scratch ?? 0) + 100);
  const [moved] = stepsWithScratch(withScratch, 5000);
  expect(moved?.arguments).toEqual([add.arguments[0], add.arguments[1], 5000, width]);
});

test("the shared form differs in the limits of the memory alone", () => {
  const module = tinyModule();
  const shared = new WebAssembly.Module(sharedForm(module, "tiny"));
  expect(WebAssembly.Module.imports(shared)).toEqual([{ module: "env", name: "memory", kind: "memory" }]);
  const names = (exports: WebAssembly.ModuleExportDescriptor[]): readonly string[] => exports.map(({ name }) => name);
  const plain = new WebAssembly.Module(module as Uint8Array<ArrayBuffer>);
  expect(names(WebAssembly.Module.exports(shared))).toEqual(names(WebAssembly.Module.exports(plain)));
  const memory = createMemory(3, true);
  expect(() => new WebAssembly.Instance(shared, { env: { memory } })).not.toThrow();
  expect(() => new WebAssembly.Instance(plain, { env: { memory } })).toThrow(WebAssembly.LinkError);
});

test("bytes that are no such module have no shared form", () => {
  for (const bytes of [tinyModule({ foreign: true }), new Uint8Array(), tinyModule().subarray(0, 12)]) {
    expect(() => sharedForm(bytes, "tiny")).toThrow("the module imports what it must not");
  }
  const random = Uint8Array.from({ length: 4096 }, (_, index) => (index * 2654435761) >>> 13);
  expect(() => sharedForm(random, "tiny")).toThrow(LeafcutterError);
});
