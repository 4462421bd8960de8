/** float16 and bfloat16: every pattern survives the round trip, and numbers in between round to the nearest, ties to even. */
import { describe, expect, it } from "vitest";
import {
  bfloat16ToNumber,
  float16ToNumber,
  numberToBfloat16,
  numberToFloat16,
  roundHalfEven,
} from "../../runtime/format/half.ts";

const formats = [
  { name: "float16", decode: float16ToNumber, encode: numberToFloat16, infinity: 0x7c00 },
  { name: "bfloat16", decode: bfloat16ToNumber, encode: numberToBfloat16, infinity: 0x7f80 },
];

describe.each(formats)("$name", ({ decode, encode, infinity }) => {
  it("keeps every pattern that is not NaN", () => {
    const changed: number[] = [];
    for (let pattern = 0; pattern < 0x10000; pattern++) {
      const value = decode(pattern);
      if (!Number.isNaN(value) && encode(value) !== pattern) changed.push(pattern);
    }
    expect(changed).toEqual([]);
    expect(decode(encode(NaN))).toBeNaN();
  });

  it("rounds between neighbours to the nearest, ties to the even pattern", () => {
    const wrong: number[] = [];
    for (let pattern = 0; pattern + 1 < infinity; pattern++) {
      const [low, high] = [decode(pattern), decode(pattern + 1)];
      const even = pattern % 2 === 0 ? pattern : pattern + 1;
      const step = high - low;
      if (encode(low + step / 2) !== even) wrong.push(pattern);
      if (encode(low + step * 0.49) !== pattern || encode(low + step * 0.51) !== pattern + 1) wrong.push(pattern);
    }
    expect(wrong).toEqual([]);
  });

  it("overflows to infinity from half a unit above the largest number", () => {
    const largest = decode(infinity - 1);
    const half = (largest - decode(infinity - 2)) / 2;
    expect(encode(largest + half * 0.99)).toBe(infinity - 1);
    expect(encode(largest + half)).toBe(infinity);
    expect(encode(-Infinity)).toBe(infinity | 0x8000);
  });
});

it("rounds to whole numbers, ties to even, and keeps the sign of zero", () => {
  const values = [0.5, 1.5, 2.5, 3.5, -0.5, -1.5, -0.2, -0, 2 ** 52 + 1, -Infinity];
  expect(values.map(roundHalfEven)).toEqual([0, 2, 2, 4, -0, -2, -0, -0, 2 ** 52 + 1, -Infinity]);
});
