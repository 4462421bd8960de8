/**
 * leafcutter/ort by the types of onnxruntime-web: what is written against those takes what this gives (checked by the
 * compiler), on a package on disk. The ONNX models are in test/project/consumers.node.test.ts, in a real page.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type * as ort from "onnxruntime-web";
import { afterAll, beforeAll, expect, test } from "vitest";
import { env, InferenceSession, Tensor } from "../../runtime/ort.ts";
import { expectedOutput, tinyPackage, width } from "./tiny-package.ts";

/** The part of onnxruntime-web that pages use, by its own types. */
const library: Pick<typeof ort, "InferenceSession" | "Tensor"> = { InferenceSession, Tensor };
const environment: Pick<ort.Env, "wasm" | "logLevel" | "debug" | "versions"> = env;

let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "leafcutter-ort-"));
  for (const [path, bytes] of Object.entries(await tinyPackage())) writeFileSync(join(folder, path), bytes);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const x = Float32Array.from({ length: 2 * width }, (_, index) => (index % 7) - 3);

/** Code that knows onnxruntime-web alone. */
async function page({ InferenceSession, Tensor }: typeof library, address: string): Promise<ort.Tensor> {
  const session: ort.InferenceSession = await InferenceSession.create(address, { executionProviders: ["wasm"] });
  const input: ort.TypedTensor<"float32"> = new Tensor("float32", x, [2, width]);
  const { y }: ort.InferenceSession.ReturnType = await session.run({ x: input }, { tag: "test" });
  expect(session.inputMetadata).toEqual([{ name: "x", isTensor: true, type: "float32", shape: ["batch", width] }]);
  await session.release();
  if (y === undefined) throw new Error("no output");
  return y;
}

test("code for onnxruntime-web runs a package, from its folder and from its manifest", async () => {
  environment.wasm.numThreads = 1;
  for (const address of [folder, `${folder}/`, join(folder, "manifest.json")]) {
    const y = await page(library, address);
    expect([y.type, y.dims, y.size, y.location]).toEqual(["float32", [2, width], 2 * width, "cpu"]);
    expect(y.data).toEqual(expectedOutput(x));
  }
});

test("fetches choose outputs by name or by the tensor to fill", async () => {
  const session = await InferenceSession.create(folder);
  const feeds = { x: new Tensor(x, [2, width]) };
  const place = new Tensor("float32", new Float32Array(2 * width), [2, width]);
  expect((await session.run(feeds, { y: place })).y).toBe(place);
  expect(place.data).toEqual(expectedOutput(x));
  expect(Object.keys(await session.run(feeds, ["y"]))).toEqual(["y"]);
  expect(Object.keys(await session.run(feeds, { y: null }))).toEqual(["y"]);
  await expect(session.run(feeds, ["z"])).rejects.toMatchObject({ code: "option-invalid" });
  await expect(session.run(feeds, { y: new Tensor(x, [width, 2]) })).rejects.toThrow(
    /float32 \[2, 8\].*float32 \[8, 2\]/s,
  );
  await expect(session.run({})).rejects.toMatchObject({ code: "input-missing" });
  await expect(session.run({ x: new Tensor("int32", [1], [1]) })).rejects.toMatchObject({ code: "input-dtype" });
  await expect(session.run({ x: new Tensor(["a"]) })).rejects.toMatchObject({ code: "option-invalid" });
  await expect(session.run(feeds, { terminate: true })).rejects.toMatchObject({ code: "option-invalid" });
  await session.release();
  await expect(session.run(feeds)).rejects.toMatchObject({ code: "disposed" });
});

test("what cannot be honoured is refused, the rest is accepted", async () => {
  const refused: readonly InferenceSession.SessionOptions[] = [
    { executionProviders: ["webnn"] },
    { optimizedModelFilePath: "model.ort" },
    { preferredOutputLocation: "gpu-buffer" },
    { preferredOutputLocation: { y: "ml-tensor" } },
  ];
  for (const options of refused) {
    await expect(InferenceSession.create(folder, options)).rejects.toMatchObject({ code: "option-invalid" });
  }
  const accepted: InferenceSession.SessionOptions = {
    executionProviders: ["webnn", { name: "webgpu" }, "wasm"],
    graphOptimizationLevel: "all",
    intraOpNumThreads: 4,
    preferredOutputLocation: "cpu",
    extra: { session: { set_denormal_as_zero: "1" }, leafcutter: { cache: false } },
  };
  await (await InferenceSession.create(folder, accepted)).release();
  await expect(InferenceSession.create("model.onnx")).rejects.toMatchObject({ code: "feature-missing" });
});

test("a tensor is made of every kind of data that it may hold", () => {
  expect(new Tensor("int64", [1, 2n as never, 3]).data).toEqual(BigInt64Array.of(1n, 2n, 3n));
  expect(new Tensor("bool", [true, false]).data).toEqual(Uint8Array.of(1, 0));
  expect(new Tensor([true, false]).type).toBe("bool");
  expect(new Tensor(Uint8ClampedArray.of(1, 2)).data).toEqual(Uint8Array.of(1, 2));
  expect(new Tensor("float16", Uint16Array.of(0x3c00)).data).toEqual(Uint16Array.of(0x3c00));
  expect(new Tensor("uint8", [1, 2, 3, 4], [2, 2]).dims).toEqual([2, 2]);
  expect(new Tensor(["a", "b"])).toMatchObject({ type: "string", dims: [2] });
  expect(Tensor.fromPinnedBuffer("float32", Float32Array.of(1), [1, 1]).dims).toEqual([1, 1]);
  const data = Float32Array.of(1, 2, 3, 4);
  const tensor = new Tensor(data, [4]);
  expect(tensor.reshape([2, 2]).data).toBe(data);
  expect(() => tensor.reshape([3])).toThrow(/option-invalid/);
});

test("a tensor of the wrong data, and what is not in memory, is refused", async () => {
  expect(() => new Tensor("float32", Int32Array.of(1) as never)).toThrow(/a Float32Array for float32.*Int32Array/s);
  expect(() => new Tensor("float32", [1, 2], [3])).toThrow(/3 elements/);
  expect(() => new Tensor("complex" as never, [1])).toThrow(/option-invalid/);
  expect(() => new Tensor(Float32Array.of(1), [-1])).toThrow(/option-invalid/);
  const tensor = new Tensor(Float32Array.of(1));
  for (const property of ["texture", "gpuBuffer", "mlTensor"] as const)
    expect(() => tensor[property]).toThrow(/has no/);
  expect(() => tensor.toImageData()).toThrow(/has no/);
  await expect(Tensor.fromImage()).rejects.toThrow(/has no/);
  expect(await tensor.getData(true)).toEqual(Float32Array.of(1));
  expect(tensor.location).toBe("none");
  expect(() => tensor.data).toThrow(/disposed/);
});
