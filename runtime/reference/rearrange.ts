/** Operators that copy elements by a fixed pattern: Transpose, Concat, Split, Slice, Expand, Tile, DepthToSpace, SpaceToDepth. */
import { type Tensor, zeros } from "../format/tensor.ts";
import { broadcastShapes } from "./broadcast.ts";
import { axisOf, inputOf, integersOf, listOf, numberOf, refuse, textOf } from "./call.ts";
import type { Reference, ReferenceCall } from "./reference.ts";
import { eachStrided, reshaped, strided, stridesOf } from "./strided.ts";

/** Output axis i is input axis permutation[i]. */
export function permuted(data: Tensor, permutation: readonly number[]): Tensor {
  const strides = stridesOf(data.shape);
  return strided(
    data,
    permutation.map((axis) => data.shape[axis] as number),
    permutation.map((axis) => strides[axis] as number),
  );
}

export const transpose: Reference = (call) => {
  const data = inputOf(call, 0);
  return [permuted(data, listOf(call, "perm") ?? data.shape.map((_, axis) => data.shape.length - 1 - axis))];
};

export const concat: Reference = (call) => {
  const parts = call.inputs.filter((part) => part !== undefined);
  const first = inputOf(call, 0);
  const axis = axisOf(numberOf(call, "axis", 1), first.shape.length);
  const total = parts.reduce((sum, part) => sum + (part.shape[axis] as number), 0);
  const result = zeros(
    first.dtype,
    first.shape.map((extent, i) => (i === axis ? total : extent)),
  );
  const strides = stridesOf(result.shape);
  let offset = 0;
  for (const part of parts) {
    eachStrided(part.shape, strides, offset, (to, from) => {
      result.data[to] = part.data[from] as never;
    });
    offset += (part.shape[axis] as number) * (strides[axis] as number);
  }
  return [result];
};

export const split: Reference = (call) => {
  const data = inputOf(call, 0);
  const axis = axisOf(numberOf(call, "axis", 0), data.shape.length);
  const extent = data.shape[axis] as number;
  const count = numberOf(call, "num_outputs", call.outputCount);
  const part = Math.ceil(extent / count);
  const parts =
    integersOf(call, "split", 1) ??
    Array.from({ length: count }, (_, i) => Math.max(0, Math.min(part, extent - i * part)));
  const strides = stridesOf(data.shape);
  let start = 0;
  return parts.map((length) => {
    const offset = start * (strides[axis] as number);
    start += length;
    return strided(
      data,
      data.shape.map((own, i) => (i === axis ? length : own)),
      strides,
      offset,
    );
  });
};

/** First index, step and length of a slice along an axis of `extent`; negative bounds count from the end, others are clamped. */
function sliceRange(
  start: number,
  end: number,
  step: number,
  extent: number,
): readonly [first: number, length: number] {
  const clamp = (bound: number, low: number, high: number): number =>
    Math.min(Math.max(bound < 0 ? bound + extent : bound, low), high);
  if (step > 0) {
    const first = clamp(start, 0, extent);
    return [first, Math.max(0, Math.ceil((clamp(end, 0, extent) - first) / step))];
  }
  const first = clamp(start, 0, extent - 1);
  return [first, Math.max(0, Math.ceil((clamp(end, -1, extent - 1) - first) / step))];
}

export const slice: Reference = (call) => {
  const data = inputOf(call, 0);
  const starts = integersOf(call, "starts", 1) ?? refuse("the starts are missing");
  const ends = integersOf(call, "ends", 2) ?? refuse("the ends are missing");
  const axes = integersOf(call, "axes", 3) ?? starts.map((_, axis) => axis);
  const steps = integersOf(call, "steps", 4) ?? starts.map(() => 1);
  const shape = [...data.shape];
  const strides = [...stridesOf(data.shape)];
  let offset = 0;
  axes.forEach((named, i) => {
    const axis = axisOf(named, shape.length);
    const step = steps[i] ?? 1;
    const [first, length] = sliceRange(starts[i] as number, ends[i] as number, step, data.shape[axis] as number);
    offset += first * (strides[axis] as number);
    shape[axis] = length;
    strides[axis] = (strides[axis] as number) * step;
  });
  return [strided(data, shape, strides, offset)];
};

export const expand: Reference = (call) => {
  const data = inputOf(call, 0);
  const shape = broadcastShapes(data.shape, integersOf(call, "shape", 1) ?? refuse("the shape is missing"));
  const own = stridesOf(data.shape);
  const missing = shape.length - data.shape.length;
  return [
    strided(
      data,
      shape,
      shape.map((_, axis) => ((data.shape[axis - missing] ?? 1) === 1 ? 0 : (own[axis - missing] as number))),
    ),
  ];
};

export const tile: Reference = (call) => {
  const data = inputOf(call, 0);
  const repeats = integersOf(call, "repeats", 1) ?? refuse("the repeats are missing");
  const strides = stridesOf(data.shape);
  const copied = strided(
    data,
    data.shape.flatMap((extent, axis) => [repeats[axis] ?? 1, extent]),
    strides.flatMap((stride) => [0, stride]),
  );
  return [
    reshaped(
      copied,
      data.shape.map((extent, axis) => extent * (repeats[axis] ?? 1)),
    ),
  ];
};

/** [N, C, H, W] of an operand in either layout. */
function blocks(call: ReferenceCall): {
  readonly data: Tensor;
  readonly last: boolean;
  readonly extents: readonly [number, number, number, number];
  readonly block: number;
} {
  const data = inputOf(call, 0);
  const last = textOf(call, "layout", "NCHW") === "NHWC";
  const [a = 0, b = 0, c = 0, d = 0] = data.shape;
  return { data, last, extents: last ? [a, d, b, c] : [a, b, c, d], block: numberOf(call, "blocksize", 1) };
}

/** In the channel of the input stand (block row, block column, output channel) in that order (DCR), or the output channel first (CRD). */
export const depthToSpace: Reference = (call) => {
  const {
    data,
    last,
    extents: [n, c, h, w],
    block,
  } = blocks(call);
  const depth = c / (block * block);
  const columnFirst = textOf(call, "mode", "DCR") === "CRD";
  const channel = columnFirst ? [depth, block, block] : [block, block, depth];
  const [row, column, out] = columnFirst ? [1, 2, 0] : [0, 1, 2];
  if (last) {
    const parts = reshaped(data, [n, h, w, ...channel]);
    return [reshaped(permuted(parts, [0, 1, 3 + row, 2, 3 + column, 3 + out]), [n, h * block, w * block, depth])];
  }
  const parts = reshaped(data, [n, ...channel, h, w]);
  return [reshaped(permuted(parts, [0, 1 + out, 4, 1 + row, 5, 1 + column]), [n, depth, h * block, w * block])];
};

/** Output channel = (block row * block + block column) * C + input channel. */
export const spaceToDepth: Reference = (call) => {
  const {
    data,
    last,
    extents: [n, c, h, w],
    block,
  } = blocks(call);
  const [rows, columns, depth] = [h / block, w / block, c * block * block];
  if (last)
    return [
      reshaped(permuted(reshaped(data, [n, rows, block, columns, block, c]), [0, 1, 3, 2, 4, 5]), [
        n,
        rows,
        columns,
        depth,
      ]),
    ];
  return [
    reshaped(permuted(reshaped(data, [n, c, rows, block, columns, block]), [0, 3, 5, 1, 2, 4]), [
      n,
      depth,
      rows,
      columns,
    ]),
  ];
};
