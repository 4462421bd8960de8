import { describe, expect, test } from "vitest";
import type { BodyBuilder } from "../../compiler/assemble/body.ts";
import { call, type Expression, select } from "../../compiler/assemble/expression.ts";
import { f32, f64, i32, i64 } from "../../compiler/assemble/scalar.ts";
import { multiplyAdd, wasmRelaxed, wasmSimd } from "../../compiler/assemble/target.ts";
import { f32x4, v128 } from "../../compiler/assemble/vector.ts";
import { ModuleBuilder, maximumFunctionBytes } from "../../compiler/assemble/wasm.ts";
import { exportedFunction, instantiate, onePage } from "./run.ts";

/** Runs one exported function `run(i32, i32) -> i32`. */
function runner(define: (body: BodyBuilder, a: Expression<"i32">, b: Expression<"i32">) => void) {
  const module = new ModuleBuilder({ memory: onePage });
  module.function("run", { params: ["i32", "i32"], results: ["i32"], exported: true }, define);
  const { exports, memory } = instantiate(module);
  return { run: exportedFunction(exports, "run"), memory, size: module.functionSizes()[0]?.bytes ?? 0 };
}

describe("control flow", () => {
  test("if with and without otherwise, nested returns", () => {
    const { run } = runner((body, a, b) => {
      body.if(
        i32.ltS(a, b),
        () => body.if(i32.eqz(a), () => body.return(i32.const(100))),
        () => body.return(i32.const(300)),
      );
      body.return(i32.const(200));
    });
    expect([run(0, 1), run(1, 2), run(2, 1)]).toEqual([100, 200, 300]);
  });

  test("a constant condition emits only its side", () => {
    const { run, size } = runner((body, a) => {
      body.if(0, () => body.unreachable());
      body.if(i32.eq(1, 1), (label) => {
        body.branchIf(label, a);
        body.return(i32.const(5));
      });
      body.return(i32.const(6));
    });
    expect([run(0, 0), run(1, 0)]).toEqual([5, 6]);
    expect(size).toBeLessThan(20);
  });

  test("loop, branch out of nested blocks", () => {
    const { run } = runner((body, limit, stop) => {
      const [sum, i] = [body.local("i32", 0), body.local("i32", 0)];
      body.block((done) => {
        body.loop((again) => {
          body.block((skip) => {
            body.branchIf(done, i32.gtS(i, limit));
            body.branchIf(skip, i32.and(i, 1)); // odd numbers are skipped
            body.branchIf(done, i32.eq(i, stop));
            body.set(sum, i32.add(sum, i));
          });
          body.set(i, i32.add(i, 1));
          body.branch(again);
        });
      });
      body.return(sum);
    });
    expect([run(10, 99), run(10, 6), run(-1, 0)]).toEqual([30, 6, 0]);
  });

  test("branchTable", () => {
    const { run } = runner((body, a) => {
      const result = body.local("i32", 9);
      body.block((end) => {
        body.block((one) => {
          body.block((zero) => body.branchTable(a, [zero, one], end));
          body.set(result, 10);
          body.branch(end);
        });
        body.set(result, 11);
      });
      body.return(result);
    });
    expect([run(0, 0), run(1, 0), run(2, 0), run(-1, 0)]).toEqual([10, 11, 9, 9]);
  });

  test.each([
    [0, 10, 3],
    [5, 5, 1],
    [6, 5, 1],
    [-7, 9, 4],
  ])("forRange %d..%d by %d: constant and unknown bounds", (start, end, step) => {
    const indices: number[] = [];
    for (let i = start; i < end; i += step) indices.push(i);
    const expected = indices.reduce((hash, i) => Math.imul(hash, 31) + i, 7) | 0;
    const hash = (body: BodyBuilder, from: Expression<"i32"> | number, to: Expression<"i32"> | number) => {
      const value = body.local("i32", 7);
      body.forRange(from, to, step, (i) => body.set(value, i32.add(i32.mul(value, 31), i)));
      body.return(value);
    };
    expect(runner((body, a, b) => hash(body, a, b)).run(start, end)).toBe(expected);
    expect(runner((body) => hash(body, start, end)).run(0, 0)).toBe(expected);
    expect(runner((body, _, b) => hash(body, start, i32.add(b, 1))).run(0, end - 1)).toBe(expected);
  });

  test("select evaluates to either side, for every type", () => {
    const module = new ModuleBuilder({ memory: onePage });
    module.function("run", { params: ["i32"], results: ["f64"], exported: true }, (body, a) => {
      const vector = select("v128", a, f32x4.const(1, 1, 1, 1), f32x4.const(2, 2, 2, 2));
      body.return(f64.add(f64.promoteF32(f32x4.extractLane(vector, 2)), select("f64", a, 10, 20)));
    });
    const run = exportedFunction(instantiate(module).exports, "run");
    expect([run(1), run(0)]).toEqual([11, 22]);
  });
});

