/**
 * One case of an operator: what goes in, and what must come out where that is known independently. Executors (reference,
 * expression, loop interpreter, generated code) run the same tables.
 */
import type { Attributes } from "../../compiler/graph/graph.ts";
import { type DType, isFloat } from "../../runtime/format/dtype.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import { tensorOfNumbers } from "../../runtime/reference/numbers.ts";

export interface OperatorCase {
  /** Unique within its operator. */
  readonly name: string;
  readonly op: string;
  readonly version: number;
  readonly inputs: readonly (Tensor | undefined)[];
  readonly attributes: Attributes;
  /** 1 unless given. */
  readonly outputCount?: number;
  readonly expected?: readonly Tensor[];
}

export const floatTypes: readonly DType[] = ["float32", "float64", "float16", "bfloat16"];
export const signedTypes: readonly DType[] = ["int8", "int16", "int32", "int64"];
export const unsignedTypes: readonly DType[] = ["uint8", "uint16", "uint32", "uint64"];
export const integerTypes: readonly DType[] = [...signedTypes, ...unsignedTypes];

/** A vector of the numbers given, or a tensor of `shape`. */
export const tensor = (dtype: DType, values: readonly number[], shape: readonly number[] = [values.length]): Tensor =>
  tensorOfNumbers(dtype, shape, values);

/** Signed zeros, ties, the neighbourhoods where functions change, large and small magnitudes, infinities, NaN. */
export const specialFloats: readonly number[] = [
  0,
  -0,
  1,
  -1,
  0.5,
  -0.5,
  1.5,
  2.5,
  -1.5,
  -2.5,
  0.1,
  -0.3,
  3,
  -3,
  6.5,
  -7,
  20,
  -20,
  90,
  -90,
  1e-4,
  -1e-4,
  1e-30,
  1e30,
  -1e30,
  0.999,
  -0.999,
  2.999,
  Infinity,
  -Infinity,
  NaN,
];

/** The bounds of every integer type wrap into small numbers of the others. */
export const specialIntegers: readonly number[] = [
  0, 1, 2, 3, 5, 7, 100, 127, 128, 255, 256, 32767, 65535, 2147483647, 4294967295,
];

/** Values that make sense for a type: special ones for floats, signed and unsigned ones for integers. */
export function specials(dtype: DType): Tensor {
  if (isFloat(dtype)) return tensor(dtype, specialFloats);
  if (dtype === "bool") return tensor(dtype, [0, 1]);
  const signed = dtype.startsWith("int") ? specialIntegers.map((value) => -value) : [];
  return tensor(dtype, [...specialIntegers, ...signed]);
}

/** Every pair of special values, as a column and a row that broadcast to a square. */
export function specialPairs(dtype: DType): readonly [Tensor, Tensor] {
  const row = specials(dtype);
  return [{ ...row, shape: [row.data.length, 1] }, row];
}
