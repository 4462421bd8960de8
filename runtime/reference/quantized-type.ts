/**
 * What numbers are quantised to: an element type and the bounds that saturate. Types of two and four bits exist only as a
 * number of the ONNX standard (TensorProto.DataType); their values are held in 8 bits.
 */
import type { DType } from "../format/dtype.ts";
import { dtypeOfNumber } from "./data-type.ts";

export interface QuantizedType {
  readonly dtype: DType;
  readonly low: number;
  readonly high: number;
}

const small: ReadonlyMap<number, QuantizedType> = new Map<number, QuantizedType>([
  [21, { dtype: "uint8", low: 0, high: 15 }],
  [22, { dtype: "int8", low: -8, high: 7 }],
  [25, { dtype: "uint8", low: 0, high: 3 }],
  [26, { dtype: "int8", low: -2, high: 1 }],
]);

const wide: Readonly<Partial<Record<DType, QuantizedType>>> = {
  int8: { dtype: "int8", low: -128, high: 127 },
  uint8: { dtype: "uint8", low: 0, high: 255 },
  int16: { dtype: "int16", low: -32768, high: 32767 },
  uint16: { dtype: "uint16", low: 0, high: 65535 },
};

/** The bounds of an element type; undefined when nothing is quantised to it. */
export const quantizedTypeOf = (dtype: DType): QuantizedType | undefined => wide[dtype];

/** A type of two or four bits by ONNX's number; undefined for all others. */
export const smallTypeOfNumber = (number: number): QuantizedType | undefined => small.get(number);

/** What is quantised to, by ONNX's number of the type. */
export function quantizedTypeOfNumber(number: number): QuantizedType | undefined {
  const dtype = dtypeOfNumber(number);
  return dtype ? wide[dtype] : small.get(number);
}
