/** Elements of linear memory in WGSL: how each dtype is held, read and written. */
import type { DType } from "../../../runtime/format/dtype.ts";
import type { Wgsl, WgslBody } from "./body.ts";

/** float16 and bfloat16 are held as f32, narrow integers normalised in 32 bits, 64-bit elements as vec2u(low, high). */
export type WgslType = "f32" | "i32" | "u32" | "bool" | "vec2u";

export function wgslType(dtype: DType): WgslType {
  switch (dtype) {
    case "float32":
    case "float16":
    case "bfloat16":
      return "f32";
    case "int32":
    case "int16":
    case "int8":
      return "i32";
    case "uint32":
    case "uint16":
    case "uint8":
      return "u32";
    case "bool":
      return "bool";
    case "int64":
    case "uint64":
    case "float64":
      return "vec2u";
  }
}

/** The element at a byte address. */
export function loadElement(body: WgslBody, dtype: DType, address: Wgsl): Wgsl {
  switch (dtype) {
    case "float32":
      return body.call("loadFloat32", address);
    case "float16":
      return body.call("loadFloat16", address);
    case "bfloat16":
      return body.call("loadBfloat16", address);
    case "int32":
      return body.call("loadInt32", address);
    case "uint32":
      return body.call("loadUint32", address);
    case "int16":
      return body.call("loadInt16", address);
    case "uint16":
      return body.call("loadUint16", address);
    case "int8":
      return body.call("loadInt8", address);
    case "uint8":
      return body.call("loadUint8", address);
    case "bool":
      return body.call("loadBool", address);
    case "int64":
    case "uint64":
    case "float64":
      return body.call("loadPair", address);
  }
}

/** Writes an element; the body notes when that is part of a word. */
export function storeElement(body: WgslBody, dtype: DType, address: Wgsl, value: Wgsl): void {
  body.statement(`${storeCall(body, dtype, address, value)};`);
}

function storeCall(body: WgslBody, dtype: DType, address: Wgsl, value: Wgsl): Wgsl {
  switch (dtype) {
    case "float32":
      return body.call("storeFloat32", address, value);
    case "int32":
      return body.call("storeInt32", address, value);
    case "uint32":
      return body.call("storeUint32", address, value);
    case "int64":
    case "uint64":
    case "float64":
      return body.call("storePair", address, value);
    case "int8":
    case "uint8":
      return body.callOnParts("storeByte", address, `u32(${value})`);
    case "bool":
      return body.callOnParts("storeByte", address, `select(0u, 1u, ${value})`);
    case "int16":
    case "uint16":
      return body.callOnParts("storeHalf", address, `u32(${value})`);
    case "float16":
      return body.callOnParts("storeHalf", address, body.call("float16Bits", value));
    case "bfloat16":
      return body.callOnParts("storeHalf", address, body.call("bfloat16Bits", value));
  }
}

const bits = new DataView(new ArrayBuffer(4));

/** A float32 value; what WGSL has no literal for comes from its bits. */
export function floatLiteral(body: WgslBody, value: number): Wgsl {
  const rounded = Math.fround(value);
  const isNormal = Number.isFinite(rounded) && Math.abs(rounded) >= 2 ** -126;
  if (isNormal || Object.is(rounded, 0)) return rounded < 0 ? `(${rounded}f)` : `${rounded}f`;
  bits.setFloat32(0, rounded);
  return body.call("floatOfBits", `${bits.getUint32(0)}u`);
}
