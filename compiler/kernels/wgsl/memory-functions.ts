/**
 * WGSL functions that read and write elements of linear memory, which they see by words: `cell`, `setCell` and, where
 * invocations write parts of one word, `mergeCell(i, mask, bits)`. Addresses are in bytes and aligned to the element.
 */
import { nf4Code } from "../../graph/nf4.ts";

export const memoryFunctions = {
  loadFloat32: { source: "fn loadFloat32(a: u32) -> f32 { return bitcast<f32>(cell(a >> 2u)); }" },
  loadFloat16: {
    source: "fn loadFloat16(a: u32) -> f32 { return unpack2x16float(cell(a >> 2u) >> ((a & 2u) << 3u)).x; }",
  },
  loadBfloat16: {
    source: "fn loadBfloat16(a: u32) -> f32 { return bitcast<f32>((cell(a >> 2u) >> ((a & 2u) << 3u)) << 16u); }",
  },
  loadInt32: { source: "fn loadInt32(a: u32) -> i32 { return bitcast<i32>(cell(a >> 2u)); }" },
  loadUint32: { source: "fn loadUint32(a: u32) -> u32 { return cell(a >> 2u); }" },
  loadInt16: {
    source: "fn loadInt16(a: u32) -> i32 { return extractBits(bitcast<i32>(cell(a >> 2u)), (a & 2u) << 3u, 16u); }",
  },
  loadUint16: {
    source: "fn loadUint16(a: u32) -> u32 { return extractBits(cell(a >> 2u), (a & 2u) << 3u, 16u); }",
  },
  loadInt8: {
    source: "fn loadInt8(a: u32) -> i32 { return extractBits(bitcast<i32>(cell(a >> 2u)), (a & 3u) << 3u, 8u); }",
  },
  loadUint8: { source: "fn loadUint8(a: u32) -> u32 { return extractBits(cell(a >> 2u), (a & 3u) << 3u, 8u); }" },
  loadBool: { needs: ["loadUint8"], source: "fn loadBool(a: u32) -> bool { return loadUint8(a) != 0u; }" },
  loadPair: { source: "fn loadPair(a: u32) -> vec2u { return vec2u(cell(a >> 2u), cell((a >> 2u) + 1u)); }" },

  quadFloat32: {
    source: `fn quadFloat32(a: u32) -> vec4f {
  let i = a >> 2u;
  return bitcast<vec4f>(vec4u(cell(i), cell(i + 1u), cell(i + 2u), cell(i + 3u)));
}`,
  },
  quadFloat16: {
    source: `fn quadFloat16(a: u32) -> vec4f {
  let i = a >> 2u;
  return vec4f(unpack2x16float(cell(i)), unpack2x16float(cell(i + 1u)));
}`,
  },
  /** Two pairs sixteen bytes apart. */
  quadHalves: {
    source: `fn quadHalves(a: u32) -> vec4f {
  let i = a >> 2u;
  return vec4f(unpack2x16float(cell(i)), unpack2x16float(cell(i + 4u)));
}`,
  },
  quadInt8: {
    source: `fn quadInt8(a: u32) -> vec4f {
  let bits = bitcast<i32>(cell(a >> 2u));
  return vec4f(vec4i(extractBits(bits, 0u, 8u), extractBits(bits, 8u, 8u), extractBits(bits, 16u, 8u), bits >> 24u));
}`,
  },

  // Sixteen bits, four nibbles: as they are, as numbers, as codes of NF4.
  quadBits: { source: "fn quadBits(a: u32) -> u32 { return extractBits(cell(a >> 2u), (a & 2u) << 3u, 16u); }" },
  quadNibbles: {
    source:
      "fn quadNibbles(bits: u32) -> vec4f { return vec4f((vec4u(bits) >> vec4u(0u, 4u, 8u, 12u)) & vec4u(15u)); }",
  },
  quadCodes: {
    source: `const nf4Code = array<f32, 16>(${nf4Code.map((code) => `${code}f`).join(", ")});
fn quadCodes(bits: u32) -> vec4f {
  var codes = nf4Code;
  return vec4f(codes[bits & 15u], codes[(bits >> 4u) & 15u], codes[(bits >> 8u) & 15u], codes[(bits >> 12u) & 15u]);
}`,
  },
  // The block of step k: blocks of `size` steps along runs of `run`, the last one of a run short and padded.
  blockOf: {
    source: `fn blockOf(first: u32, k: u32, run: u32, size: u32, head: u32, stepBytes: u32) -> u32 {
  let whole = head + size * stepBytes;
  let rest = run % size;
  let last = select(0u, head + ((rest * stepBytes + 15u) & ~15u), rest > 0u);
  return first + (k / run) * ((run / size) * whole + last) + ((k % run) / size) * whole;
}`,
  },

  storeFloat32: { source: "fn storeFloat32(a: u32, x: f32) { setCell(a >> 2u, bitcast<u32>(x)); }" },
  storeInt32: { source: "fn storeInt32(a: u32, x: i32) { setCell(a >> 2u, bitcast<u32>(x)); }" },
  storeUint32: { source: "fn storeUint32(a: u32, x: u32) { setCell(a >> 2u, x); }" },
  storePair: {
    source: "fn storePair(a: u32, x: vec2u) { setCell(a >> 2u, x.x); setCell((a >> 2u) + 1u, x.y); }",
  },

  storeByte: {
    source: `fn storeByte(a: u32, x: u32) {
  let shift = (a & 3u) << 3u;
  mergeCell(a >> 2u, 0xffu << shift, (x & 0xffu) << shift);
}`,
  },
  storeHalf: {
    source: `fn storeHalf(a: u32, x: u32) {
  let shift = (a & 2u) << 3u;
  mergeCell(a >> 2u, 0xffffu << shift, (x & 0xffffu) << shift);
}`,
  },
  // Rounded to nearest, ties to even; WGSL's own conversion leaves overflow and NaN to the implementation.
  float16Bits: {
    source: `fn float16Bits(x: f32) -> u32 {
  let bits = bitcast<u32>(x);
  let sign = (bits >> 16u) & 0x8000u;
  let size = bits & 0x7fffffffu;
  if (size > 0x7f800000u) { return sign | 0x7e00u; }
  if (size >= 0x477ff000u) { return sign | 0x7c00u; }
  if (size >= 0x38800000u) { return sign | ((size - 0x38000000u + 0xfffu + ((size >> 13u) & 1u)) >> 13u); }
  if (size < 0x33000000u) { return sign; }
  let shift = 126u - (size >> 23u);
  let mantissa = (size & 0x7fffffu) | 0x800000u;
  let whole = mantissa >> shift;
  let rest = mantissa & ((1u << shift) - 1u);
  let half = 1u << (shift - 1u);
  return sign | (whole + select(0u, 1u, rest > half || (rest == half && (whole & 1u) == 1u)));
}`,
  },
  bfloat16Bits: {
    source: `fn bfloat16Bits(x: f32) -> u32 {
  let bits = bitcast<u32>(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) { return (bits >> 16u) | 0x40u; }
  return (bits + 0x7fffu + ((bits >> 16u) & 1u)) >> 16u;
}`,
  },
} as const satisfies Readonly<Record<string, { readonly needs?: readonly string[]; readonly source: string }>>;
