/** Constants that are stored as int8 with scales along one axis: their integers, and the axis. */
import type { Tensor } from "../../runtime/format/tensor.ts";
import type { Int8Storage } from "./graph.ts";

const productOf = (extents: readonly number[]): number => extents.reduce((product, extent) => product * extent, 1);

/** One scale for all, however often it is repeated. */
export const isUniform = ({ scales }: Int8Storage): boolean => scales.every((scale) => scale === scales[0]);

/** The same storage with its scales along `axis`; only uniform scales can change their axis. */
export function alongAxis(storage: Int8Storage, axis: number, extent: number): Int8Storage | undefined {
  if (storage.axis === axis) return storage;
  const [scale] = storage.scales;
  if (scale === undefined || !isUniform(storage)) return undefined;
  return { kind: "int8", axis, scales: new Float32Array(extent).fill(scale) };
}

/** The integers behind a constant stored as int8. */
export function integersOf(tensor: Tensor, { axis, scales }: Int8Storage): Int8Array {
  const inner = productOf(tensor.shape.slice(axis + 1));
  const count = tensor.shape[axis] ?? 1;
  const integers = new Int8Array(tensor.data.length);
  for (let flat = 0; flat < integers.length; flat++) {
    const scale = scales[Math.floor(flat / inner) % count] as number;
    integers[flat] = scale === 0 ? 0 : Math.round((tensor.data[flat] as number) / scale);
  }
  return integers;
}

/** The float32 constant that these integers and scales stand for. */
export function storedTensor(shape: readonly number[], integers: ArrayLike<number>, storage: Int8Storage): Tensor {
  const inner = productOf(shape.slice(storage.axis + 1));
  const count = shape[storage.axis] ?? 1;
  const data = new Float32Array(integers.length);
  for (let flat = 0; flat < data.length; flat++)
    data[flat] = (integers[flat] as number) * (storage.scales[Math.floor(flat / inner) % count] as number);
  return { dtype: "float32", shape, data };
}
