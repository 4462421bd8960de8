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

/**
 * Whether an invocation can write elements of this type alone: two invocations that write parts of one 32-bit word
 * would race.
 */
export function isStorable(dtype: DType): boolean {
  return storeFunction(dtype) !== undefined;
}

function storeFunction(dtype: DType): "storeFloat32" | "storeInt32" | "storeUint32" | "storePair" | undefined {
  switch (dtype) {
    case "float32":
      return "storeFloat32";
    case "int32":
      return "storeInt32";
    case "uint32":
      return "storeUint32";
    case "int64":
    case "uint64":
    case "float64":
      return "storePair";
    default:
      return undefined;
  }
}

/** Writes an element; its dtype `isStorable`. */
export function storeElement(body: WgslBody, dtype: DType, address: Wgsl, value: Wgsl): void {
  const name = storeFunction(dtype);
  if (name === undefined) throw new TypeError(`${dtype} cannot be stored by one invocation`);
  body.statement(`${body.call(name, address, value)};`);
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
