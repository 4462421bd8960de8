/**
 * Element types of tensors, on both sides of the package wall.
 * Names are those of the ONNX standard; `bool` is one byte, 0 or 1.
 */
export type DType =
  | "float32"
  | "float64"
  | "float16"
  | "bfloat16"
  | "int8"
  | "uint8"
  | "int16"
  | "uint16"
  | "int32"
  | "uint32"
  | "int64"
  | "uint64"
  | "bool";

/** Bytes of one element. */
export const byteSize: Readonly<Record<DType, number>> = {
  float32: 4,
  float64: 8,
  float16: 2,
  bfloat16: 2,
  int8: 1,
  uint8: 1,
  int16: 2,
  uint16: 2,
  int32: 4,
  uint32: 4,
  int64: 8,
  uint64: 8,
  bool: 1,
};

/** Every element type, in a fixed order. */
export const dtypes = Object.keys(byteSize) as readonly DType[];

/** True for the types whose arithmetic is floating point. */
export function isFloat(dtype: DType): boolean {
  return dtype === "float32" || dtype === "float64" || dtype === "float16" || dtype === "bfloat16";
}

/** True for the 64-bit integers, whose arrays hold bigint. */
export function isBigInteger(dtype: DType): dtype is "int64" | "uint64" {
  return dtype === "int64" || dtype === "uint64";
}
