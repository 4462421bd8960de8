/** What the demo computes itself, away from the page: centred ink, lifetimes in the arena, agreement, quantiles, rounds. */
import { expect, test } from "vitest";
import { agreementOf } from "../../demo/agreement.ts";
import { centreInk, inkOf, readTestImages } from "../../demo/images.ts";
import { lifetimesOf } from "../../demo/lifetimes.ts";
import { measure } from "../../demo/measure.ts";
import { ascending, bytesText, millisecondsText, quantile } from "../../demo/quantity.ts";
import type { Program } from "../../runtime/format/program.ts";
import { tensorOf } from "../../runtime/format/tensor.ts";

const digits = { width: 28, height: 28, channels: 1 } as const;

/** Full ink in a rectangle of a square sheet. */
function rectangle(size: number, left: number, top: number, width: number, height: number): Uint8Array {
  return Uint8Array.from({ length: size * size }, (_, i) => {
    const [x, y] = [i % size, Math.floor(i / size)];
    return x >= left && x < left + width && y >= top && y < top + height ? 255 : 0;
  });
}

const inkedRows = (image: Uint8Array): readonly number[] =>
  Array.from({ length: 28 }, (_, row) => row).filter((row) =>
    image.subarray(28 * row, 28 * row + 28).some((value) => value > 0),
  );

test("ink is scaled to 20 rows and its centre of mass put in the middle, wherever it was drawn", () => {
  const corner = centreInk(rectangle(280, 5, 10, 40, 100), 280, 280, digits);
  const centre = centreInk(rectangle(280, 120, 90, 40, 100), 280, 280, digits);
  expect(corner).toEqual(centre);
  expect(inkedRows(corner)).toEqual(Array.from({ length: 20 }, (_, row) => row + 4));
  expect([...corner.subarray(28 * 14, 28 * 14 + 28)]).toEqual([
    ...Array(10).fill(0),
    ...Array(8).fill(255),
    ...Array(10).fill(0),
  ]);
  const total = corner.reduce((sum, value) => sum + value, 0);
  expect(total).toBe(8 * 20 * 255);
});

test("an empty sheet stays empty", () => {
  expect(centreInk(new Uint8Array(280 * 280), 280, 280, digits)).toEqual(new Uint8Array(28 * 28));
});

test("dark ink on bright paper and bright ink on dark ground are the same ink", () => {
  const rgba = (paper: number, ink: number): Uint8ClampedArray =>
    Uint8ClampedArray.from({ length: 4 * 25 }, (_, i) => (i % 4 === 3 ? 255 : Math.floor(i / 4) === 12 ? ink : paper));
  const expected = Uint8Array.from({ length: 25 }, (_, i) => (i === 12 ? 255 : 0));
  expect(inkOf(rgba(250, 20), 5, 5)).toEqual(expected);
  expect(inkOf(rgba(10, 240), 5, 5)).toEqual(expected);
});

test("test images are read record by record", () => {
  const format = { width: 2, height: 1, channels: 3 } as const;
  const images = readTestImages(Uint8Array.of(7, 1, 2, 3, 4, 5, 6, 9, 6, 5, 4, 3, 2, 1), format);
  expect(images.map(({ label, pixels }) => [label, ...pixels])).toEqual([
    [7, 1, 2, 3, 4, 5, 6],
    [9, 6, 5, 4, 3, 2, 1],
  ]);
});

type Step = readonly (readonly [mode: "read" | "write" | "read-write", start: number, bytes: number])[];

function programOf(steps: readonly Step[]): Program {
  const port = (name: string, address: number) => ({ name, dtype: "float32", shape: [4], address }) as const;
  return {
    symbols: [],
    memory: {
      pages: 1,
      weights: { start: 64, bytes: 64 },
      table: { start: 128, bytes: 64 },
      arena: { start: 192, bytes: 256 },
    },
    inputs: [port("x", 192)],
    outputs: [port("y", 192)],
    kernels: [{ name: "k" }],
    steps: steps.map((accesses, index) => ({
      kind: "kernel",
      name: `${index}`,
      op: "Step",
      kernel: 0,
      range: 1,
      arguments: [],
      accesses: accesses.map(([mode, start, bytes], word) => ({ mode, start, bytes, word })),
      flops: 0,
      bytes: 0,
      invocations: 1,
    })),
  };
}

test("a value lives from its writer to its last reader; borders join, scratch lives for its step, weights are no part", () => {
  const lives = lifetimesOf(
    programOf([
      [["write", 256, 32]],
      [
        ["read", 192, 16],
        ["read", 64, 64],
        ["write", 256, 32],
      ],
      [
        ["read", 256, 32],
        ["read-write", 320, 64],
        ["write", 208, 16],
      ],
      [
        ["read", 208, 16],
        ["read", 256, 32],
        ["write", 192, 16],
      ],
    ]),
  );
  expect(lives).toEqual([
    { start: 192, end: 208, from: -1, to: 1 },
    { start: 256, end: 288, from: 0, to: 3 },
    { start: 320, end: 384, from: 2, to: 2 },
    { start: 208, end: 224, from: 2, to: 3 },
    { start: 192, end: 208, from: 3, to: 4 },
  ]);
});

test("agreement is relative to the largest output and names what cannot be compared", () => {
  const reference = { y: tensorOf("float32", [3], [1, -4, 2]) };
  expect(agreementOf({ y: tensorOf("float32", [3], [1, -4, 2]) }, reference)).toEqual({
    relativeError: 0,
    close: true,
  });
  expect(agreementOf({ y: tensorOf("float32", [3], [1.5, -4, 2]) }, reference)).toEqual({
    relativeError: 0.125,
    close: false,
  });
  expect(agreementOf({ y: tensorOf("float32", [3], [Number.NaN, -4, 2]) }, reference).close).toBe(false);
  expect(agreementOf({ y: tensorOf("float32", [1, 3], [1, -4, 2]) }, reference).mismatch).toContain(
    "[1, 3] instead of [3]",
  );
  expect(agreementOf({}, reference).mismatch).toContain("missing");
});

test("quantiles are values that occurred, and quantities have three digits and a unit", () => {
  const sorted = ascending([5, 1, 4, 2, 3]);
  expect([0, 0.5, 0.95, 1].map((share) => quantile(sorted, share))).toEqual([1, 3, 5, 5]);
  expect([999, 1000, 123_456, 999_600, 3_072_345].map(bytesText)).toEqual([
    "999 B",
    "1.00 kB",
    "123 kB",
    "1.00 MB",
    "3.07 MB",
  ]);
  expect([0.0042, 0.045, 1.234, 1500].map(millisecondsText)).toEqual(["4.2 µs", "45 µs", "1.23 ms", "1.50 s"]);
});

test("engines take turns and swap who goes first; every one gets as many runs", async () => {
  const order: string[] = [];
  const contender = (name: string) => ({
    run: async () => {
      order.push(name);
      return 30;
    },
  });
  let counts: readonly number[] = [];
  await measure([contender("a"), contender("b")], {
    runs: 4,
    signal: new AbortController().signal,
    onRound: (times) => {
      counts = times.map(({ engine }) => engine.length);
    },
  });
  expect(counts).toEqual([4, 4]);
  expect(order.slice(-8).join("")).toBe("abbaabba");
});
