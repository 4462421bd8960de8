/** GridSample and AffineGrid: reading an image at coordinates given as data, from -1 to 1 over each axis. */
import { elementCount, zeros } from "../format/tensor.ts";
import { inputOf, integersOf, numberOf, refuse, textOf } from "./call.ts";
import { numbersOf, tensorOfNumbers } from "./numbers.ts";
import type { Reference } from "./reference.ts";
import { stridesOf } from "./strided.ts";

/** The coordinate brought back into low..high by mirroring at both ends. */
function reflect(coordinate: number, low: number, high: number): number {
  const range = high - low;
  if (range <= 0) return low;
  const distance = Math.abs(coordinate - low);
  const phase = distance % (2 * range);
  return low + (phase > range ? 2 * range - phase : phase);
}

interface Axis {
  readonly extent: number;
  readonly padding: string;
  readonly isAligned: boolean;
}

/** An index that may lie outside, brought inside by the padding mode; -1 where the image is zero. */
function pixelIndex({ extent, padding, isAligned }: Axis, index: number): number {
  if (padding === "border") return Math.min(Math.max(index, 0), extent - 1);
  if (padding === "reflection") {
    const [low, high] = isAligned ? [0, extent - 1] : [-0.5, extent - 0.5];
    return Math.min(Math.max(Math.round(reflect(index, low, high)), 0), extent - 1);
  }
  return index >= 0 && index < extent ? index : -1;
}

/** From -1..1 to the axis, made to lie inside first unless the border is zero. */
function denormalise(axis: Axis, value: number, mode: string): number {
  const { extent, padding, isAligned } = axis;
  const coordinate = isAligned ? ((value + 1) / 2) * (extent - 1) : ((value + 1) * extent - 1) / 2;
  if (mode === "cubic" || padding === "zeros") return coordinate;
  if (padding === "border") return Math.min(Math.max(coordinate, 0), extent - 1);
  const [low, high] = isAligned ? [0, extent - 1] : [-0.5, extent - 0.5];
  const inside = coordinate < low || coordinate > high ? reflect(coordinate, low, high) : coordinate;
  return Math.min(Math.max(inside, -0.5), extent - 0.5);
}

/** Round half to even, as the standard's own reference does. */
function roundEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest < 0.5 || (rest === 0.5 && floor % 2 === 0) ? floor : floor + 1;
}

type Taps = readonly (readonly [index: number, weight: number])[];

function tapsOf(mode: string, coordinate: number): Taps {
  if (mode === "nearest") return [[roundEven(coordinate), 1]];
  const low = Math.floor(coordinate);
  const t = coordinate - low;
  if (mode === "linear")
    return [
      [low, 1 - t],
      [low + 1, t],
    ];
  const a = -0.75;
  const near = (x: number): number => ((a + 2) * x - (a + 3)) * x * x + 1;
  const far = (x: number): number => ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return [
    [low - 1, far(t + 1)],
    [low, near(t)],
    [low + 1, near(1 - t)],
    [low + 2, far(2 - t)],
  ];
}

const modeNames: Readonly<Record<string, string>> = { bilinear: "linear", bicubic: "cubic" };

/** X [N, C, D1…Dk], grid [N, E1…Ek, k] with the last axis first. */
export const gridSample: Reference = (call) => {
  const data = inputOf(call, 0);
  const grid = inputOf(call, 1);
  const named = textOf(call, "mode", "linear");
  const mode = modeNames[named] ?? named;
  if (mode !== "nearest" && mode !== "linear" && mode !== "cubic")
    refuse("unknown mode", "nearest, linear or cubic", named);
  const [batch = 0, channels = 0, ...spatial] = data.shape;
  const axes = spatial.map(
    (extent): Axis => ({
      extent,
      padding: textOf(call, "padding_mode", "zeros"),
      isAligned: numberOf(call, "align_corners", 0) !== 0,
    }),
  );
  const shape = [batch, channels, ...grid.shape.slice(1, -1)];
  const [values, coordinates] = [numbersOf(data), numbersOf(grid)];
  const points = elementCount(grid.shape.slice(1, -1));
  const image = elementCount(spatial);
  const strides = stridesOf(spatial);
  const result = new Float64Array(elementCount(shape));
  for (let n = 0; n < batch; n++)
    for (let point = 0; point < points; point++) {
      const start = (n * points + point) * axes.length;
      const taps = axes.map((axis, i) =>
        tapsOf(mode, denormalise(axis, coordinates[start + axes.length - 1 - i] as number, mode)),
      );
      for (let channel = 0; channel < channels; channel++) {
        const offset = (n * channels + channel) * image;
        const sum = (i: number, at: number): number => {
          const axis = axes[i];
          if (!axis) return values[offset + at] as number;
          let total = 0;
          for (const [index, weight] of taps[i] as Taps) {
            const inside = pixelIndex(axis, index);
            if (inside >= 0 && weight !== 0) total += weight * sum(i + 1, at + inside * (strides[i] as number));
          }
          return total;
        };
        result[(n * channels + channel) * points + point] = sum(0, 0);
      }
    }
  return [tensorOfNumbers(data.dtype, shape, result)];
};