describe("locals", () => {
  test("locals of ended scopes are reused, and using one afterwards is an error", () => {
    const sizes = [1, 8].map(
      (copies) =>
        runner((body, a) => {
          const total = body.local("i32", 0);
          for (let i = 0; i < copies; i++) {
            body.scope(() => {
              const x = body.local("f32", f32.convertI32S(a));
              const y = body.local("i32", i32.truncSatF32S(x));
              body.set(total, i32.add(total, i32.mul(y, y)));
            });
          }
          body.return(total);
        }).size,
    );
    const perCopy = ((sizes[1] ?? 0) - (sizes[0] ?? 0)) / 7;
    expect(perCopy).toBe(19); // ten instructions, no declarations
    expect(() =>
      runner((body) => {
        let leaked: Expression<"i32"> = i32.const(0);
        body.scope(() => {
          leaked = body.local("i32", 1);
        });
        body.return(leaked);
      }),
    ).toThrow(/outside the scope/);
  });

  test("locals of several types keep their values apart", () => {
    const { run } = runner((body, a, b) => {
      const f = body.local("f32", f32.convertI32S(a));
      const i = body.local("i32", b);
      const v = body.local("v128", f32x4.splat(f));
      const g = body.local("f32", 0.5);
      const j = body.local("i32", i32.add(i, 1));
      const w = body.local("v128", f32x4.splat(g));
      const sum = f32x4.extractLane(f32x4.add(v, w), 3);
      body.return(i32.add(i32.mul(i32.truncSatF32S(f32.mul(sum, 2)), 1000), i32.add(i, j)));
    });
    expect(run(3, 10)).toBe(7021);
  });

  test("a set followed by its use becomes a tee, but not across control flow", () => {
    const straight = runner((body, a) => {
      const x = body.local("i32", i32.add(a, 1));
      body.return(i32.mul(x, x));
    });
    expect(straight.run(4, 0)).toBe(25);
    expect(straight.size).toBe(3 + 5 + 2 + 2 + 1 + 1 + 1); // declarations, a+1, tee, get, mul, return, end
    const looped = runner((body, a) => {
      const x = body.local("i32", a);
      body.loop((again) => {
        body.set(x, i32.add(x, 3));
        body.branchIf(again, i32.ltS(x, 10));
      });
      body.return(x);
    });
    expect(looped.run(2, 0)).toBe(11);
  });

  test("tee and no-op sets", () => {
    const { run } = runner((body, a, b) => {
      const x = body.local("i32", 1);
      body.set(x, x);
      body.return(i32.add(body.tee(x, i32.add(a, b)), x));
    });
    expect(run(3, 4)).toBe(14);
  });
});

