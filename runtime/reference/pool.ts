/**
 * Pooling over one to three spatial axes of [N, C, spatial…]: MaxPool (with Indices), AveragePool, LpPool and
 * their global forms. A window is clipped to the input; padding counts only for averages that say so.
 */
import { elementCount, type Tensor } from "../format/tensor.ts";
import { inputOf, listOf, numberOf, refuse } from "./call.ts";
import { numbersOf, tensorOfNumbers } from "./numbers.ts";
import type { Reference, ReferenceCall } from "./reference.ts";
import { outputExtents, type Spatial, slidingWindow } from "./spatial.ts";

/** What a window gives: `visit` per element inside (value, row-major position within the channel), then `finish`. */
export interface Collector {
  begin(): void;
  visit(value: number, position: number): void;
  /** `counted`: positions of the window inside the padded input. */
  finish(counted: number): number;
}

/** Slides `window` over every channel of `x`; `emit` is called after each output element with its flat channel. */
export function pooled(x: Tensor, window: Spatial, collector: Collector, emit?: (channel: number) => void): Tensor {
  const [batch = 1, channels = 1] = x.shape;
  const values = numbersOf(x);
  const shape = [batch, channels, ...outputExtents(window)];
  const result = new Float64Array(elementCount(shape));
  const { stride, dilation, before, after, kernel, output } = window;
  const [inputDepth, inputHeight, inputWidth] = window.input;
  const size = inputDepth * inputHeight * inputWidth;
  let at = 0;
  for (let channel = 0; channel < batch * channels; channel++)
    for (let od = 0; od < output[0]; od++)
      for (let oh = 0; oh < output[1]; oh++)
        for (let ow = 0; ow < output[2]; ow++) {
          let counted = 0;
          collector.begin();
          for (let kd = 0; kd < kernel[0]; kd++)
            for (let kh = 0; kh < kernel[1]; kh++)
              for (let kw = 0; kw < kernel[2]; kw++) {
                const d = od * stride[0] - before[0] + kd * dilation[0];
                const h = oh * stride[1] - before[1] + kh * dilation[1];
                const w = ow * stride[2] - before[2] + kw * dilation[2];
                if (d < inputDepth + after[0] && h < inputHeight + after[1] && w < inputWidth + after[2]) counted++;
                if (d < 0 || d >= inputDepth || h < 0 || h >= inputHeight || w < 0 || w >= inputWidth) continue;
                const position = (d * inputHeight + h) * inputWidth + w;
                collector.visit(values[channel * size + position]!, position);
              }
          result[at++] = collector.finish(counted);
          emit?.(channel);
        }
  return tensorOfNumbers(x.dtype, shape, result);
}

/** Largest element; NaN when one is NaN. */
export function maximumCollector(): Collector & { readonly position: () => number } {
  let best = Number.NEGATIVE_INFINITY;
  let where = -1;
  return {
    begin: () => {
      best = Number.NEGATIVE_INFINITY;
      where = -1;
    },
    visit: (value, position) => {
      if (value > best || where < 0 || (Number.isNaN(value) && !Number.isNaN(best))) {
        best = value;
        where = position;
      }
    },
    finish: () => best,
    position: () => where,
  };
}

export function averageCollector(includePad: boolean): Collector {
  let sum = 0;
  let inside = 0;
  return {
    begin: () => {
      sum = 0;
      inside = 0;
    },
    visit: (value) => {
      sum += value;
      inside++;
    },
    finish: (counted) => sum / (includePad ? counted : inside),
  };
}

export function normCollector(p: number): Collector {
  let sum = 0;
  return {
    begin: () => {
      sum = 0;
    },
    visit: (value) => {
      sum += Math.abs(value) ** p;
    },
    finish: () => sum ** (1 / p),
  };
}

const windowOf = (call: ReferenceCall): Spatial =>
  slidingWindow(
    call,
    inputOf(call, 0).shape.slice(2),
    listOf(call, "kernel_shape") ?? refuse("attribute kernel_shape is missing"),
  );

const wholeWindow = (x: Tensor): Spatial => {
  const spatial = x.shape.slice(2);
  return slidingWindow({ inputs: [], attributes: {}, version: 1, outputCount: 1 }, spatial, spatial);
};

export const maxPool: Reference = (call) => {
  const x = inputOf(call, 0);
  const window = windowOf(call);
  const columnMajor = numberOf(call, "storage_order", 0) === 1;
  const [depth, height, width] = window.input;
  const size = depth * height * width;
  const indices: number[] = [];
  const collector = maximumCollector();
  const y = pooled(x, window, collector, (channel) => {
    const position = collector.position();
    const column = position % width;
    const row = Math.floor(position / width) % height;
    const plane = Math.floor(position / (width * height));
    // Column-major order has the first spatial axis innermost.
    const rowMajorRank = window.rank === 3 ? (column * height + row) * depth + plane : column * height + row;
    indices.push(channel * size + (columnMajor ? rowMajorRank : position));
  });
  return call.outputCount > 1 ? [y, tensorOfNumbers("int64", y.shape, indices)] : [y];
};

export const averagePool: Reference = (call) => [
  pooled(inputOf(call, 0), windowOf(call), averageCollector(numberOf(call, "count_include_pad", 0) === 1)),
];

export const lpPool: Reference = (call) => [
  pooled(inputOf(call, 0), windowOf(call), normCollector(numberOf(call, "p", 2))),
];

export const globalMaxPool: Reference = (call) => [
  pooled(inputOf(call, 0), wholeWindow(inputOf(call, 0)), maximumCollector()),
];

export const globalAveragePool: Reference = (call) => [
  pooled(inputOf(call, 0), wholeWindow(inputOf(call, 0)), averageCollector(false)),
];

export const globalLpPool: Reference = (call) => [
  pooled(inputOf(call, 0), wholeWindow(inputOf(call, 0)), normCollector(numberOf(call, "p", 2))),
];
