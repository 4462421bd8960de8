import { describe, expect, test } from "vitest";
import { atomic } from "../../compiler/assemble/atomic.ts";
import { call, type Expression, type FunctionReference } from "../../compiler/assemble/expression.ts";
import { i32 } from "../../compiler/assemble/scalar.ts";
import { ModuleBuilder } from "../../compiler/assemble/wasm.ts";
import { exportedFunction } from "./run.ts";

const sharedPage = { module: "env", name: "memory", initialPages: 1, maximumPages: 65536, shared: true };

/** Runs an expression of two arguments over a shared page whose words are `words`. */
function evaluate(
  expression: (a: Expression<"i32">, b: Expression<"i32">) => Expression<"i32">,
  words: readonly number[],
  ...operands: readonly [number?, number?]
): { readonly result: unknown; readonly words: readonly number[] } {
  const module = new ModuleBuilder({ memory: sharedPage });
  module.function("run", { params: ["i32", "i32"], results: ["i32"], exported: true }, (body, a, b) =>
    body.return(expression(a, b)),
  );
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const content = new Int32Array(memory.buffer);
  content.set(words);
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.encode()), { env: { memory } });
  const result = exportedFunction(exports, "run")(operands[0] ?? 0, operands[1] ?? 0);
  return { result, words: [...content.subarray(0, words.length)] };
}

describe("atomic instructions over a shared memory", () => {
  test("load and add", () => {
    expect(evaluate((a) => atomic.load(a, { offset: 4 }), [1, 22, 3])).toEqual({ result: 22, words: [1, 22, 3] });
    expect(evaluate((a, b) => atomic.add(a, b, { offset: 4 }), [1, 22, 3], 4, -5)).toEqual({
      result: 3,
      words: [1, 22, -2],
    });
  });

  test("compareExchange replaces only what it expects", () => {
    expect(evaluate((a) => atomic.compareExchange(a, 7, 9), [7], 0)).toEqual({ result: 7, words: [9] });
    expect(evaluate((a) => atomic.compareExchange(a, 7, 9), [8], 0)).toEqual({ result: 8, words: [8] });
  });

  test("wait: another value, and a time that is over; notify finds nobody", () => {
    expect(evaluate((a) => atomic.wait(a, 5, -1), [6]).result).toBe(1);
    expect(evaluate((a) => atomic.wait(a, 6, 1000), [6]).result).toBe(2);
    expect(evaluate((a) => atomic.notify(a, -1), [6]).result).toBe(0);
  });

  test("stores, fences, and an address between two words", () => {
    const module = new ModuleBuilder({ memory: sharedPage });
    module.function("run", { params: ["i32"], results: [], exported: true }, (body, address) => {
      body.atomicStore(address, 41, { offset: 4 });
      body.atomicFence();
      body.atomicStore(address, i32.add(atomic.load(address, { offset: 4 }), 1));
    });
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.encode()), { env: { memory } });
    const run = exportedFunction(exports, "run");
    run(0);
    expect([...new Int32Array(memory.buffer, 0, 2)]).toEqual([42, 41]);
    expect(() => run(2)).toThrow(WebAssembly.RuntimeError);
  });
});

describe("an imported table", () => {
  test("is called through", () => {
    const memory = { module: "env", name: "memory", initialPages: 1, maximumPages: 1 };
    const callee = new ModuleBuilder({ memory });
    const double = callee.function("double", { params: ["i32"], results: ["i32"] }, (body, a) =>
      body.return(i32.add(a, a)),
    );
    callee.table([double as FunctionReference], "table");
    const caller = new ModuleBuilder({ memory });
    const offset = caller.importFunction("env", "offset", [], ["i32"]);
    caller.importTable("env", "table");
    caller.function("run", { params: ["i32"], results: ["i32"], exported: true }, (body, a) =>
      body.return(i32.add(body.callIndirectResult({ params: ["i32"], results: ["i32"] } as const, 0, a), call(offset))),
    );
    const env = { memory: new WebAssembly.Memory({ initial: 1, maximum: 1 }), offset: () => 1 };
    const { table } = new WebAssembly.Instance(new WebAssembly.Module(callee.encode()), { env }).exports;
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(caller.encode()), {
      env: { ...env, table: table as WebAssembly.Table },
    });
    expect(exportedFunction(exports, "run")(21)).toBe(43);
    expect(() => caller.table([])).toThrow("already has a table");
  });
});
