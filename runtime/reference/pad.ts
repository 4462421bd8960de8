/** Pad: constant, edge, reflect and wrap, with negative pads that cut elements away. */
import { elementCount, zeros } from "../format/tensor.ts";
import { axisOf, inputOf, integersOf, numberOf, refuse, textOf } from "./call.ts";
import { tensorOfNumbers } from "./numbers.ts";
import type { Reference } from "./reference.ts";
import { stridesOf } from "./strided.ts";

/** Source index of the element `distance` behind the first one; -1 for the constant border. */
function sourceIndex(mode: string, distance: number, extent: number): number {
  switch (mode) {
    case "constant":
      return distance >= 0 && distance < extent ? distance : -1;
    case "edge":
      return Math.min(Math.max(distance, 0), extent - 1);
    case "wrap":
      return distance - Math.floor(distance / extent) * extent;
    case "reflect": {
      if (extent === 1) return 0;
      const period = 2 * (extent - 1);
      const phase = distance - Math.floor(distance / period) * period;
      return Math.min(phase, period - phase);
    }
    default:
      return refuse("the mode is not known", "constant, edge, reflect or wrap", mode);
  }
}

export const pad: Reference = (call) => {
  const data = inputOf(call, 0);
  const { shape, dtype } = data;
  const mode = textOf(call, "mode", "constant");
  const pads = integersOf(call, "pads", 1) ?? refuse("the pads are missing");
  const axes = integersOf(call, "axes", 3)?.map((axis) => axisOf(axis, shape.length)) ?? shape.map((_, axis) => axis);
  const before = shape.map((_, axis) => pads[axes.indexOf(axis)] ?? 0);
  const padded = shape.map((extent, axis) => {
    const i = axes.indexOf(axis);
    return i < 0 ? extent : extent + (pads[i] as number) + (pads[i + axes.length] as number);
  });
  const result = zeros(dtype, padded);
  const value = call.inputs[2] ?? tensorOfNumbers(dtype, [], [numberOf(call, "value", 0)]);
  const tables = padded.map((extent, axis) =>
    Array.from({ length: extent }, (_, i) => sourceIndex(mode, i - (before[axis] as number), shape[axis] as number)),
  );
  const [own, strides] = [stridesOf(padded), stridesOf(shape)];
  for (let flat = 0; flat < elementCount(padded); flat++) {
    let from = 0;
    for (let axis = 0; axis < padded.length && from >= 0; axis++) {
      const index = tables[axis]?.[Math.floor(flat / (own[axis] as number)) % (padded[axis] as number)] ?? -1;
      from = index < 0 ? -1 : from + index * (strides[axis] as number);
    }
    result.data[flat] = (from < 0 ? value.data[0] : data.data[from]) as never;
  }
  return [result];
};
