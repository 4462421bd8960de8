/**
 * TensorScatter: a cache [batch, …] with an update stored along `axis` from a position of each batch on; "circular"
 * continues at the start, otherwise positions behind the end fall on the last one.
 */
import { axisOf, inputOf, numberOf, textOf } from "./call.ts";
import { numbersOf } from "./numbers.ts";
import type { Reference } from "./reference.ts";
import { eachStrided, reshaped, stridesOf } from "./strided.ts";

export const tensorScatter: Reference = (call) => {
  const [cache, update] = [inputOf(call, 0), inputOf(call, 1)];
  const starts = call.inputs[2] && numbersOf(call.inputs[2]);
  const axis = axisOf(numberOf(call, "axis", -2), cache.shape.length);
  const circular = textOf(call, "mode", "linear") === "circular";
  const extent = cache.shape[axis] ?? 1;
  const strides = stridesOf(cache.shape);
  const own = stridesOf(update.shape);
  const result = reshaped(cache, cache.shape);
  eachStrided(update.shape, own, 0, (flat) => {
    const coordinates = own.map((stride, at) => Math.floor(flat / stride) % (update.shape[at] as number));
    const position = (coordinates[axis] as number) + (starts?.[coordinates[0] as number] ?? 0);
    coordinates[axis] = circular ? position % extent : Math.max(0, Math.min(position, extent - 1));
    const to = coordinates.reduce((sum, index, at) => sum + index * (strides[at] as number), 0);
    result.data[to] = update.data[flat] as never;
  });
  return [result];
};
