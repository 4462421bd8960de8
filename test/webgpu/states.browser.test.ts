/** States that live on a WebGPU device: what they hold, read and compute is what WebAssembly's do. */
import { describe, expect, test } from "vitest";
import { bytesSource, type CompileOptions, compile } from "../../compiler/compile.ts";
import { LeafcutterError } from "../../runtime/format/diagnostic.ts";
import { load, type Session, type Tensor } from "../../runtime/index.ts";
import { cacheOptions, caches, row, rows, sumStates, sums, zeros } from "../compile/stateful-models.ts";
import { type ModelFields, modelBytes } from "../import/onnx-writer.ts";
import { adapterReason, gpuTimeout } from "./graph-engine.ts";

type Tensors = Readonly<Record<string, Tensor>>;

const reason = await adapterReason();

/** What `use` sees with each backend. */
async function onBoth<T>(fields: ModelFields, options: CompileOptions, use: (session: Session) => Promise<T>) {
  const { files } = await compile(bytesSource("model.onnx", modelBytes(fields)), { ...options, webgpu: true });
  const results: T[] = [];
  for (const backend of ["wasm-simd", "webgpu"] as const) {
    const session = await load(Object.fromEntries(files), { backend });
    try {
      results.push(await use(session));
      expect((await session.stats()).variant).toBe(backend);
    } finally {
      await session.dispose();
    }
  }
  return results;
}

describe.skipIf(reason !== undefined)(`on WebGPU${reason === undefined ? "" : `, skipped: ${reason}`}`, () => {
  test("states of one shape follow from run to run, are set and zeroed", { timeout: gpuTimeout }, async () => {
    const [wasm, webgpu] = await onBoth(sums, { states: sumStates }, async (session) => {
      const seen: Tensors[] = [];
      for (let run = 1; run <= 3; run++) seen.push(await session.run({ x: row(run, -run, 5) }));
      const before = await session.state("older");
      await session.reset({ sum: row(1, 2, 3), newer: before });
      for (let run = 1; run <= 2; run++) seen.push(await session.run({ x: row(run, 0, 1) }));
      await session.reset();
      seen.push(await session.run({ x: row(1, 1, 1) }), { sum: await session.state("sum"), before });
      return seen;
    });
    expect(wasm?.at(-1)).toEqual({ sum: row(1, 1, 1), before: row(2, -2, 5) });
    expect(webgpu).toEqual(wasm);
  });

  test("states that grow are appended on the device, to their bound", { timeout: gpuTimeout }, async () => {
    const [wasm, webgpu] = await onBoth(caches, cacheOptions, async (session) => {
      const seen: Tensors[] = [];
      await session.reset({ "past.key": rows(0, 1), "past.value": rows(0, 1) });
      for (const first of [1, 3]) seen.push(await session.run({ x: rows(first, 2), mask: zeros(first + 2) }));
      const error = await session.run({ x: rows(5, 1), mask: zeros(6) }).catch((thrown: unknown) => thrown);
      expect(error instanceof LeafcutterError && error.code).toBe("state-full");
      seen.push({ value: await session.state("past.value") });
      return seen;
    });
    expect(wasm?.at(-1)).toEqual({ value: rows(0, 5) });
    expect(webgpu).toEqual(wasm);
  });
});
