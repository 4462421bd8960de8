/** Operators that keep all elements in order and change the shape: Reshape, Flatten, Squeeze, Unsqueeze, Identity of shapes. */
import { elementCount, tensorOf } from "../format/tensor.ts";
import { axisOf, inputOf, integersOf, numberOf, refuse } from "./call.ts";
import type { Reference } from "./reference.ts";
import { reshaped } from "./strided.ts";

/** 0 keeps an extent (unless allowzero), one -1 takes what is left. */
export const reshape: Reference = (call) => {
  const data = inputOf(call, 0);
  const wanted = integersOf(call, "shape", 1) ?? refuse("the shape is missing");
  const keepsZero = numberOf(call, "allowzero", 0) !== 0;
  const shape = wanted.map((extent, axis) =>
    extent === 0 && !keepsZero ? (data.shape[axis] ?? refuse("0 names an axis that the input does not have")) : extent,
  );
  const free = shape.indexOf(-1);
  const known = shape.reduce((product, extent) => (extent === -1 ? product : product * extent), 1);
  if (free >= 0) shape[free] = known === 0 ? 0 : data.data.length / known;
  if (elementCount(shape) !== data.data.length)
    refuse("the new shape has another number of elements", `${data.data.length} elements`, `[${shape.join(", ")}]`);
  return [reshaped(data, shape)];
};

export const flatten: Reference = (call) => {
  const data = inputOf(call, 0);
  const rank = data.shape.length;
  const axis = numberOf(call, "axis", 1);
  const split = axis < 0 ? axis + rank : axis;
  return [reshaped(data, [elementCount(data.shape.slice(0, split)), elementCount(data.shape.slice(split))])];
};

export const squeeze: Reference = (call) => {
  const data = inputOf(call, 0);
  const axes = integersOf(call, "axes", 1)?.map((axis) => axisOf(axis, data.shape.length));
  return [
    reshaped(
      data,
      data.shape.filter((extent, axis) => (axes ? !axes.includes(axis) : extent !== 1)),
    ),
  ];
};

export const unsqueeze: Reference = (call) => {
  const data = inputOf(call, 0);
  const axes = integersOf(call, "axes", 1) ?? refuse("the axes are missing");
  const rank = data.shape.length + axes.length;
  const inserted = new Set(axes.map((axis) => axisOf(axis, rank)));
  let next = 0;
  return [
    reshaped(
      data,
      Array.from({ length: rank }, (_, axis) => (inserted.has(axis) ? 1 : (data.shape[next++] as number))),
    ),
  ];
};

export const shape: Reference = (call) => {
  const data = inputOf(call, 0);
  const end = call.attributes.end;
  const part = data.shape.slice(numberOf(call, "start", 0), typeof end === "number" ? end : undefined);
  return [tensorOf("int64", [part.length], part)];
};

export const size: Reference = (call) => [tensorOf("int64", [], [inputOf(call, 0).data.length])];
