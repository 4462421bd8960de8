/** The known answer of a quantised model: roundings that fall the other way pass, faults do not. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { expect, test } from "vitest";
import { compile } from "../../compiler/compile.ts";
import { fileSource } from "../../compiler/file-source.ts";
import { runSelfTest } from "../../runtime/engine/self-test.ts";
import { openWasmEngine } from "../../runtime/engine/wasm.ts";
import { contentOf } from "../../runtime/format/inflate.ts";
import type { FileReference, SelfTest } from "../../runtime/format/manifest.ts";
import type { Program } from "../../runtime/format/program.ts";

const path = resolve("../shared/models/squeezenet_v1.1_qdq/model.onnx");

async function opened() {
  const { files, manifest } = await compile(fileSource(path), { batchFromSample: true });
  const fileOf = (file: FileReference): Promise<Uint8Array> => contentOf(file, files.get(file.path) as Uint8Array);
  const program = JSON.parse(new TextDecoder().decode(await fileOf(manifest.program))) as Program;
  const module = manifest.modules.find(({ variant }) => variant === "wasm-simd") as FileReference;
  const engine = await openWasmEngine({ program, module: await fileOf(module) });
  let at = 0;
  for (const shard of manifest.shards) {
    engine.writeWeights(at, await fileOf(shard));
    at += shard.bytes;
  }
  return { engine, program, manifest, selfTest: manifest.selfTest as SelfTest };
}

/** Steps that read weights, each with where they are. */
function layersOf({ steps, memory: { weights } }: Program): readonly { readonly from: number; readonly to: number }[] {
  return steps.flatMap((step) => {
    if (step.kind !== "kernel" || !step.op.startsWith("leafcutter.Integer")) return [];
    const read = step.accesses.flatMap(({ start, bytes, mode }) =>
      mode === "read" && typeof start === "number" && typeof bytes === "number" && start < weights.start + weights.bytes
        ? [{ from: start - weights.start, to: start + bytes - weights.start }]
        : [],
    );
    const [largest] = read.toSorted((left, right) => right.to - right.from - (left.to - left.from));
    return largest && largest.from >= 0 ? [largest] : [];
  });
}

test.skipIf(!existsSync(path))(
  "its tolerance counts roundings, and finds a fault in any layer",
  async () => {
    const { engine, program, manifest, selfTest } = await opened();
    expect(manifest.weights?.[0]?.form).toBe("int8");
    expect(selfTest.rootMeanSquare).toBeGreaterThan(0.01);
    expect(selfTest.rootMeanSquare).toBeLessThanOrEqual(0.3);
    expect(await runSelfTest(selfTest, engine)).toBeUndefined();
    const layers = layersOf(program);
    expect(layers.length).toBeGreaterThan(20);
    const unseen: number[] = [];
    for (const [index, { from, to }] of layers.entries()) {
      const before = engine.weights.slice(from, to);
      // As of a kernel that starts a channel too late.
      engine.weights.set(before.subarray(0, before.length - 8), from + 8);
      if ((await runSelfTest(selfTest, engine)) === undefined) unseen.push(index);
      engine.weights.set(before, from);
    }
    expect(unseen).toEqual([]);
    expect(await runSelfTest(selfTest, engine)).toBeUndefined();
  },
  120_000,
);
