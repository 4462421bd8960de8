/** A consumer in strict TypeScript: every public entry, with the types that it promises. */
import {
  LeafcutterError,
  type LocalSession,
  load,
  type PreparedModel,
  prepare,
  type Session,
  type Tensor,
} from "leafcutter";
import { compile, type Package, urlSource } from "leafcutter/compiler";
import * as ort from "leafcutter/ort";
import { instantiate } from "leafcutter/worklet";

export async function classify(pixels: Float32Array): Promise<Tensor> {
  const session: Session = await load(new URL("https://example.com/digits"), { backend: "auto", cache: false });
  const { logits } = await session.run({ image: { data: pixels, shape: [1, 1, 28, 28] } });
  if (logits === undefined) throw new LeafcutterError({ code: "internal", message: "no output" });
  await session.dispose();
  return logits;
}

export async function inThisThread(pixels: Float32Array): Promise<number | bigint | undefined> {
  const result: Package = await compile(urlSource(new URL("https://example.com/model.onnx")), { maxSize: 100_000 });
  const session: LocalSession = await load(Object.fromEntries(result.files), { worker: false });
  return session.runSync({ image: { data: pixels } }).logits?.data[0];
}

export async function prepared(): Promise<LocalSession> {
  const model: PreparedModel = await prepare("https://example.com/dtln", { backend: "wasm-simd" });
  return instantiate(model);
}

// @ts-expect-error a number is no address of a package
export const refused = load(7);

export async function asForOnnxRuntime(pixels: Float32Array): Promise<ort.Tensor.DataTypeMap["float32"]> {
  const options: ort.InferenceSession.SessionOptions = { executionProviders: ["webgpu", "wasm"] };
  const session: ort.InferenceSession = await ort.InferenceSession.create("/digits", options);
  const feeds = { image: new ort.Tensor("float32", pixels, [1, 1, 28, 28]) };
  const { logits } = await session.run(feeds);
  return logits?.data as Float32Array;
}
