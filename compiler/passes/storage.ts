/**
 * What becomes of the stored form of a constant whose elements move or are scaled: scales follow the axis that they
 * belong to. undefined, a plain float32 constant, where no single axis of the result has them.
 */
import type { Tensor } from "../../runtime/format/tensor.ts";
import { blockShape } from "../graph/blocks.ts";
import type { Int8Storage, Storage } from "../graph/graph.ts";
import { alongAxis, integersOf, storedTensor } from "../graph/int8-storage.ts";
import { permuted } from "./tensor-transform.ts";

const productOf = (extents: readonly number[]): number => extents.reduce((product, extent) => product * extent, 1);

/** What does not depend on the place of an element. */
export const placelessStorage = (storage: Storage | undefined): Storage | undefined =>
  storage?.kind === "float16" ? storage : undefined;

/** Axis i of the result is axis permutation[i] of the constant of shape `from`. */
export function permutedStorage(
  storage: Storage | undefined,
  from: readonly number[],
  permutation: readonly number[],
): Storage | undefined {
  if (!storage || storage.kind === "float16") return storage;
  const axis = permutation.indexOf(storage.axis);
  if (storage.kind === "int8") return { ...storage, axis };
  const shape = blockShape(from, storage);
  const moved = (dtype: "float32" | "uint8", data: Float32Array | Uint8Array): Tensor["data"] =>
    permuted({ dtype, shape, data } as Tensor, permutation).data;
  const scales = moved("float32", storage.scales) as Float32Array;
  const zeros = storage.zeros && (moved("uint8", storage.zeros) as Uint8Array);
  return { ...storage, axis, scales, ...(zeros ? { zeros } : {}) };
}

/** The same elements, in the same order, under another shape. */
export function reshapedStorage(
  storage: Storage | undefined,
  from: readonly number[],
  to: readonly number[],
): Storage | undefined {
  if (!storage || storage.kind === "float16") return storage;
  const before = productOf(from.slice(0, storage.axis));
  const axis = to.findIndex(
    (extent, index) => extent === from[storage.axis] && productOf(to.slice(0, index)) === before,
  );
  if (axis >= 0) return { ...storage, axis };
  if (storage.kind !== "int8") return undefined;
  return to.length === 0 ? undefined : alongAxis({ ...storage, axis: -1 }, 0, to[0] as number);
}

/** Every index i along `axis` times factor(i): other scales for the same integers. */
export function scaledConstant(
  tensor: Tensor,
  storage: Storage | undefined,
  axis: number,
  factor: (index: number) => number,
): { readonly tensor: Tensor; readonly storage: Int8Storage } | undefined {
  const along = storage?.kind === "int8" ? alongAxis(storage, axis, tensor.shape[axis] ?? 1) : undefined;
  if (!along) return undefined;
  const scaled: Int8Storage = { ...along, scales: along.scales.map((scale, index) => scale * factor(index)) };
  return { tensor: storedTensor(tensor.shape, integersOf(tensor, along), scaled), storage: scaled };
}
