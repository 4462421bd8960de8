/**
 * Real models with states: a language model decoding from an empty cache says what onnxruntime-web says with the cache
 * passed from run to run, a denoiser's blocks follow from each other. And one package for a range of lengths.
 */
import { existsSync } from "node:fs";
import { InferenceSession, Tensor as PeerTensor } from "onnxruntime-web";
import { describe, expect, test } from "vitest";
import { type CompileOptions, compile, type Package } from "../../compiler/compile.ts";
import { fileSource } from "../../compiler/file-source.ts";
import { bytesSource } from "../../compiler/import/source.ts";
import { fillRandom } from "../../runtime/format/random.ts";
import { type Tensor, zeros } from "../../runtime/format/tensor.ts";
import { type LocalSession, load } from "../../runtime/index.ts";
import { modelBytes } from "../import/onnx-writer.ts";
import { difference } from "../ops/compare.ts";

const open = ({ files }: Package): Promise<LocalSession> => load(Object.fromEntries(files), { worker: false });
const modelFile = (name: string): string => `../shared/models/${name}/model.onnx`;
const absent = (name: string): boolean => !existsSync(modelFile(name));

function random(shape: readonly number[], seed: number): Tensor {
  const tensor = zeros("float32", shape);
  fillRandom("float32", tensor.data, seed);
  return tensor;
}

const tokens = 48;
/** The token of the largest logit. */
function largest(logits: Float32Array): number {
  return logits.reduce((best, value, index) => (value > (logits[best] ?? 0) ? index : best), 0);
}

/** Greedy decoding from token 1. */
async function decode(next: (token: bigint, position: bigint, mask: BigInt64Array) => Promise<Float32Array>) {
  const ids = [1];
  for (let position = 0; position < tokens; position++) {
    const mask = new BigInt64Array(position + 1).fill(1n);
    ids.push(largest(await next(BigInt(ids.at(-1) ?? 0), BigInt(position), mask)));
  }
  return ids;
}

/** The same with a cache that the caller passes from run to run. */
async function decodeWithPeer(): Promise<readonly number[]> {
  const peer = await InferenceSession.create(modelFile("stories260K_kv"));
  const names = peer.inputNames.filter((name) => name.startsWith("past_key_values."));
  let cache: Record<string, PeerTensor> = Object.fromEntries(
    names.map((name) => [name, new PeerTensor("float32", [], [1, 4, 0, 8])]),
  );
  return decode(async (token, position, mask) => {
    const outputs = await peer.run({
      ...cache,
      input_ids: new PeerTensor("int64", [token], [1, 1]),
      position_ids: new PeerTensor("int64", [position], [1, 1]),
      attention_mask: new PeerTensor("int64", mask, [1, mask.length]),
    });
    cache = Object.fromEntries(
      names.map((name) => [name, outputs[name.replace("past_key_values", "present")] as PeerTensor]),
    );
    return outputs.logits?.data as Float32Array;
  });
}

describe.skipIf(absent("stories260K_kv"))("stories260K_kv, skipped without ../shared/models", () => {
  test("tells the same story with its cache in the session", { timeout: 120_000 }, async () => {
    const session = await open(
      await compile(fileSource(modelFile("stories260K_kv")), {
        states: { "past_key_values.*": "present.*" },
        dims: { past: { lower: 0, upper: tokens - 1 }, seq: 1, total: "past + seq" },
      }),
    );
    expect(session.inputs.map(({ name }) => name)).toEqual(["input_ids", "position_ids", "attention_mask"]);
    expect(session.states).toHaveLength(10);
    const own = (): Promise<readonly number[]> =>
      decode(async (token, position, mask) => {
        const { logits } = session.runSync({
          input_ids: { data: BigInt64Array.of(token) },
          position_ids: { data: BigInt64Array.of(position) },
          attention_mask: { data: mask },
        });
        return logits?.data as Float32Array;
      });
    const story = await own();
    expect(story).toEqual(await decodeWithPeer());
    session.resetSync();
    expect(await own()).toEqual(story);
    await session.dispose();
  });
});

describe.skipIf(absent("dtln_2"))("dtln_2, skipped without ../shared/models", () => {
  test("gives every block what it gives with its state passed from run to run", { timeout: 120_000 }, async () => {
    const source = fileSource(modelFile("dtln_2"));
    const kept = await open(await compile(source, { states: { input_5: "tf_op_layer_stack_5" } }));
    const plain = await open(await compile(source));
    let state: Tensor = zeros("float32", [1, 2, 128, 2]);
    for (let block = 0; block < 4; block++) {
      const input_4 = random([1, 1, 512], block + 1);
      const expected = await plain.run({ input_4, input_5: state });
      expect(await kept.run({ input_4 })).toEqual({ conv1d_3: expected.conv1d_3 });
      state = expected.tf_op_layer_stack_5 as Tensor;
      expect(await kept.state("input_5")).toEqual(state);
    }
    await Promise.all([kept.dispose(), plain.dispose()]);
  });
});

test("one package serves every length of a range as packages for each length do", { timeout: 120_000 }, async () => {
  const model = bytesSource(
    "attention.onnx",
    modelBytes({
      nodes: [
        { op: "MatMul", inputs: ["x", "w"], outputs: ["q"] },
        { op: "Transpose", inputs: ["x"], outputs: ["k"], attributes: { perm: { ints: [0, 2, 1] } } },
        { op: "MatMul", inputs: ["q", "k"], outputs: ["scores"] },
        { op: "Add", inputs: ["scores", "mask"], outputs: ["masked"] },
        { op: "Softmax", inputs: ["masked"], outputs: ["weights"], attributes: { axis: { i: -1 } } },
        { op: "MatMul", inputs: ["weights", "x"], outputs: ["y"] },
      ],
      initializers: [{ name: "w", dims: [8, 8], type: 1, floats: [...(random([8, 8], 5).data as Float32Array)] }],
      inputs: [
        { name: "x", dims: [1, "length", 8] },
        { name: "mask", dims: [1, 1, "length"] },
      ],
      outputs: ["y"],
      opset: 17,
    }),
  );
  const build = (length: NonNullable<CompileOptions["dims"]>[string]): Promise<LocalSession> =>
    compile(model, { dims: { length } }).then(open);
  const all = await build({ lower: 1, upper: 512 });
  for (const length of [1, 512, 7, 128]) {
    const inputs = { x: random([1, length, 8], length), mask: random([1, 1, length], length + 1) };
    const one = await build(length);
    const [received, expected] = [all.runSync(inputs).y, one.runSync(inputs).y];
    expect(difference(received, expected as Tensor, { absolute: 1e-5, relative: 1e-5 })).toBeUndefined();
    await one.dispose();
  }
  const beyond = all.run({ x: random([1, 513, 8], 1), mask: random([1, 1, 513], 1) });
  await expect(beyond).rejects.toMatchObject({ code: "input-shape" });
  await all.dispose();
});
