/**
 * A dense tensor as the public API and the reference functions see it: row-major,
 * one typed array, no strides. float16 and bfloat16 are carried as their raw bits.
 */
import type { DType } from "./dtype.ts";

/** The array that holds each element type; float16 and bfloat16 as raw 16-bit patterns. */
export interface ArrayOf {
  float32: Float32Array;
  float64: Float64Array;
  float16: Uint16Array;
  bfloat16: Uint16Array;
  int8: Int8Array;
  uint8: Uint8Array;
  int16: Int16Array;
  uint16: Uint16Array;
  int32: Int32Array;
  uint32: Uint32Array;
  int64: BigInt64Array;
  uint64: BigUint64Array;
  bool: Uint8Array;
}

export type TensorArray = ArrayOf[DType];

/** Row-major tensor; `data.length` is the product of `shape` (1 for a scalar, whose shape is []). */
export interface Tensor<T extends DType = DType> {
  readonly dtype: T;
  readonly shape: readonly number[];
  readonly data: ArrayOf[T];
}

const constructors: { readonly [T in DType]: new (buffer: ArrayBuffer, offset: number, length: number) => ArrayOf[T] } =
  {
    float32: Float32Array,
    float64: Float64Array,
    float16: Uint16Array,
    bfloat16: Uint16Array,
    int8: Int8Array,
    uint8: Uint8Array,
    int16: Int16Array,
    uint16: Uint16Array,
    int32: Int32Array,
    uint32: Uint32Array,
    int64: BigInt64Array,
    uint64: BigUint64Array,
    bool: Uint8Array,
  };

/** A typed view of `length` elements of `buffer`, which must be aligned for the type. */
export function viewOf<T extends DType>(dtype: T, buffer: ArrayBufferLike, offset: number, length: number): ArrayOf[T] {
  return new constructors[dtype](buffer as ArrayBuffer, offset, length);
}

const width = (dtype: DType): number => constructors[dtype].prototype.BYTES_PER_ELEMENT as number;

/** A zeroed array for `length` elements. */
export function allocate<T extends DType>(dtype: T, length: number): ArrayOf[T] {
  return viewOf(dtype, new ArrayBuffer(length * width(dtype)), 0, length);
}

/** Number of elements of a shape; 1 for []. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

/** A tensor of zeros. */
export function zeros<T extends DType>(dtype: T, shape: readonly number[]): Tensor<T> {
  return { dtype, shape, data: allocate(dtype, elementCount(shape)) };
}

/** A tensor from plain numbers (bigint types are converted; values are stored as the type stores them). */
export function tensorOf<T extends DType>(
  dtype: T,
  shape: readonly number[],
  values: ArrayLike<number | bigint>,
): Tensor<T> {
  const tensor = zeros(dtype, shape);
  const wide = dtype === "int64" || dtype === "uint64";
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number | bigint;
    tensor.data[i] = (wide ? BigInt(value) : Number(value)) as never;
  }
  return tensor;
}
