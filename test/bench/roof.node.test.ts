import { expect, test } from "vitest";
import { bandwidthModule, multiplyAddModule } from "../../bench/roof.ts";
import { wasmSimd } from "../../compiler/assemble/target.ts";

function instance(bytes: Uint8Array<ArrayBuffer>) {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory } });
  return { memory, exports: exports as unknown as Readonly<Record<string, (...values: number[]) => number>> };
}

test("the roof's arithmetic is done: every accumulator converges to its fixed point", () => {
  const { rate } = instance(multiplyAddModule(wasmSimd)).exports;
  // a = 0.999 a + 0.001 has the fixed point 1; twelve accumulators are summed.
  expect(rate?.(0)).toBeCloseTo((12 * 13) / 2, 4);
  expect(rate?.(50_000)).toBeCloseTo(12, 1);
});

test("the roof's bandwidth kernels touch every byte", () => {
  const { memory, exports } = instance(bandwidthModule());
  const words = new Uint32Array(memory.buffer);
  words.fill(0);
  words[32 + 1023] = 0; // the last lane of the range is not the one that `read` returns
  words[32 + 1020] = 0x40;
  expect(exports.read?.(128, 4096)).toBe(0x40);
  for (let i = 0; i < 1024; i++) words[32 + i] = i;
  exports.copy?.(128, 128 + 4096, 4096);
  expect([...words.subarray(32 + 1024, 32 + 2048)]).toEqual([...words.subarray(32, 32 + 1024)]);
});
