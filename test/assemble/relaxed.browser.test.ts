import { expect, test } from "vitest";
import { server } from "vitest/browser";
import { MathLibrary } from "../../compiler/assemble/math.ts";
import { multiplyAdd, wasmRelaxed } from "../../compiler/assemble/target.ts";
import { i32x4, v128 } from "../../compiler/assemble/vector.ts";
import { ModuleBuilder } from "../../compiler/assemble/wasm.ts";

test("the browser runs the relaxed instructions and the mathematics built on them", (context) => {
  const module = new ModuleBuilder({ memory: { module: "env", name: "memory", initialPages: 1 } });
  const math = new MathLibrary(module, wasmRelaxed);
  module.function("run", { params: [], results: [], exported: true }, (body) => {
    body.v128Store(64, i32x4.relaxedDotI8x16I7x16AddS(v128.load(0), v128.load(16), v128.load(32)));
    const x = body.local("v128", v128.load(48));
    body.v128Store(80, multiplyAdd(wasmRelaxed, x, x, x));
    body.v128Store(96, math.exp(x));
  });
  const bytes = module.encode();
  if (server.browser === "webkit" && !WebAssembly.validate(bytes))
    return context.skip("this WebKit has no relaxed SIMD");
  const memory = new WebAssembly.Memory({ initial: 1 });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory } });
  const left = Int8Array.of(-128, 127, 5, -6, 0, 1, 2, 3, 100, -100, 50, -50, 7, -8, 9, -10);
  const right = Int8Array.of(127, 127, 0, 1, 2, 3, 4, 5, 100, 90, 80, 70, 127, 0, 127, 0);
  const sums = [1, -2, 100000, 0];
  new Int8Array(memory.buffer).set([...left, ...right]);
  new Int32Array(memory.buffer, 32).set(sums);
  const floats = [0.5, -3, 20, -100];
  new Float32Array(memory.buffer, 48).set(floats);
  (exports.run as () => void)();

  const dots = sums.map((sum, lane) =>
    [0, 1, 2, 3].reduce((total, i) => total + (left[4 * lane + i] ?? 0) * (right[4 * lane + i] ?? 0), sum),
  );
  expect([...new Int32Array(memory.buffer, 64, 4)]).toEqual(dots);
  expect([...new Float32Array(memory.buffer, 80, 4)]).toEqual(floats.map((x) => x * x + x));
  for (const [lane, value] of new Float32Array(memory.buffer, 96, 4).entries()) {
    const expected = Math.exp(floats[lane] ?? NaN);
    expect(Math.abs(value - expected)).toBeLessThanOrEqual(2 ** -22 * expected + 2 ** -149);
  }
});
