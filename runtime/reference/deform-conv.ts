/**
 * DeformConv: a two-dimensional convolution whose taps are moved by offsets (bilinear, zero outside) and scaled by a mask.
 * Inputs X [N, C, H, W], W [M, C/group, kh, kw], offset [N, groups*kh*kw*2, OH, OW] (vertical first), bias [M], mask [N, groups*kh*kw, OH, OW].
 */
import { elementCount } from "../format/tensor.ts";
import { inputOf, numberOf, refuse } from "./call.ts";
import { numbersOf, tensorOfNumbers } from "./numbers.ts";
import type { Reference } from "./reference.ts";
import { slidingWindow } from "./spatial.ts";

export const deformConv: Reference = (call) => {
  const x = inputOf(call, 0);
  const w = inputOf(call, 1);
  if (x.shape.length !== 4) refuse("DeformConv has other than two spatial axes", "rank 4", `rank ${x.shape.length}`);
  const [batch = 1, channels = 1, height = 1, width = 1] = x.shape;
  const [filters = 1, perGroup = 1, kernelHeight = 1, kernelWidth = 1] = w.shape;
  const window = slidingWindow(call, [height, width], [kernelHeight, kernelWidth]);
  const [, outputHeight, outputWidth] = window.output;
  const group = numberOf(call, "group", 1);
  const offsetGroups = numberOf(call, "offset_group", 1);
  const [values, weights, offsets] = [numbersOf(x), numbersOf(w), numbersOf(inputOf(call, 2))];
  const bias = call.inputs[3] && numbersOf(call.inputs[3]);
  const mask = call.inputs[4] && numbersOf(call.inputs[4]);
  const taps = kernelHeight * kernelWidth;

  const pixel = (plane: number, row: number, column: number): number =>
    row < 0 || row >= height || column < 0 || column >= width ? 0 : values[(plane * height + row) * width + column]!;
  const sample = (plane: number, row: number, column: number): number => {
    const [top, left] = [Math.floor(row), Math.floor(column)];
    const [down, right] = [row - top, column - left];
    return (
      (1 - down) * (1 - right) * pixel(plane, top, left) +
      (1 - down) * right * pixel(plane, top, left + 1) +
      down * (1 - right) * pixel(plane, top + 1, left) +
      down * right * pixel(plane, top + 1, left + 1)
    );
  };

  const shape = [batch, filters, outputHeight, outputWidth];
  const result = new Float64Array(elementCount(shape));
  let at = 0;
  for (let n = 0; n < batch; n++)
    for (let m = 0; m < filters; m++)
      for (let oh = 0; oh < outputHeight; oh++)
        for (let ow = 0; ow < outputWidth; ow++) {
          let sum = bias ? bias[m]! : 0;
          for (let c = 0; c < perGroup; c++) {
            const channel = Math.floor(m / (filters / group)) * perGroup + c;
            const offsetGroup = Math.floor(channel / (channels / offsetGroups));
            for (let tap = 0; tap < taps; tap++) {
              const [kh, kw] = [Math.floor(tap / kernelWidth), tap % kernelWidth];
              const map = (n * offsetGroups + offsetGroup) * taps + tap;
              const place = (plane: number): number => (plane * outputHeight + oh) * outputWidth + ow;
              const row = oh * window.stride[1] - window.before[1] + kh * window.dilation[1] + offsets[place(2 * map)]!;
              const column =
                ow * window.stride[2] - window.before[2] + kw * window.dilation[2] + offsets[place(2 * map + 1)]!;
              const weight = weights[(m * perGroup + c) * taps + tap]! * (mask ? mask[place(map)]! : 1);
              sum += weight * sample(n * channels + channel, row, column);
            }
          }
          result[at++] = sum;
        }
  return [tensorOfNumbers(x.dtype, shape, result)];
};
