/** Our DEFLATE streams: what the host inflates, about as small as the host's own. */
import { deflateRawSync, inflateRawSync } from "node:zlib";
import { expect, test } from "vitest";
import { deflate } from "../../compiler/package/deflate.ts";
import { lengthsOf } from "../../compiler/package/huffman.ts";
import { fillRandom } from "../../runtime/format/random.ts";

const text = (repeat: number): Uint8Array =>
  new TextEncoder().encode(
    Array.from({ length: repeat }, (_, k) => `{"step":${k},"kernel":${(k * 7) % 13},"bytes":${k * k * 64}}`).join(","),
  );

function noise(length: number): Uint8Array {
  const values = new Uint8Array(length);
  fillRandom("uint8", values, 5);
  return values;
}

const contents: readonly (readonly [string, Uint8Array])[] = [
  ["nothing", new Uint8Array()],
  ["one byte", Uint8Array.of(200)],
  ["two bytes", Uint8Array.of(0, 255)],
  ["one byte many times", new Uint8Array(100_000).fill(7)],
  ["matches as long as can be", new TextEncoder().encode("abcdefghij".repeat(5000))],
  ["matches as far as can be", Uint8Array.from([...noise(32768), ...noise(32768)])],
  ["matches beyond the window", Uint8Array.from([...noise(32769), ...noise(32769)])],
  ["every byte once", Uint8Array.from({ length: 256 }, (_, k) => k)],
  ["noise in several blocks", noise(60_000)],
  ["JSON in several blocks", text(6000)],
];

test.each(contents)("%s comes back", (_, content) => {
  const stream = deflate(content);
  expect(Buffer.compare(inflateRawSync(stream), content)).toBe(0);
  expect(stream.byteLength).toBeLessThanOrEqual(1.05 * deflateRawSync(content, { level: 9 }).byteLength + 32);
});

test("codes are as short as a limit of their length allows, and complete", () => {
  const fibonacci = [1, 1];
  while (fibonacci.length < 25) fibonacci.push((fibonacci.at(-1) ?? 0) + (fibonacci.at(-2) ?? 0));
  for (const most of [5, 7, 15]) {
    const lengths = lengthsOf(fibonacci, most);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(most);
    expect(lengths.reduce((sum, length) => sum + 2 ** -length, 0)).toBe(1);
    expect([...lengths].sort((left, right) => right - left)).toEqual(lengths);
  }
  expect(lengthsOf([8, 4, 2, 1, 1], 15)).toEqual([1, 2, 3, 4, 4]);
});
