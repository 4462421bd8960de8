/** Elements of every dtype between memory and the representations of expression/scalar.ts and expression/vector.ts. */
import type { DType } from "../../../runtime/format/dtype.ts";
import type { BodyBuilder } from "../../assemble/body.ts";
import type { Expression as Code, ValueType } from "../../assemble/expression.ts";
import type { MathLibrary } from "../../assemble/math.ts";
import { f32, f64, i32, i64 } from "../../assemble/scalar.ts";
import { f32x4, i8x16, i16x8, i32x4, v128 } from "../../assemble/vector.ts";
import { scalarType } from "../expression/scalar.ts";
import type { LoopShape } from "./shape.ts";

type Scalar = Code<ValueType>;
type Address = Code<"i32">;

/** One element in the representation of its dtype. */
export function loadScalar(math: MathLibrary, dtype: DType, address: Address): Scalar {
  switch (dtype) {
    case "float32":
      return f32.load(address);
    case "float64":
      return f64.load(address);
    case "int64":
    case "uint64":
      return i64.load(address);
    case "int32":
    case "uint32":
      return i32.load(address);
    case "int16":
      return i32.load16S(address);
    case "uint16":
      return i32.load16U(address);
    case "int8":
      return i32.load8S(address);
    case "uint8":
    case "bool":
      return i32.load8U(address);
    case "float16":
      return f32x4.extractLane(math.halfToFloat(i32x4.splat(i32.load16U(address))), 0);
    case "bfloat16":
      return f32.reinterpretI32(i32.shl(i32.load16U(address), 16));
  }
}

/** Stores what `loadScalar` would give. */
export function storeScalar(body: BodyBuilder, math: MathLibrary, dtype: DType, address: Address, value: Scalar): void {
  switch (dtype) {
    case "float32":
      return body.f32Store(address, value as Code<"f32">);
    case "float64":
      return body.f64Store(address, value as Code<"f64">);
    case "int64":
    case "uint64":
      return body.i64Store(address, value as Code<"i64">);
    case "int32":
    case "uint32":
      return body.i32Store(address, value as Code<"i32">);
    case "int16":
    case "uint16":
      return body.i32Store16(address, value as Code<"i32">);
    case "int8":
    case "uint8":
    case "bool":
      return body.i32Store8(address, value as Code<"i32">);
    case "float16": {
      const half = i32x4.extractLane(math.floatToHalf(f32x4.splat(value as Code<"f32">)), 0);
      return body.i32Store16(address, half);
    }
    case "bfloat16": {
      // Round to nearest even on the upper 16 bits; NaN keeps a set mantissa bit.
      const bits = body.local("i32", i32.reinterpretF32(value as Code<"f32">));
      const rounded = i32.shrU(i32.add(bits, i32.add(0x7fff, i32.and(i32.shrU(bits, 16), 1))), 16);
      const notANumber = i32.gtU(i32.and(bits, 0x7fffffff), 0x7f800000);
      body.if(
        notANumber,
        () => body.i32Store16(address, i32.or(i32.shrU(bits, 16), 0x40)),
        () => body.i32Store16(address, rounded),
      );
    }
  }
}

/** Four neighbouring elements: narrow integers widened to i32 lanes, float16 to f32, bools to masks. */
export function loadVector(math: MathLibrary, dtype: DType, address: Address): Code<"v128"> {
  switch (dtype) {
    case "float32":
    case "int32":
      return v128.load(address);
    case "int8":
      return i32x4.extendLowI16x8S(i16x8.extendLowI8x16S(v128.load32Zero(address)));
    case "uint8":
      return i32x4.extendLowI16x8U(i16x8.extendLowI8x16U(v128.load32Zero(address)));
    case "bool":
      return i32x4.ne(i32x4.extendLowI16x8U(i16x8.extendLowI8x16U(v128.load32Zero(address))), i32x4.const(0, 0, 0, 0));
    case "float16":
      return math.halfToFloat(v128.load16x4U(address));
    default:
      throw new TypeError(`${dtype} is not read four at a time`);
  }
}

/** Stores four lanes of type `from` as `dtype`. */
export function storeVector(body: BodyBuilder, dtype: DType, address: Address, value: Code<"v128">, from: DType): void {
  if (dtype === "float32" || dtype === "int32") return body.v128Store(address, value);
  const words = from === "bool" ? v128.and(value, i32x4.const(1, 1, 1, 1)) : value;
  // Lane bytes 0, 4, 8, 12 side by side: wraps as a narrowing cast does.
  const bytes = i8x16.shuffle(words, words, [0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12]);
  body.v128Store32Lane(address, bytes, 0);
}

/** Four equal lanes in the vector representation of `dtype`. */
export function splatOf(dtype: DType, value: Scalar): Code<"v128"> {
  if (scalarType(dtype) === "f32") return f32x4.splat(value as Code<"f32">);
  if (dtype === "bool") return i32x4.neg(i32x4.splat(value as Code<"i32">));
  return i32x4.splat(value as Code<"i32">);
}

/** The neutral element of a combination. */
export function identityOf(combine: LoopShape["combine"], dtype: DType): Scalar {
  const type = scalarType(dtype);
  const unsigned = dtype.startsWith("uint") || dtype === "bool";
  const widths: Partial<Record<DType, number>> = { int8: 8, uint8: 8, int16: 16, uint16: 16 };
  const width = widths[dtype] ?? 32;
  const integer = (value: bigint): Scalar =>
    type === "i64" ? i64.const(BigInt.asIntN(64, value)) : i32.const(Number(BigInt.asIntN(32, value)));
  const real = (value: number): Scalar => (type === "f64" ? f64.const(value) : f32.const(value));
  const isReal = type === "f32" || type === "f64";
  const span = BigInt(type === "i64" ? 64 : width);
  switch (combine ?? "add") {
    case "add":
      return isReal ? real(0) : integer(0n);
    case "multiply":
      return isReal ? real(1) : integer(1n);
    case "maximum":
      return isReal ? real(-Infinity) : integer(unsigned ? 0n : -(1n << (span - 1n)));
    case "minimum":
      return isReal ? real(Infinity) : integer(unsigned ? (1n << span) - 1n : (1n << (span - 1n)) - 1n);
  }
}