describe("calls", () => {
  test("imports, mutual recursion, results in locals, dropped results", () => {
    const module = new ModuleBuilder({ memory: onePage });
    const log = module.importFunction("env", "log", ["i32", "f32"], []);
    const even = module.declare("even", { params: ["i32"], results: ["i32"], exported: true });
    const odd = module.function("odd", { params: ["i32"], results: ["i32"] }, (body, n) => {
      body.if(i32.eqz(n), () => body.return(i32.const(0)));
      body.return(call(even, i32.sub(n, 1)));
    });
    module.define(even, (body, n) => {
      body.if(i32.eqz(n), () => body.return(i32.const(1)));
      body.call(log, n, 0.5);
      body.return(call(odd, i32.sub(n, 1)));
    });
    const pair = module.function("pair", { params: ["i32"], results: ["i32", "f32"] }, (body, n) => {
      body.return(i32.add(n, 1), f32.convertI32S(n));
    });
    module.function("use", { params: ["i32"], results: ["f32"], exported: true }, (body, n) => {
      const [i, f] = [body.local("i32"), body.local("f32")];
      body.call(pair, n);
      body.drop(call(even, 0));
      body.callInto([i, f], pair, n);
      body.return(f32.add(f32.mul(f32.convertI32S(i), 100), f));
    });
    const logged: unknown[] = [];
    const { exports } = instantiate(module, { log: (...values: unknown[]) => logged.push(values) });
    expect([exportedFunction(exports, "even")(4), exportedFunction(exports, "even")(3)]).toEqual([1, 0]);
    expect(logged).toEqual([
      [4, 0.5],
      [2, 0.5],
      [3, 0.5],
      [1, 0.5],
    ]);
    expect(exportedFunction(exports, "use")(7)).toBe(807);
  });

  test("a walker calls steps through the table", () => {
    const module = new ModuleBuilder({ memory: onePage, names: true });
    const step = { params: ["i32"], results: ["i32"] } as const;
    const walk = module.function("walk", { ...step, exported: true }, (body, count) => {
      const value = body.local("i32", 1);
      body.forRange(0, count, 1, (i) => {
        body.set(value, body.callIndirectResult(step, i32.load8U(i), value));
      });
      body.callIndirect({ params: ["i32", "i32"], results: [] }, 2, 0, value);
      body.return(value);
    });
    const double = module.function("double", step, (body, x) => body.return(i32.mul(x, 2)));
    const increment = module.function("increment", step, (body, x) => body.return(i32.add(x, 1)));
    const poke = module.function("poke", { params: ["i32", "i32"], results: [] }, (body, address, x) => {
      body.i32Store(address, x, { offset: 16 });
    });
    module.table([double, increment, poke, walk], "steps");
    const { exports, memory } = instantiate(module);
    new Uint8Array(memory.buffer).set([0, 1, 0, 0]); // ((1 * 2) + 1) * 2 * 2
    expect(exportedFunction(exports, "walk")(4)).toBe(12);
    expect(new Int32Array(memory.buffer)[4]).toBe(12);
    expect(exports.steps).toBeInstanceOf(WebAssembly.Table);
    expect((exports.steps as WebAssembly.Table).length).toBe(4);
    new Uint8Array(memory.buffer).set([2]);
    expect(() => exportedFunction(exports, "walk")(1)).toThrow(WebAssembly.RuntimeError); // other signature
    expect(new TextDecoder().decode(module.encode())).toContain("increment"); // the name section
  });

  test("misuse is refused", () => {
    const module = new ModuleBuilder({ memory: onePage });
    const declared = module.declare("late", { params: [], results: [] });
    expect(() => module.encode()).toThrow(/late is declared but not defined/);
    module.define(declared, () => {});
    expect(() => module.define(declared, () => {})).toThrow(/already defined/);
    const foreign = new ModuleBuilder({ memory: onePage }).function("g", { params: [], results: [] }, () => {});
    module.function("f", { params: [], results: [] }, (body) => body.call(foreign));
    expect(() => module.encode()).toThrow(/g belongs to another module/);
    expect(() => new ModuleBuilder({ memory: { ...onePage, shared: true } }).encode()).toThrow(/maximumPages/);
  });
});

