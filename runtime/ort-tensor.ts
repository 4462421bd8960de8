/**
 * The tensor of leafcutter/ort: the shape of onnxruntime-web's, for data in the page's memory. What onnxruntime-web offers
 * for textures, GPU buffers and images fails with a LeafcutterError (option-invalid).
 */
import { LeafcutterError } from "./index.ts";

export interface DataTypeMap {
  float32: Float32Array;
  uint8: Uint8Array;
  int8: Int8Array;
  uint16: Uint16Array;
  int16: Int16Array;
  int32: Int32Array;
  int64: BigInt64Array;
  string: string[];
  bool: Uint8Array;
  /** Bits; a Float16Array where the engine has it, as onnxruntime-web does. */
  float16: Uint16Array;
  float64: Float64Array;
  uint32: Uint32Array;
  uint64: BigUint64Array;
  uint4: Uint8Array;
  int4: Int8Array;
}

export type TensorType = keyof DataTypeMap;

export interface TypedTensor<T extends TensorType> {
  readonly dims: readonly number[];
  readonly type: T;
  /** Throws after `dispose`. */
  readonly data: DataTypeMap[T];
  readonly location: "cpu" | "none";
  /** Number of elements. */
  readonly size: number;
  /** These three throw: the data is never there. */
  readonly texture: never;
  readonly gpuBuffer: never;
  readonly mlTensor: never;
  getData(releaseData?: boolean): Promise<DataTypeMap[T]>;
  dispose(): void;
  /** The same data under other dimensions of the same product. */
  reshape(dims: readonly number[]): TypedTensor<T>;
  toDataURL(options?: unknown): never;
  toImageData(options?: unknown): never;
}

export interface Tensor extends TypedTensor<TensorType> {}

type Plain = readonly number[] | readonly bigint[] | readonly boolean[] | readonly string[];

export interface TensorConstructor {
  new (type: "string", data: readonly string[], dims?: readonly number[]): TypedTensor<"string">;
  new (type: "bool", data: Uint8Array | readonly boolean[], dims?: readonly number[]): TypedTensor<"bool">;
  new (type: "uint8", data: Uint8ClampedArray, dims?: readonly number[]): TypedTensor<"uint8">;
  new <T extends "int64" | "uint64">(
    type: T,
    data: DataTypeMap[T] | readonly bigint[] | readonly number[],
    dims?: readonly number[],
  ): TypedTensor<T>;
  new <T extends Exclude<TensorType, "string" | "bool" | "int64" | "uint64">>(
    type: T,
    data: DataTypeMap[T] | readonly number[],
    dims?: readonly number[],
  ): TypedTensor<T>;
  new (data: Float32Array, dims?: readonly number[]): TypedTensor<"float32">;
  new (data: Int8Array, dims?: readonly number[]): TypedTensor<"int8">;
  new (data: Uint8Array | Uint8ClampedArray, dims?: readonly number[]): TypedTensor<"uint8">;
  new (data: Uint16Array, dims?: readonly number[]): TypedTensor<"uint16">;
  new (data: Int16Array, dims?: readonly number[]): TypedTensor<"int16">;
  new (data: Int32Array, dims?: readonly number[]): TypedTensor<"int32">;
  new (data: BigInt64Array, dims?: readonly number[]): TypedTensor<"int64">;
  new (data: readonly string[], dims?: readonly number[]): TypedTensor<"string">;
  new (data: readonly boolean[], dims?: readonly number[]): TypedTensor<"bool">;
  new (data: Float64Array, dims?: readonly number[]): TypedTensor<"float64">;
  new (data: Uint32Array, dims?: readonly number[]): TypedTensor<"uint32">;
  new (data: BigUint64Array, dims?: readonly number[]): TypedTensor<"uint64">;
  new (type: TensorType, data: DataTypeMap[TensorType] | Plain, dims?: readonly number[]): Tensor;
  new (data: DataTypeMap[TensorType], dims?: readonly number[]): Tensor;
  fromPinnedBuffer<T extends Exclude<TensorType, "string">>(
    type: T,
    buffer: DataTypeMap[T],
    dims?: readonly number[],
  ): TypedTensor<T>;
  fromImage(...image: readonly unknown[]): Promise<never>;
  fromTexture(...texture: readonly unknown[]): never;
  fromGpuBuffer(...buffer: readonly unknown[]): never;
  fromMLTensor(...tensor: readonly unknown[]): never;
}

type AnyArray = DataTypeMap[Exclude<TensorType, "string">];
interface ArrayKind {
  new (length: number): AnyArray;
  from(values: Iterable<never>, map?: (value: never) => unknown): AnyArray;
}

const halfArray = (globalThis as { readonly Float16Array?: ArrayKind }).Float16Array;

const arrays: Readonly<Record<Exclude<TensorType, "string">, ArrayKind>> = {
  float32: Float32Array,
  uint8: Uint8Array,
  int8: Int8Array,
  uint16: Uint16Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  bool: Uint8Array,
  float16: halfArray ?? Uint16Array,
  float64: Float64Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  uint4: Uint8Array,
  int4: Uint8Array,
};

/** What the type of an array alone says; the first of the types that share an array. */
const typeOfArray: Readonly<Record<string, TensorType>> = {
  Float32Array: "float32",
  Uint8Array: "uint8",
  Uint8ClampedArray: "uint8",
  Int8Array: "int8",
  Uint16Array: "uint16",
  Int16Array: "int16",
  Int32Array: "int32",
  BigInt64Array: "int64",
  Float16Array: "float16",
  Float64Array: "float64",
  Uint32Array: "uint32",
  BigUint64Array: "uint64",
};

