/**
 * Weights of any layout as a matrix: one row per output channel (or row of a table), one column per term of the sum.
 * Columns follow the constant's axes with the contraction axis innermost: for a convolution's [O, C/g, kh, kw] and
 * blocks along C they are (kh, kw, c), the order of the input's window in NHWC. Statistics of inputs use the same order.
 */
import type { Tensor } from "../../runtime/format/tensor.ts";

export interface WeightLayout {
  /** Axis of the output channels, or of the rows of a table. */
  readonly channelAxis: number;
  /** The axis of the sum along which blocks lie: K of a product, C/g of a convolution, the width of a table. */
  readonly contractionAxis: number;
}

export interface WeightMatrix {
  readonly rows: number;
  readonly columns: number;
  /** Columns that are neighbours along the contraction axis; a block of scales never crosses such a line. */
  readonly line: number;
  /** Row-major. */
  readonly data: Float32Array;
}

export function toMatrix({ data, shape }: Tensor<"float32">, layout: WeightLayout): WeightMatrix {
  const rows = shape[layout.channelAxis] ?? 1;
  const line = shape[layout.contractionAxis] ?? 1;
  const matrix = new Float32Array(data.length);
  forEachElement(shape, layout, (at, index) => {
    matrix[at] = data[index] as number;
  });
  return { rows, columns: rows === 0 ? 0 : data.length / rows, line, data: matrix };
}

/** Elements in the order of a matrix, such as toMatrix makes it, back in the order of `shape`. */
export function fromMatrix<T extends Float32Array | Uint8Array>(
  matrix: T,
  shape: readonly number[],
  layout: WeightLayout,
): T {
  const result = matrix.slice() as T;
  forEachElement(shape, layout, (at, index) => {
    result[index] = matrix[at] as number;
  });
  return result;
}

/** The shape of scales in blocks: that of the constant with the blocks in place of the contraction axis. */
export function shapeOfBlocks(shape: readonly number[], layout: WeightLayout, blockSize: number): readonly number[] {
  return shape.map((extent, axis) => (axis === layout.contractionAxis ? Math.ceil(extent / blockSize) : extent));
}

/** Calls `visit` with every element's place in the matrix, ascending, and its index in row-major order of `shape`. */
function forEachElement(
  shape: readonly number[],
  { channelAxis, contractionAxis }: WeightLayout,
  visit: (at: number, index: number) => void,
): void {
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, extent) => product * extent, 1));
  const others = shape.map((_, axis) => axis).filter((axis) => axis !== channelAxis && axis !== contractionAxis);
  const outer = [channelAxis, ...others];
  const line = shape[contractionAxis] ?? 1;
  const step = strides[contractionAxis] ?? 1;
  const lines = outer.reduce((product, axis) => product * (shape[axis] ?? 1), 1);
  for (let number = 0; number < lines; number++) {
    let rest = number;
    let start = 0;
    for (let i = outer.length - 1; i >= 0; i--) {
      const axis = outer[i] as number;
      const extent = shape[axis] ?? 1;
      start += (rest % extent) * (strides[axis] ?? 1);
      rest = Math.floor(rest / extent);
    }
    for (let i = 0; i < line; i++) visit(number * line + i, start + i * step);
  }
}
