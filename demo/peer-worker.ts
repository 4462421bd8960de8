/**
 * onnxruntime-web in a worker of its own, at its best on one thread: the CPU-only build with SIMD, every graph
 * optimisation on. Its WASM (14 MB) is fetched when this worker starts.
 */
import { expose, transfer } from "comlink";
import * as ort from "onnxruntime-web/wasm";
import type { Tensor, TensorArray } from "../runtime/index.ts";
import { type Outcome, outcomeOf } from "./outcome.ts";

export interface PeerRun {
  readonly outputs: Readonly<Record<string, Tensor>>;
  /** Of `session.run` alone, inside the worker. */
  readonly milliseconds: number;
}

let session: ort.InferenceSession | undefined;

function toPeer({ dtype, data, shape }: Tensor): ort.Tensor {
  return new ort.Tensor(dtype as "float32", data as Float32Array, shape);
}

function fromPeer(tensor: ort.Tensor): Tensor {
  return { dtype: tensor.type as "float32", shape: tensor.dims, data: tensor.data as Float32Array };
}

async function run(inputs: Readonly<Record<string, Tensor>>): Promise<PeerRun> {
  if (session === undefined) throw new Error("no model is open");
  const feeds = Object.fromEntries(Object.entries(inputs).map(([name, tensor]) => [name, toPeer(tensor)]));
  const start = performance.now();
  const results = await session.run(feeds);
  const milliseconds = performance.now() - start;
  const outputs = Object.fromEntries(Object.entries(results).map(([name, tensor]) => [name, fromPeer(tensor)]));
  return { outputs, milliseconds };
}

const api = {
  /** Opens a model, with the contents of external data files by path. Resolves with the version. */
  open: (model: Uint8Array, externalData: readonly { readonly path: string; readonly data: Uint8Array }[]) =>
    outcomeOf(async (): Promise<string> => {
      ort.env.wasm.numThreads = 1;
      session = await ort.InferenceSession.create(model, {
        executionProviders: ["wasm"],
        graphOptimizationLevel: "all",
        externalData,
      });
      return ort.env.versions.web ?? ort.env.versions.common;
    }, "onnxruntime-web could not open the model"),

  run: (inputs: Readonly<Record<string, Tensor>>): Promise<Outcome<PeerRun>> =>
    outcomeOf(async () => {
      const result = await run(inputs);
      const buffers = new Set(
        Object.values(result.outputs).map(({ data }) => (data as TensorArray).buffer as ArrayBuffer),
      );
      return transfer(result, [...buffers]);
    }, "onnxruntime-web could not run the model"),
};

export type PeerApi = typeof api;

expose(api);
