/** Tensors in and out of buffers: dense or with gaps between rows. */
import { expect } from "vitest";
import type { Buffer, View } from "../../compiler/kernels/contract.ts";
import { denseBytes, denseView } from "../../compiler/plan/view.ts";
import { byteSize, type DType } from "../../runtime/format/dtype.ts";
import { type Tensor, viewOf, zeros } from "../../runtime/format/tensor.ts";

export const tensor = (shape: readonly number[], values: readonly number[]): Tensor<"float32"> => ({
  dtype: "float32",
  shape,
  data: Float32Array.from(values),
});

/** Reproducible values in -2..2. */
export function noise(count: number, seed = 1): number[] {
  let state = seed >>> 0;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 32) * 4 - 2;
  });
}

export const sizeOf = (shape: readonly number[]): number => shape.reduce((size, extent) => size * extent, 1);

export function denseBuffer(
  name: string,
  dtype: DType,
  shape: readonly number[],
  kind: Buffer["kind"] = "scratch",
): View {
  const buffer: Buffer = { kind, name, dtype, bytes: denseBytes(dtype, shape) };
  return denseView(buffer, dtype, shape);
}

/** A view whose axes lie `gaps[axis]` elements further apart than they must, behind `lead` elements. */
export function gappedBuffer(
  name: string,
  dtype: DType,
  shape: readonly number[],
  gaps: readonly number[],
  lead = 0,
): View {
  const size = byteSize[dtype];
  const strides: number[] = [];
  let stride = size;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    stride += (gaps[axis] ?? 0) * size;
    strides[axis] = stride;
    stride *= shape[axis] ?? 1;
  }
  const buffer: Buffer = { kind: "scratch", name, dtype, bytes: Math.max(stride, size) + lead * size };
  return { buffer, offset: lead * size, dtype, shape, strides };
}

function* offsetsOf(view: View): Generator<number> {
  const shape = view.shape as readonly number[];
  const strides = view.strides as readonly number[];
  const count = sizeOf(shape);
  for (let flat = 0; flat < count; flat++) {
    let rest = flat;
    let offset = view.offset as number;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const extent = shape[axis] ?? 1;
      offset += (rest % extent) * (strides[axis] ?? 0);
      rest = Math.floor(rest / extent);
    }
    yield offset;
  }
}

/** The buffer's bytes with the tensor's elements where the view has them. */
export function scatter(view: View, source: Tensor, into?: Uint8Array): Uint8Array {
  const bytes = into ?? new Uint8Array(view.buffer.bytes as number).fill(0x5a);
  const size = byteSize[view.dtype];
  const from = new Uint8Array(source.data.buffer, source.data.byteOffset, source.data.byteLength);
  let index = 0;
  for (const offset of offsetsOf(view)) {
    bytes.set(from.subarray(index * size, (index + 1) * size), offset);
    index++;
  }
  return bytes;
}

/** The tensor that the view shows. */
export function collect(view: View, bytes: Uint8Array): Tensor {
  const size = byteSize[view.dtype];
  const result = zeros(view.dtype, view.shape as readonly number[]);
  const into = new Uint8Array(result.data.buffer, result.data.byteOffset, result.data.byteLength);
  let index = 0;
  for (const offset of offsetsOf(view)) {
    into.set(bytes.subarray(offset, offset + size), index * size);
    index++;
  }
  return { ...result, data: viewOf(view.dtype, into.buffer, into.byteOffset, result.data.length) };
}

/** Float values agree to `relative` of the larger of 1 and the expected; NaN and infinities exactly. */
export function expectClose(actual: Tensor | undefined, expected: Tensor | undefined, relative: number): void {
  expect(actual?.shape).toEqual(expected?.shape);
  const [a, b] = [actual?.data ?? [], expected?.data ?? []];
  expect(a.length).toBe(b.length);
  for (let index = 0; index < b.length; index++) {
    const [x, y] = [Number(a[index]), Number(b[index])];
    const same = Object.is(x, y) || x === y || Math.abs(x - y) <= relative * Math.max(1, Math.abs(y));
    if (!same) expect.fail(`element ${index}: ${x} where ${y} is expected`);
  }
}