/** The error of what this adapter does not have. */
export function unsupported(what: string, received: string, advice: string): LeafcutterError {
  return new LeafcutterError({ code: "option-invalid", message: `leafcutter/ort has no ${what}`, received, advice });
}

const elsewhere = (what: string): LeafcutterError =>
  unsupported(what, "a request for it", "Use the tensor's data, which is in the page's memory.");

function refused(expected: string, received: string): LeafcutterError {
  return new LeafcutterError({
    code: "option-invalid",
    message: "this is no data of a tensor",
    where: "Tensor",
    expected,
    received,
  });
}

const tagOf = (data: unknown): string =>
  ArrayBuffer.isView(data) ? Object.prototype.toString.call(data).slice(8, -1) : typeof data;

function inferredType(data: unknown): TensorType {
  const type = typeOfArray[tagOf(data)];
  if (type !== undefined) return type;
  const first: unknown = Array.isArray(data) ? data[0] : undefined;
  if (typeof first === "string") return "string";
  if (typeof first === "boolean") return "bool";
  throw refused("a typed array, strings or booleans; or a type before the data", tagOf(data));
}

/** The data as the type holds it; a typed array of that kind as it is, without a copy. */
function dataOf(type: TensorType, data: unknown): DataTypeMap[TensorType] {
  if (type === "string") {
    if (Array.isArray(data) && data.every((item) => typeof item === "string")) return data as string[];
    throw refused("strings", tagOf(data));
  }
  if (!Object.hasOwn(arrays, type)) throw refused(Object.keys(arrays).join(", "), String(type));
  const kind = arrays[type];
  if (Array.isArray(data)) {
    if (type === "float16" && halfArray === undefined) throw refused("a Uint16Array of bits", "numbers");
    const wide = type === "int64" || type === "uint64";
    return wide ? kind.from(data as never[], (value: number | bigint) => BigInt(value)) : kind.from(data as never[]);
  }
  const tag = tagOf(data);
  const wanted = tagOf(new kind(0));
  const accepted =
    tag === wanted ||
    (type === "float16" && tag === "Uint16Array") ||
    (type === "uint8" && tag === "Uint8ClampedArray") ||
    (type === "int4" && tag === "Int8Array");
  if (!accepted) throw refused(`a ${wanted} for ${type}`, tag);
  const array = data as AnyArray;
  return tag === "Uint8ClampedArray" ? new Uint8Array(array.buffer, array.byteOffset, array.byteLength) : array;
}

function sizeOf(dims: readonly number[]): number {
  for (const dim of dims) {
    if (!Number.isSafeInteger(dim) || dim < 0) throw refused("dimensions that are integers from 0", String(dim));
  }
  return dims.reduce((product, dim) => product * dim, 1);
}

class MemoryTensor {
  readonly type: TensorType;
  readonly dims: readonly number[];
  readonly size: number;
  #data: DataTypeMap[TensorType] | undefined;

  constructor(first: unknown, second?: unknown, third?: readonly number[]) {
    const named = typeof first === "string";
    this.type = named ? (first as TensorType) : inferredType(first);
    const data = dataOf(this.type, named ? second : first);
    this.dims = (named ? third : (second as readonly number[] | undefined)) ?? [data.length];
    this.size = sizeOf(this.dims);
    this.#data = data;
    const packed = this.type === "int4" || this.type === "uint4";
    const length = packed ? Math.ceil(this.size / 2) : this.size;
    if (data.length === length || (packed && data.length === this.size)) return;
    throw refused(`${length} elements for [${this.dims.join(", ")}]`, `${data.length} elements`);
  }

  get data(): DataTypeMap[TensorType] {
    if (this.#data !== undefined) return this.#data;
    throw new LeafcutterError({ code: "disposed", message: "the tensor is disposed" });
  }

  get location(): "cpu" | "none" {
    return this.#data === undefined ? "none" : "cpu";
  }

  get texture(): never {
    throw elsewhere("texture of a tensor");
  }

  get gpuBuffer(): never {
    throw elsewhere("GPU buffer of a tensor");
  }

  get mlTensor(): never {
    throw elsewhere("MLTensor of a tensor");
  }

  async getData(releaseData = false): Promise<DataTypeMap[TensorType]> {
    const { data } = this;
    if (releaseData) this.dispose();
    return data;
  }

  dispose(): void {
    this.#data = undefined;
  }

  reshape(dims: readonly number[]): Tensor {
    if (sizeOf(dims) !== this.size) throw refused(`${this.size} elements`, `[${dims.join(", ")}]`);
    return new Tensor(this.type, this.data, dims);
  }

  toDataURL(): never {
    throw elsewhere("image of a tensor");
  }

  toImageData(): never {
    throw elsewhere("image of a tensor");
  }

  static fromPinnedBuffer(type: TensorType, buffer: unknown, dims?: readonly number[]): MemoryTensor {
    return new MemoryTensor(type, buffer, dims);
  }

  static fromImage(): Promise<never> {
    return Promise.reject(elsewhere("tensor from an image"));
  }

  static fromTexture(): never {
    throw elsewhere("tensor in a texture");
  }

  static fromGpuBuffer(): never {
    throw elsewhere("tensor in a GPU buffer");
  }

  static fromMLTensor(): never {
    throw elsewhere("tensor in an MLTensor");
  }
}

export const Tensor = MemoryTensor as unknown as TensorConstructor;
