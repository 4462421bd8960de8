/**
 * Bytes of the WebAssembly binary format: LEB128 integers, little-endian floats, names and sections
 * (WebAssembly core specification, chapter 5). Every function returns plain byte arrays; nothing here
 * knows what an instruction is.
 */

export type Bytes = readonly number[];

/** Unsigned LEB128 of an integer in 0..2^32-1. */
export function unsigned(value: number): Bytes {
  const bytes: number[] = [];
  let rest = value >>> 0;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return bytes;
}

/** Signed LEB128 of an integer in -2^31..2^32-1 (values of 2^31 and above wrap, as i32 constants do). */
export function signed32(value: number): Bytes {
  const bytes: number[] = [];
  for (let rest = value | 0; ; rest >>= 7) {
    const last = rest >= -64 && rest < 64;
    bytes.push((rest & 0x7f) | (last ? 0 : 0x80));
    if (last) return bytes;
  }
}

/** Signed LEB128 of a 64-bit integer (wraps to the signed range). */
export function signed64(value: bigint): Bytes {
  const bytes: number[] = [];
  for (let rest = BigInt.asIntN(64, value); ; rest >>= 7n) {
    const last = rest >= -64n && rest < 64n;
    bytes.push(Number(rest & 0x7fn) | (last ? 0 : 0x80));
    if (last) return bytes;
  }
}

/** The four little-endian bytes of a float32. */
export function float32(value: number): Bytes {
  const view = new DataView(new ArrayBuffer(4));
  view.setFloat32(0, value, true);
  return [...new Uint8Array(view.buffer)];
}

/** The eight little-endian bytes of a float64. */
export function float64(value: number): Bytes {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value, true);
  return [...new Uint8Array(view.buffer)];
}

/** A name: its UTF-8 length, then its bytes. */
export function name(text: string): Bytes {
  const bytes = new TextEncoder().encode(text);
  return [...unsigned(bytes.length), ...bytes];
}

/** A vector: its count, then its items. */
export function vector(items: readonly Bytes[]): Bytes {
  return [...unsigned(items.length), ...items.flat()];
}

/** A section: id, byte length, content; an absent section is no bytes. */
export function section(id: number, content: Bytes | undefined): Bytes {
  return content === undefined ? [] : [id, ...unsigned(content.length), ...content];
}
