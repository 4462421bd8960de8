/** onnxruntime-web at its best: the CPU-only build, every graph optimisation, no worker but those of its threads. */
import type * as Onnxruntime from "onnxruntime-web";
import type { DType } from "../../runtime/format/dtype.ts";
import type { Tensor, TensorArray } from "../../runtime/format/tensor.ts";
import type { Tensors } from "../tensor-bundle.ts";
import type { OpenEngine } from "./engine.ts";

export type OnnxruntimeModule = typeof Onnxruntime;

/**
 * In a page: the CPU-only build that the bench's server gives, loaded as a page without a bundler loads it. The number
 * of threads is the module's: each has a module of its own.
 */
export async function importFromServer(base: string, threads: number): Promise<OnnxruntimeModule> {
  const address = `${base}/onnxruntime-web/ort.wasm.min.mjs?threads=${threads}`;
  const ort = (await import(/* @vite-ignore */ address)) as OnnxruntimeModule;
  ort.env.wasm.wasmPaths = `${base}/onnxruntime-web/`;
  ort.env.wasm.numThreads = threads;
  return ort;
}

/** Half precision is an array of its own where the platform has one. */
function toPeer(ort: OnnxruntimeModule, { dtype, data, shape }: Tensor): Onnxruntime.Tensor {
  const Half = (
    globalThis as { Float16Array?: new (buffer: ArrayBufferLike, offset: number, length: number) => unknown }
  ).Float16Array;
  const array = dtype === "float16" && Half !== undefined ? new Half(data.buffer, data.byteOffset, data.length) : data;
  return new ort.Tensor(dtype as "float32", array as Float32Array, [...shape]);
}

function fromPeer(tensor: Onnxruntime.Tensor): Tensor {
  const view = tensor.data as unknown as TensorArray;
  const data =
    tensor.type === "float16" ? new Uint16Array(view.buffer as ArrayBuffer, view.byteOffset, view.length) : view;
  return { dtype: tensor.type as DType, shape: [...tensor.dims], data } as Tensor;
}

/** Names of the model's inputs by those of `inputs`: the same name, else the same position. */
export function feedsOf(
  ort: OnnxruntimeModule,
  names: readonly string[],
  inputs: Tensors,
): Readonly<Record<string, Onnxruntime.Tensor>> {
  const given = Object.values(inputs);
  return Object.fromEntries(
    names.flatMap((name, index) => {
      const tensor = inputs[name] ?? given[index];
      return tensor === undefined ? [] : [[name, toPeer(ort, tensor)]];
    }),
  );
}

export function outputsOf(results: Onnxruntime.InferenceSession.ReturnType): Tensors {
  return Object.fromEntries(
    Object.entries(results).map(([name, value]) => [name, fromPeer(value as Onnxruntime.Tensor)]),
  );
}

export function createSession(
  ort: OnnxruntimeModule,
  model: Uint8Array,
  threads = 1,
): Promise<Onnxruntime.InferenceSession> {
  return ort.InferenceSession.create(model, {
    executionProviders: ["wasm"],
    graphOptimizationLevel: "all",
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
  });
}

export async function openOnnxruntime(
  ort: OnnxruntimeModule,
  model: Uint8Array,
  inputs: Tensors,
  threads: number,
): Promise<OpenEngine> {
  const session = await createSession(ort, model, threads);
  const feeds = feedsOf(ort, session.inputNames, inputs);
  return {
    engine: "onnxruntime-web",
    variant: "wasm",
    threads,
    run: () => session.run(feeds),
    outputs: async () => outputsOf(await session.run(feeds)),
    dispose: () => session.release(),
  };
}
