/** Operators of detectors: NonMaxSuppression, RoiAlign, MaxRoiPool. */
import { tensorOf } from "../format/tensor.ts";
import { inputOf, listOf, numberOf, refuse, textOf } from "./call.ts";
import { numbersOf, tensorOfNumbers } from "./numbers.ts";
import type { Reference, ReferenceCall } from "./reference.ts";

interface Box {
  readonly top: number;
  readonly left: number;
  readonly bottom: number;
  readonly right: number;
}

/** Corners of a box [y1, x1, y2, x2] in any order, or [x, y, width, height] around its centre. */
function boxOf(values: ArrayLike<number>, at: number, isCentred: boolean): Box {
  const [a, b, c, d] = [values[at], values[at + 1], values[at + 2], values[at + 3]] as [number, number, number, number];
  if (isCentred) return { top: b - d / 2, left: a - c / 2, bottom: b + d / 2, right: a + c / 2 };
  return { top: Math.min(a, c), left: Math.min(b, d), bottom: Math.max(a, c), right: Math.max(b, d) };
}

const areaOf = (box: Box): number => (box.bottom - box.top) * (box.right - box.left);

function overlapOf(left: Box, right: Box): number {
  const height = Math.min(left.bottom, right.bottom) - Math.max(left.top, right.top);
  const width = Math.min(left.right, right.right) - Math.max(left.left, right.left);
  if (height <= 0 || width <= 0) return 0;
  const shared = height * width;
  return shared / (areaOf(left) + areaOf(right) - shared);
}

const scalarOf = (call: ReferenceCall, index: number, fallback: number): number => {
  const tensor = call.inputs[index];
  return tensor && tensor.data.length > 0 ? Number(numbersOf(tensor)[0]) : fallback;
};

/** Greedy suppression per class: rows [batch, class, box], best score first. */
export const nonMaxSuppression: Reference = (call) => {
  const [boxes, scores] = [inputOf(call, 0), inputOf(call, 1)];
  const [coordinates, values] = [numbersOf(boxes), numbersOf(scores)];
  const [batch = 0, classes = 0, count = 0] = scores.shape;
  const most = scalarOf(call, 2, 0);
  const overlap = scalarOf(call, 3, 0);
  const least = scalarOf(call, 4, -Infinity);
  const isCentred = numberOf(call, "center_point_box", 0) !== 0;
  const rows: number[] = [];
  for (let n = 0; n < batch; n++)
    for (let c = 0; c < classes; c++) {
      const scoreOf = (i: number): number => values[(n * classes + c) * count + i] as number;
      const order = Array.from({ length: count }, (_, i) => i)
        .filter((i) => scoreOf(i) > least)
        .sort((a, b) => scoreOf(b) - scoreOf(a) || a - b);
      const chosen: Box[] = [];
      for (const i of order) {
        if (chosen.length >= most) break;
        const box = boxOf(coordinates, (n * count + i) * 4, isCentred);
        if (chosen.some((other) => overlapOf(box, other) > overlap)) continue;
        chosen.push(box);
        rows.push(n, c, i);
      }
    }
  return [tensorOf("int64", [rows.length / 3, 3], rows)];
};

/** The four pixels around a point of an image of height x width with their bilinear weights; none when it lies outside. */
function around(
  y: number,
  x: number,
  height: number,
  width: number,
): readonly (readonly [at: number, weight: number])[] {
  if (y < -1 || y > height || x < -1 || x > width) return [];
  const side = (value: number, extent: number): readonly [low: number, high: number, fraction: number] => {
    const inside = Math.max(value, 0);
    const low = Math.floor(inside);
    return low >= extent - 1 ? [extent - 1, extent - 1, 0] : [low, low + 1, inside - low];
  };
  const [top, bottom, dy] = side(y, height);
  const [left, right, dx] = side(x, width);
  return [
    [top * width + left, (1 - dy) * (1 - dx)],
    [top * width + right, (1 - dy) * dx],
    [bottom * width + left, dy * (1 - dx)],
    [bottom * width + right, dy * dx],
  ];
}

