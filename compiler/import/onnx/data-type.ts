/** The element type codes of ONNX (TensorProto.DataType) and what they are here. */
import type { DType } from "../../../runtime/format/dtype.ts";

const supported: ReadonlyMap<number, DType> = new Map<number, DType>([
  [1, "float32"],
  [2, "uint8"],
  [3, "int8"],
  [4, "uint16"],
  [5, "int16"],
  [6, "int32"],
  [7, "int64"],
  [9, "bool"],
  [10, "float16"],
  [11, "float64"],
  [12, "uint32"],
  [13, "uint64"],
  [16, "bfloat16"],
]);

/** Types that have no elements of their own here. */
const others: ReadonlyMap<number, string> = new Map([
  [0, "undefined"],
  [8, "string"],
  [14, "complex64"],
  [15, "complex128"],
  [17, "float8e4m3fn"],
  [18, "float8e4m3fnuz"],
  [19, "float8e5m2"],
  [20, "float8e5m2fnuz"],
  [21, "uint4"],
  [22, "int4"],
  [23, "float4e2m1"],
  [24, "float8e8m0"],
  [25, "uint2"],
  [26, "int2"],
]);

/** A type of fewer than 8 bits: the elements are packed in files and held in `dtype`. */
export interface SmallType {
  readonly dtype: "int8" | "uint8";
  readonly bits: 2 | 4;
}

const small: ReadonlyMap<number, SmallType> = new Map<number, SmallType>([
  [21, { dtype: "uint8", bits: 4 }],
  [22, { dtype: "int8", bits: 4 }],
  [25, { dtype: "uint8", bits: 2 }],
  [26, { dtype: "int8", bits: 2 }],
]);

export const smallTypeOfCode = (code: number): SmallType | undefined => small.get(code);

/** The element type of a code; undefined when Leafcutter has none. */
export const dtypeOfCode = (code: number): DType | undefined => supported.get(code) ?? small.get(code)?.dtype;

/** ONNX's name of a code, for people. */
export const nameOfCode = (code: number): string => supported.get(code) ?? others.get(code) ?? `element type ${code}`;
