/** One array that holds many samples along its first axis, as data sets are saved, taken apart. */
import { elementCount, type Tensor } from "../../../runtime/format/tensor.ts";
import type { Dim } from "../../graph/dimension.ts";
import type { SamplePort } from "./sample-set.ts";

/**
 * The parts of `tensor` that fit the input: the tensor itself when its shape does, else slices of the batch that the input
 * takes (or 1), also where the file leaves the batch axis out. A tensor that does not fit comes back as it is.
 */
export function splitStack(tensor: Tensor, { type }: SamplePort): readonly Tensor[] {
  const { shape, data } = tensor;
  const isRow = shape.length === type.shape.length - 1 && (typeof type.shape[0] !== "number" || type.shape[0] === 1);
  const fitsRow = isRow && shape.every((extent, axis) => matches(type.shape[axis + 1], extent));
  if (fitsRow) return [{ ...tensor, shape: [1, ...shape] } as Tensor];
  const sameRank = shape.length === type.shape.length;
  const [batch] = type.shape;
  const rows = !sameRank ? 1 : typeof batch === "number" ? batch : 1;
  const [count = 1, ...rest] = shape;
  const stacked = sameRank ? type.shape.slice(1) : type.shape.slice(type.shape.length - rest.length);
  const fits = stacked.every((extent, axis) => matches(extent, rest[axis]));
  const missesBatch = shape.length === type.shape.length + 1 || (sameRank && count !== rows);
  if (!fits || !missesBatch || rows === 0 || count % rows !== 0) return [tensor];
  const partShape = sameRank ? [rows, ...rest] : rest;
  const length = elementCount(partShape);
  return Array.from(
    { length: count / rows },
    (_, index) => ({ ...tensor, shape: partShape, data: data.slice(index * length, (index + 1) * length) }) as Tensor,
  );
}

const matches = (wanted: Dim | undefined, extent: number | undefined): boolean =>
  typeof wanted !== "number" || wanted === extent;
