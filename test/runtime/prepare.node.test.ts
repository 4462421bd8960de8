/** A package taken apart, posted, and put together again at once. */
import { expect, test } from "vitest";
import { LeafcutterError, prepare } from "../../runtime/index.ts";
import { instantiate } from "../../runtime/worklet.ts";
import { expectedOutput, tinyModule, tinyPackage, width } from "./tiny-package.ts";

const x = (rows: number): Float32Array => Float32Array.from({ length: rows * width }, (_, index) => (index % 7) - 3);

test("a prepared model survives cloning and runs at once, any number of instances of it", async () => {
  const prepared = structuredClone(await prepare(await tinyPackage({ probe: true })));
  const [first, second] = [instantiate(prepared), instantiate(prepared)];
  for (const rows of [3, 1]) {
    const { y } = first.runSync({ x: { data: x(rows), shape: [rows, width] } });
    expect(y).toEqual({ dtype: "float32", shape: [rows, width], data: expectedOutput(x(rows)) });
  }
  const { y } = await second.run({ x: { data: x(2), shape: [2, width] } });
  expect(y?.data).toEqual(expectedOutput(x(2)));
  expect([first.inputs, first.outputs]).toEqual([prepared.inputs, prepared.outputs]);
  expect(await first.stats()).toMatchObject({ variant: prepared.variant, runs: 2, notes: [] });
});

test("the weights own their buffer, so that it can be transferred", async () => {
  const { weights } = await prepare(await tinyPackage());
  expect(weights.byteLength).toBe(weights.buffer.byteLength);
  const { y } = instantiate(structuredClone(await prepare(await tinyPackage()))).runSync({ x: { data: x(1) } });
  expect(y?.data).toEqual(expectedOutput(x(1)));
});

test("a package with host steps is refused by the names of the steps, before its weights are read", async () => {
  const { "shard-0.bin": _, ...files } = await tinyPackage({ reference: "Relu" });
  await expect(prepare(files)).rejects.toThrow(/host steps cannot be prepared.*\[model-unsupported\]$/s);
});

test("a variant whose known answers are wrong is not prepared", async () => {
  const modules = { "wasm-simd": tinyModule(), "wasm-relaxed": tinyModule({ faultyAdd: true }) };
  const prepared = await prepare(await tinyPackage({ modules, probe: true }));
  expect(prepared.variant).toBe("wasm-simd");
  expect(prepared.stats.rejected).toMatchObject([{ variant: "wasm-relaxed" }]);
});

test("options are those of a load", async () => {
  const files = await tinyPackage();
  await expect(prepare(files, { maxMemory: 1 })).rejects.toMatchObject({ code: "memory-exceeded" });
  await expect(prepare(files, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "aborted" });
  await expect(prepare(files, { integrity: "none" })).rejects.toMatchObject({ code: "option-invalid" });
});

test("a session that is disposed or given a wrong input says so", async () => {
  const session = instantiate(await prepare(await tinyPackage()));
  expect(() => session.runSync({})).toThrow(LeafcutterError);
  await expect(session.run({ x: { data: x(1) } }, { signal: AbortSignal.abort() })).rejects.toMatchObject({
    code: "aborted",
  });
  await session.dispose();
  expect(() => session.runSync({ x: { data: x(1) } })).toThrow(/disposed/);
});
