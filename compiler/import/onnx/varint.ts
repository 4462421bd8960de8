/** Packed 64-bit varints, exactly: pbf rounds them to doubles, which is not enough for int64 weights. */
import { malformed } from "./message.ts";

/** How many varints end in `bytes`. */
export function countVarints(bytes: Uint8Array): number {
  let count = 0;
  for (const byte of bytes) if (byte < 0x80) count++;
  return count;
}

/** Calls `put` with the low and high 32 bits (unsigned) of each varint. Throws model-invalid for an unfinished or too long one. */
export function decodeVarints(
  bytes: Uint8Array,
  where: string,
  put: (index: number, low: number, high: number) => void,
): void {
  let index = 0;
  let [low, high, shift] = [0, 0, 0];
  for (const byte of bytes) {
    if (shift > 63) throw malformed(where, "a number is longer than 10 bytes");
    const bits = byte & 0x7f;
    if (shift < 32) low |= bits << shift;
    if (shift === 28) high |= bits >>> 4;
    else if (shift > 28) high |= bits << (shift - 32);
    shift += 7;
    if (byte < 0x80) {
      put(index++, low >>> 0, high >>> 0);
      [low, high, shift] = [0, 0, 0];
    }
  }
  if (shift !== 0) throw malformed(where, "the last number is unfinished");
}
