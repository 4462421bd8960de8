/**
 * tfjs on its WebAssembly backend (SIMD, one thread), for a twin of the model in tfjs's own format. A twin may carry
 * other names and channels last: tensors are matched by name, else by position, and laid out as the twin wants them.
 */
import type * as Tfjs from "@tensorflow/tfjs";
import type { DType } from "../../runtime/format/dtype.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import type { Tensors } from "../tensor-bundle.ts";
import type { OpenEngine } from "./engine.ts";

export type TfjsModule = typeof Tfjs;

/** @param wasmFolder where its modules lie, with a slash at the end: an address in a page, a path in Node. */
export async function importTfjs(wasmFolder: string): Promise<TfjsModule> {
  const tfjs = await import("@tensorflow/tfjs");
  const wasm = await import("@tensorflow/tfjs-backend-wasm");
  wasm.setWasmPaths(wasmFolder);
  // Its build with threads starts workers of its own, even for one thread.
  tfjs.env().set("WASM_HAS_MULTITHREAD_SUPPORT", false);
  await tfjs.setBackend("wasm");
  await tfjs.ready();
  return tfjs;
}

const channelsLast = [0, 2, 3, 1];
const channelsFirst = [0, 3, 1, 2];

const fits = (shape: readonly number[], wanted: readonly (number | null)[]): boolean =>
  shape.length === wanted.length && shape.every((extent, axis) => (wanted[axis] ?? -1) < 0 || wanted[axis] === extent);

/** `tensor` in the shape that is wanted: as it is, with its channels moved, or only reshaped. */
function arrange(tfjs: TfjsModule, tensor: Tfjs.Tensor, wanted: readonly (number | null)[] | undefined): Tfjs.Tensor {
  if (wanted === undefined || fits(tensor.shape, wanted)) return tensor;
  for (const order of [channelsLast, channelsFirst]) {
    if (tensor.rank !== 4) break;
    const moved = order.map((axis) => tensor.shape[axis] ?? 0);
    if (fits(moved, wanted)) return tfjs.transpose(tensor, order);
  }
  return tfjs.reshape(
    tensor,
    wanted.map((extent) => (extent === null ? -1 : extent)),
  );
}

function toPeer(tfjs: TfjsModule, { dtype, data, shape }: Tensor): Tfjs.Tensor {
  const isInteger = dtype !== "float32" && dtype !== "float64";
  const values = isInteger
    ? Int32Array.from(data as ArrayLike<number | bigint>, Number)
    : Float32Array.from(data as Float32Array);
  return tfjs.tensor(values, [...shape], isInteger ? "int32" : "float32");
}

type Model = Tfjs.GraphModel | Tfjs.LayersModel;

async function openModel(tfjs: TfjsModule, address: string): Promise<Model> {
  const { format } = (await (await fetch(address)).json()) as { readonly format?: string };
  return format === "layers-model" ? tfjs.loadLayersModel(address) : tfjs.loadGraphModel(address);
}

/** Synchronous where the model allows it, which is faster; models with control flow do not. */
async function predictorOf(model: Model, feeds: readonly Tfjs.Tensor[]): Promise<() => Promise<Tfjs.Tensor[]>> {
  const given = feeds.length === 1 ? (feeds[0] as Tfjs.Tensor) : [...feeds];
  const listOf = (result: unknown): Tfjs.Tensor[] => {
    if (Array.isArray(result)) return result as Tfjs.Tensor[];
    const single = result as Tfjs.Tensor | Tfjs.NamedTensorMap;
    return "dataSync" in single ? [single as Tfjs.Tensor] : Object.values(single as Tfjs.NamedTensorMap);
  };
  const synchronous = async (): Promise<Tfjs.Tensor[]> => listOf(model.predict(given));
  try {
    for (const tensor of await synchronous()) tensor.dispose();
    return synchronous;
  } catch (error) {
    if (!("predictAsync" in model)) throw error;
    return async () => listOf(await model.predictAsync(given));
  }
}

type Values = Awaited<ReturnType<Tfjs.Tensor["data"]>>;

/** Sum of squared differences: twins have lost their outputs' names, so those of one size are told apart by content. */
function distanceOf(values: Values, reference: ArrayLike<number | bigint>): number {
  let sum = 0;
  for (let i = 0; i < reference.length; i++) sum += (Number(values[i]) - Number(reference[i])) ** 2;
  return sum;
}

/** @param outputs the outputs of the original model, whose names, types and shapes the twin's are put into; without them the twin's own. */
export async function openTfjs(
  tfjs: TfjsModule,
  address: string,
  inputs: Tensors,
  outputs: Tensors | undefined,
): Promise<OpenEngine> {
  const model = await openModel(tfjs, address);
  const given = Object.entries(inputs);
  const feeds = model.inputs.map((port, index) => {
    const name = port.name.replace(/:\d+$/, "");
    const tensor = (given.find(([key]) => key.replace(/:\d+$/, "") === name) ?? given[index])?.[1];
    if (tensor === undefined) throw new Error(`the twin's input ${port.name} has no tensor`);
    return arrange(tfjs, toPeer(tfjs, tensor), port.shape ?? undefined);
  });
  const predict = await predictorOf(model, feeds);
  const run = async (): Promise<void> => {
    for (const tensor of await predict()) {
      await tensor.data();
      tensor.dispose();
    }
  };
  const read = async (): Promise<Tensors> => {
    const results = await predict();
    const free = new Set(results);
    const entries: [string, Tensor][] = [];
    for (const [index, tensor] of outputs === undefined ? results.entries() : []) {
      const dtype = tensor.dtype === "int32" ? "int32" : "float32";
      entries.push([
        model.outputs[index]?.name ?? `${index}`,
        { dtype, shape: tensor.shape, data: await tensor.data() } as Tensor,
      ]);
    }
    for (const [name, { dtype, shape, data }] of Object.entries(outputs ?? {})) {
      let nearest: { readonly tensor: Tfjs.Tensor; readonly values: Values; readonly distance: number } | undefined;
      for (const tensor of free) {
        if (tensor.size !== data.length) continue;
        const values = await arrange(tfjs, tensor, shape).data();
        const distance = distanceOf(values, data);
        if (nearest === undefined || distance < nearest.distance) nearest = { tensor, values, distance };
      }
      if (nearest === undefined) continue;
      free.delete(nearest.tensor);
      entries.push([name, { dtype: dtype as DType, shape, data: nearest.values } as Tensor]);
    }
    for (const tensor of results) tensor.dispose();
    return Object.fromEntries(entries);
  };
  return {
    engine: "tfjs",
    variant: "wasm-simd",
    threads: 1,
    run,
    outputs: read,
    dispose: async () => void model.dispose(),
  };
}
