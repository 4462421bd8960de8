import { describe, expect, test } from "vitest";
import { gridStep, roundToFloat16, roundToInt8 } from "../../compiler/quantize/round.ts";
import { float16ToNumber, numberToFloat16 } from "../../runtime/format/half.ts";
import { fillRandom } from "../../runtime/format/random.ts";
import { type Tensor, tensorOf } from "../../runtime/format/tensor.ts";

function randomTensor(shape: readonly number[], seed: number): Tensor<"float32"> {
  const tensor = tensorOf("float32", shape, []);
  fillRandom("float32", tensor.data, seed);
  return tensor;
}

const squaredError = (a: Tensor<"float32">, b: Tensor<"float32">): number =>
  a.data.reduce((sum, value, i) => sum + (value - (b.data[i] ?? 0)) ** 2, 0);

describe("float16", () => {
  test("every value is the nearest half, bit for bit", () => {
    const tensor = randomTensor([40, 30], 5);
    const rounded = roundToFloat16(tensor);
    expect(rounded?.storage).toEqual({ kind: "float16" });
    expect(rounded?.tensor.shape).toEqual([40, 30]);
    for (const [i, value] of tensor.data.entries()) {
      const pattern = numberToFloat16(value);
      const here = rounded?.tensor.data[i] ?? Number.NaN;
      expect(here).toBe(float16ToNumber(pattern));
      expect(numberToFloat16(here)).toBe(pattern);
      const neighbours = [pattern - 1, pattern + 1].map((next) => Math.abs(float16ToNumber(next & 0xffff) - value));
      expect(Math.abs(here - value)).toBeLessThanOrEqual(Math.min(...neighbours.filter(Number.isFinite)));
    }
  });

  test("halfway goes to the even neighbour", () => {
    const rounded = roundToFloat16(tensorOf("float32", [2], [1 + 2 ** -11, 1 + 3 * 2 ** -11]));
    expect([...(rounded?.tensor.data ?? [])]).toEqual([1, 1 + 2 ** -9]);
  });

  test("what it cannot hold is refused", () => {
    expect(roundToFloat16(tensorOf("float32", [2], [65504, -65504]))).toBeDefined();
    expect(roundToFloat16(tensorOf("float32", [2], [1, 65505]))).toBeUndefined();
    expect(roundToFloat16(tensorOf("float32", [2], [1, Number.NaN]))).toBeUndefined();
    expect(roundToFloat16(tensorOf("float32", [2], [1, Number.POSITIVE_INFINITY]))).toBeUndefined();
  });

  test("small values are refused where they are all there is, not beside large ones", () => {
    expect(roundToFloat16(tensorOf("float32", [2], [3e-8, 2e-6]))).toBeUndefined();
    expect(roundToFloat16(tensorOf("float32", [2], [3e-8, 1]))).toBeDefined();
  });
});

describe("int8", () => {
  for (const [name, shape, axis] of [
    ["convolution", [6, 4, 3, 3], 0],
    ["transposed convolution", [5, 7, 2, 2], 1],
    ["matrix", [16, 9], 1],
  ] as const) {
    test(`${name}: every value is a step of its channel's scale`, () => {
      const tensor = randomTensor(shape, 9);
      const rounded = roundToInt8(tensor, axis);
      const storage = rounded?.storage;
      if (!rounded || storage?.kind !== "int8") throw new Error("int8 was expected");
      expect(storage.axis).toBe(axis);
      expect(storage.scales).toHaveLength(shape[axis] ?? 0);
      const inner = shape.slice(axis + 1).reduce((product, extent) => product * extent, 1);
      for (const [i, value] of rounded.tensor.data.entries()) {
        const scale = storage.scales[Math.floor(i / inner) % (shape[axis] ?? 1)] ?? 0;
        const step = Math.round(value / scale);
        expect(Math.abs(step)).toBeLessThanOrEqual(127);
        expect(value).toBe(Math.fround(step * scale) + 0);
        if (Math.abs(step) < 127) expect(Math.abs(value - (tensor.data[i] ?? 0))).toBeLessThanOrEqual(scale * 0.50001);
      }
    });
  }

  test("one outlier in a channel of many smaller values is clipped when that lowers the squared error", () => {
    const small = randomTensor([1, 65_536], 3);
    const tensor = { ...small, data: small.data.map((value, i) => (i === 0 ? 1.25 : value)) };
    const rounded = roundToInt8(tensor, 0);
    const storage = rounded?.storage;
    if (!rounded || storage?.kind !== "int8") throw new Error("int8 was expected");
    const plainScale = Math.fround(1.25 / 127);
    expect(storage.scales[0]).toBeLessThan(plainScale);
    const plain = { ...tensor, data: tensor.data.map((value) => Math.round(value / plainScale) * plainScale) };
    expect(squaredError(tensor, rounded.tensor)).toBeLessThan(squaredError(tensor, plain));
  });

  test("a channel of zeros has a scale to divide by", () => {
    const rounded = roundToInt8(tensorOf("float32", [2, 2], [0, 0, 127, -127]), 0);
    expect(rounded?.storage).toEqual({ kind: "int8", axis: 0, scales: Float32Array.of(1, 1) });
    expect([...(rounded?.tensor.data ?? [])]).toEqual([0, 0, 127, -127]);
  });

  test("values that are not finite are refused", () => {
    expect(roundToInt8(tensorOf("float32", [1, 2], [1, Number.NEGATIVE_INFINITY]), 0)).toBeUndefined();
  });
});

test("values that were integers before keep their step, also where the largest code is not used", () => {
  const codes = [90, -3, 17, 0, 44, -61];
  const tensor = tensorOf(
    "float32",
    [2, 6],
    [...codes.map((code) => code * 0.0123), ...codes.map((code) => code * -7)],
  );
  const rounded = roundToInt8(tensor, 0);
  expect(squaredError(tensor, rounded?.tensor ?? tensor)).toBeLessThan(1e-9);
  const { scales = new Float32Array() } = (rounded?.storage ?? {}) as { readonly scales?: Float32Array };
  expect([...scales]).toEqual([expect.closeTo(0.0123, 6), expect.closeTo(7, 4)]);
  expect(gridStep(randomTensor([64], 9).data)).toBeUndefined();
});