/** theta [N, k, k+1] applied to the coordinates of an image of `size` [N, C, D1…Dk]: [N, D1…Dk, k]. */
export const affineGrid: Reference = (call) => {
  const theta = inputOf(call, 0);
  const size = integersOf(call, "size", 1) ?? refuse("the size is missing");
  const isAligned = numberOf(call, "align_corners", 0) !== 0;
  const spatial = size.slice(2);
  const rank = spatial.length;
  const matrix = numbersOf(theta);
  const points = elementCount(spatial);
  const strides = stridesOf(spatial);
  const shape = [size[0] as number, ...spatial, rank];
  const result = new Float64Array(elementCount(shape));
  for (let n = 0; n < (size[0] as number); n++)
    for (let point = 0; point < points; point++) {
      // Coordinates with the last axis first, and 1 for the translation.
      const position = spatial.map((extent, axis) => {
        const index = Math.floor(point / (strides[axis] as number)) % extent;
        if (isAligned) return extent > 1 ? (2 * index) / (extent - 1) - 1 : 0;
        return (2 * index + 1) / extent - 1;
      });
      const vector = [...position.reverse(), 1];
      for (let row = 0; row < rank; row++)
        result[(n * points + point) * rank + row] = vector.reduce(
          (sum, value, column) => sum + value * (matrix[(n * rank + row) * (rank + 1) + column] as number),
          0,
        );
    }
  return [tensorOfNumbers(theta.dtype, shape, result)];
};

/** Sums columns [N, C * block, L] back into an image [N, C, …]: the transpose of taking sliding blocks. */
export const col2Im: Reference = (call) => {
  const data = inputOf(call, 0);
  const image = integersOf(call, "image_shape", 1) ?? refuse("the image shape is missing");
  const block = integersOf(call, "block_shape", 2) ?? refuse("the block shape is missing");
  const rank = image.length;
  const listOr = (name: string, fallback: number, length: number): readonly number[] => {
    const value = call.attributes[name];
    return Array.isArray(value) ? (value as readonly number[]) : new Array<number>(length).fill(fallback);
  };
  const [dilations, strides, pads] = [
    listOr("dilations", 1, rank),
    listOr("strides", 1, rank),
    listOr("pads", 0, 2 * rank),
  ];
  const positions = image.map((extent, axis) => {
    const window = (dilations[axis] as number) * ((block[axis] as number) - 1) + 1;
    return (
      Math.floor(
        (extent + (pads[axis] as number) + (pads[axis + rank] as number) - window) / (strides[axis] as number),
      ) + 1
    );
  });
  const [batch = 0, rows = 0, columns = 0] = data.shape;
  const size = elementCount(block);
  const channels = rows / size;
  const shape = [batch, channels, ...image];
  const values = numbersOf(data);
  const result = new Float64Array(elementCount(shape));
  const [blockStrides, positionStrides, imageStrides] = [stridesOf(block), stridesOf(positions), stridesOf(image)];
  const pixels = elementCount(image);
  for (let row = 0; row < batch * rows; row++)
    for (let column = 0; column < columns; column++) {
      let at = 0;
      for (let axis = 0; axis < rank && at >= 0; axis++) {
        const inBlock = Math.floor((row % size) / (blockStrides[axis] as number)) % (block[axis] as number);
        const position = Math.floor(column / (positionStrides[axis] as number)) % (positions[axis] as number);
        const index =
          position * (strides[axis] as number) - (pads[axis] as number) + inBlock * (dilations[axis] as number);
        at = index >= 0 && index < (image[axis] as number) ? at + index * (imageStrides[axis] as number) : -1;
      }
      const target = Math.floor(row / size) * pixels + at;
      if (at >= 0) result[target] = (result[target] as number) + (values[row * columns + column] as number);
    }
  return [tensorOfNumbers(data.dtype, shape, result)];
};

/** Each axis cut or padded with zeros around its middle; what is odd goes to the end. */
export const centerCropPad: Reference = (call) => {
  const data = inputOf(call, 0);
  const sizes = integersOf(call, "shape", 1) ?? refuse("the shape is missing");
  const named = call.attributes.axes;
  const rank = data.shape.length;
  const axes = Array.isArray(named)
    ? (named as readonly number[]).map((axis) => (axis < 0 ? axis + rank : axis))
    : data.shape.map((_, axis) => axis);
  const shape = data.shape.map((extent, axis) => sizes[axes.indexOf(axis)] ?? extent);
  const result = zeros(data.dtype, shape);
  const shifts = shape.map((extent, axis) => {
    const own = data.shape[axis] as number;
    return extent >= own ? -Math.floor((extent - own) / 2) : Math.floor((own - extent) / 2);
  });
  const [own, strides] = [stridesOf(shape), stridesOf(data.shape)];
  for (let flat = 0; flat < result.data.length; flat++) {
    let from = 0;
    for (let axis = 0; axis < rank && from >= 0; axis++) {
      const index = (Math.floor(flat / (own[axis] as number)) % (shape[axis] as number)) + (shifts[axis] as number);
      from = index >= 0 && index < (data.shape[axis] as number) ? from + index * (strides[axis] as number) : -1;
    }
    if (from >= 0) result.data[flat] = data.data[from] as never;
  }
  return [result];
};
