/**
 * float16 (IEEE 754 binary16) and bfloat16 as 16-bit patterns, bit exact both ways: to numbers without loss,
 * from numbers by rounding once to nearest, ties to even. NaN becomes the quiet NaN; overflow becomes infinity.
 */
const bits = new DataView(new ArrayBuffer(8));

/** The number a float16 pattern stands for. */
export function float16ToNumber(pattern: number): number {
  const sign = pattern & 0x8000 ? -1 : 1;
  const exponent = (pattern >> 10) & 0x1f;
  const fraction = pattern & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** The number a bfloat16 pattern stands for: it is the upper half of a float32. */
export function bfloat16ToNumber(pattern: number): number {
  bits.setUint32(0, pattern << 16);
  return bits.getFloat32(0);
}

const float16Format = { fractionBits: 10, bias: 15, infinity: 0x7c00 } as const;
const bfloat16Format = { fractionBits: 7, bias: 127, infinity: 0x7f80 } as const;

function encode(value: number, format: typeof float16Format | typeof bfloat16Format): number {
  const { fractionBits, bias, infinity } = format;
  if (Number.isNaN(value)) return infinity | (1 << (fractionBits - 1));
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  if (magnitude === Infinity) return sign | infinity;
  // The unit in the last place at this magnitude; subnormals share that of the smallest normal exponent.
  bits.setFloat64(0, magnitude);
  const exponent = Math.max(((bits.getUint32(0) >>> 20) & 0x7ff) - 1023, 1 - bias);
  const scaled = roundHalfEven(magnitude * 2 ** (fractionBits - exponent));
  // A fraction that carries over moves into the exponent, up to infinity: the fields are adjacent.
  const pattern = (exponent + bias - 1) * 2 ** fractionBits + scaled;
  return sign | Math.min(pattern, infinity);
}

/** Rounds to the nearest integer, ties to even. */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const difference = value - floor;
  if (difference < 0.5) return floor === 0 ? value * 0 : floor;
  const up = difference > 0.5 || floor % 2 !== 0;
  return up ? (floor === -1 ? -0 : floor + 1) : floor;
}

/** The float16 pattern nearest to `value`. */
export const numberToFloat16 = (value: number): number => encode(value, float16Format);

/** The bfloat16 pattern nearest to `value`. */
export const numberToBfloat16 = (value: number): number => encode(value, bfloat16Format);