/** Regions [x1, y1, x2, y2] of images, sampled on a regular grid of points per output cell (He et al., 2017). */
export const roiAlign: Reference = (call) => {
  const [data, rois, images] = [inputOf(call, 0), inputOf(call, 1), inputOf(call, 2)];
  const [, channels = 0, height = 0, width = 0] = data.shape;
  const [values, regions, batchOf] = [numbersOf(data), numbersOf(rois), numbersOf(images)];
  const [rows, columns] = [numberOf(call, "output_height", 1), numberOf(call, "output_width", 1)];
  const ratio = numberOf(call, "sampling_ratio", 0);
  const scale = numberOf(call, "spatial_scale", 1);
  const isHalfPixel =
    textOf(call, "coordinate_transformation_mode", call.version < 16 ? "output_half_pixel" : "half_pixel") ===
    "half_pixel";
  const isMaximum = textOf(call, "mode", "avg") === "max";
  const count = rois.shape[0] as number;
  const shape = [count, channels, rows, columns];
  const result = new Float64Array(count * channels * rows * columns);
  const shift = isHalfPixel ? 0.5 : 0;
  for (let r = 0; r < count; r++) {
    const edge = (i: number): number => (regions[r * 4 + i] as number) * scale - shift;
    const [x, y] = [edge(0), edge(1)];
    const size = (extent: number): number => (isHalfPixel ? extent : Math.max(extent, 1));
    const [cellHeight, cellWidth] = [size(edge(3) - y) / rows, size(edge(2) - x) / columns];
    const [stepsY, stepsX] = [ratio > 0 ? ratio : Math.ceil(cellHeight), ratio > 0 ? ratio : Math.ceil(cellWidth)];
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < columns; column++) {
        const points = Array.from({ length: stepsY * stepsX }, (_, i) => {
          const [iy, ix] = [Math.floor(i / stepsX), i % stepsX];
          return around(
            y + (row + (iy + 0.5) / stepsY) * cellHeight,
            x + (column + (ix + 0.5) / stepsX) * cellWidth,
            height,
            width,
          );
        });
        for (let c = 0; c < channels; c++) {
          const offset = ((batchOf[r] as number) * channels + c) * height * width;
          // The maximum is that of the weighted corners, not of their sums: so the standard's implementations do.
          const terms = points.map((corners) =>
            corners.map(([at, weight]) => weight * (values[offset + at] as number)),
          );
          const sum = terms.flat().reduce((total, term) => total + term, 0) / Math.max(1, stepsY * stepsX);
          const most = terms.reduce(
            (best, corners) => Math.max(best, corners.length === 0 ? 0 : Math.max(...corners)),
            -Infinity,
          );
          result[((r * channels + c) * rows + row) * columns + column] = isMaximum
            ? points.length > 0
              ? most
              : 0
            : sum;
        }
      }
  }
  return [tensorOfNumbers(data.dtype, shape, result)];
};

/** Maxima over the cells of regions [image, x1, y1, x2, y2] whose corners are rounded to pixels (Girshick, 2015). */
export const maxRoiPool: Reference = (call) => {
  const [data, rois] = [inputOf(call, 0), inputOf(call, 1)];
  const [, channels = 0, height = 0, width = 0] = data.shape;
  const [rows = 1, columns = 1] = listOf(call, "pooled_shape") ?? refuse("pooled_shape is missing");
  const scale = numberOf(call, "spatial_scale", 1);
  const [values, regions] = [numbersOf(data), numbersOf(rois)];
  const count = rois.shape[0] as number;
  const result = new Float64Array(count * channels * rows * columns);
  for (let r = 0; r < count; r++) {
    const edge = (i: number): number => Math.round((regions[r * 5 + i] as number) * scale);
    const [left, top] = [edge(1), edge(2)];
    const [cellWidth, cellHeight] = [Math.max(edge(3) - left + 1, 1) / columns, Math.max(edge(4) - top + 1, 1) / rows];
    const span = (start: number, cell: number, i: number, extent: number): readonly [number, number] => {
      const clamp = (value: number): number => Math.min(Math.max(value + start, 0), extent);
      return [clamp(Math.floor(i * cell)), clamp(Math.ceil((i + 1) * cell))];
    };
    for (let c = 0; c < channels; c++)
      for (let cell = 0; cell < rows * columns; cell++) {
        const [y0, y1] = span(top, cellHeight, Math.floor(cell / columns), height);
        const [x0, x1] = span(left, cellWidth, cell % columns, width);
        let best = y1 > y0 && x1 > x0 ? -Infinity : 0;
        for (let y = y0; y < y1; y++)
          for (let x = x0; x < x1; x++)
            best = Math.max(
              best,
              values[(((regions[r * 5] as number) * channels + c) * height + y) * width + x] as number,
            );
        result[(r * channels + c) * rows * columns + cell] = best;
      }
  }
  return [tensorOfNumbers(data.dtype, [count, channels, rows, columns], result)];
};