describe("memory", () => {
  test("stores and loads of every width, with offsets", () => {
    const module = new ModuleBuilder({ memory: onePage });
    module.function("run", { params: ["i32", "i64"], results: [], exported: true }, (body, a, b) => {
      body.i32Store8(0, a);
      body.i32Store16(0, a, { offset: 2, align: 2 });
      body.i32Store(0, a, { offset: 4, align: 4 });
      body.i64Store8(8, b);
      body.i64Store16(8, b, { offset: 2 });
      body.i64Store32(8, b, { offset: 4 });
      body.i64Store(16, b);
      body.f32Store(24, f32.convertI32S(i32.load8S(0)));
      body.f32Store(28, f32.convertI32S(i32.load8U(0)));
      body.f32Store(32, f32.convertI32S(i32.load16S(2)));
      body.f32Store(36, f32.convertI32S(i32.load16U(0, { offset: 2 })));
      body.f64Store(40, f64.convertI64S(i64.load8S(8)));
      body.f64Store(48, f64.convertI64S(i64.load8U(8)));
      body.f64Store(56, f64.convertI64S(i64.load16S(10)));
      body.f64Store(64, f64.convertI64S(i64.load16U(10)));
      body.f64Store(72, f64.convertI64S(i64.load32S(12)));
      body.f64Store(80, f64.convertI64S(i64.load32U(12)));
      body.f64Store(88, f64.convertI64S(i64.load(16)));
      body.f64Store(96, f64.promoteF32(f32.load(24)));
      body.f64Store(104, f64.load(96));
      body.i32Store(112, i32.load(4));
    });
    const { exports, memory } = instantiate(module);
    exportedFunction(exports, "run")(-0x7b2d, -0x123456789abcn);
    const view = new DataView(memory.buffer);
    const floats = [24, 28, 32, 36].map((address) => view.getFloat32(address, true));
    expect(floats).toEqual([-45, 211, -0x7b2d, 0x10000 - 0x7b2d]);
    const doubles = [40, 48, 56, 64, 72, 80, 88, 96, 104].map((address) => view.getFloat64(address, true));
    const low = (bits: number) => Number(BigInt.asIntN(bits, -0x123456789abcn));
    const unsigned = (bits: number) => Number(BigInt.asUintN(bits, -0x123456789abcn));
    expect(doubles).toEqual([low(8), unsigned(8), low(16), unsigned(16), low(32), unsigned(32), low(64), -45, -45]);
    expect(view.getInt32(112, true)).toBe(-0x7b2d);
    expect(view.getBigInt64(16, true)).toBe(-0x123456789abcn);
  });

  test("vector and lane stores", () => {
    const module = new ModuleBuilder({ memory: onePage });
    const bytes = Array.from({ length: 16 }, (_, index) => index + 1);
    module.function("run", { params: ["i32"], results: [], exported: true }, (body, address) => {
      const x = body.local("v128", v128.const(...bytes));
      body.v128Store(address, x, { offset: 32, align: 16 });
      body.v128Store8Lane(address, x, 15);
      body.v128Store16Lane(address, x, 7, { offset: 2 });
      body.v128Store32Lane(address, x, 3, { offset: 4, align: 4 });
      body.v128Store64Lane(address, x, 1, { offset: 8 });
    });
    const { exports, memory } = instantiate(module);
    exportedFunction(exports, "run")(64);
    const written = new Uint8Array(memory.buffer);
    expect([...written.slice(96, 112)]).toEqual(bytes);
    expect([...written.slice(64, 80)]).toEqual([16, 0, 15, 16, 13, 14, 15, 16, 9, 10, 11, 12, 13, 14, 15, 16]);
  });

  test("copy and fill", () => {
    const { run, memory } = runner((body, a, b) => {
      body.memoryFill(a, 7, 5);
      body.memoryCopy(i32.add(a, 3), a, b);
      body.return(i32.const(0));
    });
    run(10, 6);
    expect([...new Uint8Array(memory.buffer, 8, 14)]).toEqual([0, 0, 7, 7, 7, 7, 7, 7, 7, 7, 0, 0, 0, 0]);
  });

  test("a shared memory is imported as shared", () => {
    const memory = { ...onePage, maximumPages: 4, shared: true };
    const module = new ModuleBuilder({ memory });
    module.function("run", { params: [], results: ["i32"], exported: true }, (body) => body.return(i32.load(8)));
    const compiled = new WebAssembly.Module(module.encode());
    const plain = new WebAssembly.Memory({ initial: 1, maximum: 4 });
    expect(() => new WebAssembly.Instance(compiled, { env: { memory: plain } })).toThrow(WebAssembly.LinkError);
    const shared = new WebAssembly.Memory({ initial: 1, maximum: 4, shared: true });
    new Int32Array(shared.buffer)[2] = 77;
    const { exports } = new WebAssembly.Instance(compiled, { env: { memory: shared } });
    expect(exportedFunction(exports, "run")()).toBe(77);
  });
});

describe("size", () => {
  const builder = (statements: number) => {
    const module = new ModuleBuilder({ memory: onePage });
    module.function("small", { params: [], results: [] }, () => {});
    module.function("big", { params: ["i32"], results: [] }, (body, x) => {
      for (let i = 0; i < statements; i++) body.i32Store(x, x); // 7 bytes each
    });
    return module;
  };

  test("functionSizes counts encoded bodies", () => {
    expect(builder(10).functionSizes()).toEqual([
      { name: "small", bytes: 2 },
      { name: "big", bytes: 72 },
    ]);
  });

  test("a function above the limit is refused by name", () => {
    const most = Math.floor((maximumFunctionBytes - 2) / 7);
    expect(WebAssembly.validate(builder(most).encode())).toBe(true);
    expect(() => builder(most + 1).encode()).toThrow(/function big/);
  });

  test("same calls, same bytes", () => {
    expect(builder(3).encode()).toEqual(builder(3).encode());
  });
});

test("multiplyAdd is one relaxed instruction, or a product and a sum", () => {
  const [a, b, c] = [v128.load(0), v128.load(16), v128.load(32)];
  expect(multiplyAdd(wasmRelaxed, a, b, c)).toEqual(f32x4.relaxedMadd(a, b, c));
  expect(multiplyAdd(wasmSimd, a, b, c)).toEqual(f32x4.add(f32x4.mul(a, b), c));
});
