/** Element types as the ONNX standard numbers them (TensorProto.DataType): attributes such as Cast's `to`. */
import type { DType } from "../format/dtype.ts";

const numbers: Readonly<Record<DType, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
  bfloat16: 16,
};

const names: ReadonlyMap<number, DType> = new Map(
  Object.entries(numbers).map(([name, number]) => [number, name as DType]),
);

/** The type with this number; undefined for strings, complex numbers and the types of fewer than 8 bits. */
export const dtypeOfNumber = (number: number): DType | undefined => names.get(number);

/** The number of a type. */
export const numberOfDtype = (dtype: DType): number => numbers[dtype];
