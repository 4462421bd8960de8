import { describe, expect, test } from "vitest";
import type { BlockStorage } from "../../compiler/graph/graph.ts";
import { nf4Code } from "../../compiler/graph/nf4.ts";
import { type RoundedWeights, roundWeights } from "../../compiler/quantize/round-weights.ts";
import { type Scheme, schemeName } from "../../compiler/quantize/scheme.ts";
import type { WeightLayout } from "../../compiler/quantize/weight-matrix.ts";
import { float16ToNumber, numberToFloat16 } from "../../runtime/format/half.ts";
import { fillRandom } from "../../runtime/format/random.ts";
import { type Tensor, tensorOf } from "../../runtime/format/tensor.ts";

const fourBits: readonly Extract<Scheme, { readonly kind: "int4" | "nf4" }>[] = [
  { kind: "int4", blockSize: 16, zeros: true },
  { kind: "int4", blockSize: 32, zeros: true },
  { kind: "int4", blockSize: 32, zeros: false },
  { kind: "nf4", blockSize: 64, zeros: false },
];

const layouts: readonly { readonly name: string; readonly shape: readonly number[]; readonly layout: WeightLayout }[] =
  [
    { name: "matrix [K, N]", shape: [72, 20], layout: { channelAxis: 1, contractionAxis: 0 } },
    { name: "matrix [N, K]", shape: [20, 72], layout: { channelAxis: 0, contractionAxis: 1 } },
    { name: "convolution", shape: [6, 40, 3, 2], layout: { channelAxis: 0, contractionAxis: 1 } },
  ];

function randomWeights(shape: readonly number[], seed: number): Tensor<"float32"> {
  const tensor = tensorOf("float32", shape, []);
  fillRandom("float32", tensor.data, seed);
  // Heavier tails than the uniform distribution has.
  return { ...tensor, data: tensor.data.map((value) => value ** 3 + 0.02) };
}

/** Sums of uniform values. */
function normalWeights(shape: readonly number[], seed: number): Tensor<"float32"> {
  const tensor = tensorOf("float32", shape, []);
  const parts = new Float32Array(8 * tensor.data.length);
  fillRandom("float32", parts, seed);
  return { ...tensor, data: tensor.data.map((_, i) => parts.subarray(8 * i, 8 * i + 8).reduce((a, b) => a + b, 0)) };
}

function blocksOf(rounded: RoundedWeights | undefined): RoundedWeights & { readonly storage: BlockStorage } {
  const storage = rounded?.storage;
  if (!rounded || (storage?.kind !== "int4" && storage?.kind !== "nf4")) throw new Error("blocks were expected");
  return { ...rounded, storage };
}

/** Index of the scale of element `index`, by the definition of BlockStorage. */
function blockAt(index: number, shape: readonly number[], { axis, blockSize }: BlockStorage): number {
  const inner = shape.slice(axis + 1).reduce((product, extent) => product * extent, 1);
  const extent = shape[axis] ?? 1;
  const outer = Math.floor(index / (inner * extent));
  const along = Math.floor(index / inner) % extent;
  return (outer * Math.ceil(extent / blockSize) + Math.floor(along / blockSize)) * inner + (index % inner);
}

describe.each(layouts)("$name", ({ shape, layout }) => {
  test.each(fourBits.map((scheme) => ({ scheme, name: schemeName(scheme) })))(
    "$name is what its storage says",
    ({ scheme }) => {
      const tensor = randomWeights(shape, 11);
      const { tensor: rounded, storage } = blocksOf(roundWeights(tensor, scheme, layout));
      expect(storage.kind).toBe(scheme.kind);
      expect(storage.axis).toBe(layout.contractionAxis);
      expect(storage.blockSize).toBe(scheme.blockSize);
      expect(storage.zeros !== undefined).toBe(scheme.zeros);
      const lines = tensor.data.length / (shape[storage.axis] ?? 1);
      expect(storage.scales).toHaveLength(lines * Math.ceil((shape[storage.axis] ?? 1) / scheme.blockSize));
      for (const scale of storage.scales) expect(float16ToNumber(numberToFloat16(scale))).toBe(scale);
      for (const [index, value] of rounded.data.entries()) {
        const block = blockAt(index, shape, storage);
        const scale = storage.scales[block] ?? 0;
        const zero = storage.zeros?.[block] ?? 8;
        const steps =
          scheme.kind === "nf4"
            ? nf4Code.map((code) => Math.fround(scale * code))
            : Array.from({ length: 16 }, (_, q) => scale * (q - zero));
        expect(steps.some((step) => step === value)).toBe(true);
      }
    },
  );
});

test("the same weights transposed are rounded alike", () => {
  const tensor = randomWeights([40, 12], 5);
  const transposed = tensorOf("float32", [12, 40], []);
  for (const [i, value] of tensor.data.entries()) transposed.data[(i % 12) * 40 + Math.floor(i / 12)] = value;
  for (const scheme of fourBits) {
    const straight = blocksOf(roundWeights(tensor, scheme, { channelAxis: 1, contractionAxis: 0 })).tensor;
    const turned = blocksOf(roundWeights(transposed, scheme, { channelAxis: 0, contractionAxis: 1 })).tensor;
    for (const [i, value] of straight.data.entries())
      expect(turned.data[(i % 12) * 40 + Math.floor(i / 12)]).toBe(value);
  }
});

test("blocks of zeros have a scale to divide by", () => {
  const tensor = tensorOf("float32", [1, 32], []);
  for (const scheme of fourBits) {
    const { tensor: rounded, storage } = blocksOf(roundWeights(tensor, scheme, { channelAxis: 0, contractionAxis: 1 }));
    expect([...rounded.data]).toEqual([...tensor.data]);
    for (const scale of storage.scales) expect(scale).not.toBe(0);
  }
});

test("what a scheme cannot hold is refused", () => {
  const layout = { channelAxis: 0, contractionAxis: 1 };
  const scheme = fourBits[1] as Scheme;
  expect(roundWeights(tensorOf("float32", [64, 4], []), scheme, layout)).toBeUndefined();
  expect(roundWeights(tensorOf("float32", [1, 16], [Number.NaN]), scheme, layout)).toBeUndefined();
  expect(roundWeights(tensorOf("float32", [1, 16], [3e6, -3e6]), scheme, layout)).toBeUndefined();
});

function plainError(tensor: Tensor<"float32">, blockSize: number, kind: string): number {
  let sum = 0;
  for (let start = 0; start < tensor.data.length; start += blockSize) {
    const block = tensor.data.subarray(start, start + blockSize);
    const [least, most] = [Math.min(0, ...block), Math.max(0, ...block)];
    const scale = float16ToNumber(
      numberToFloat16(
        kind === "int4/32" ? (most - least) / 15 : Math.max(most, -least) / (kind.startsWith("nf4") ? 1 : 7),
      ),
    );
    const zero = kind === "int4/32" ? Math.round(-least / scale) : 8;
    const levels = kind.startsWith("nf4") ? nf4Code : Array.from({ length: 16 }, (_, q) => q - zero);
    for (const value of block) sum += Math.min(...levels.map((level) => (value - scale * level) ** 2));
  }
  return sum;
}

test.each([
  { scheme: { kind: "int4", blockSize: 32, zeros: true }, share: 0.92 },
  { scheme: { kind: "int4", blockSize: 32, zeros: false }, share: 0.8 },
  { scheme: { kind: "nf4", blockSize: 32, zeros: false }, share: 0.85 },
] as const)(
  "$scheme.kind, zeros $scheme.zeros: at most $share of the error of the whole range as it is",
  ({ scheme, share }) => {
    const tensor = normalWeights([64, 256], 3);
    const { tensor: rounded } = blocksOf(roundWeights(tensor, scheme, { channelAxis: 0, contractionAxis: 1 }));
    const error = tensor.data.reduce((sum, value, i) => sum + (value - (rounded.data[i] ?? 0)) ** 2, 0);
    expect(error).toBeLessThan(share * plainError(tensor, 32, schemeName(scheme)));
  },
);

test("errors move to where the input is small", () => {
  const tensor = normalWeights([64, 256], 3);
  const layout = { channelAxis: 0, contractionAxis: 1 };
  const meanSquares = Float64Array.from({ length: 256 }, (_, i) => (i % 8 === 0 ? 30 : 0.1));
  const error = (rounded: RoundedWeights): number =>
    tensor.data.reduce(
      (sum, value, i) => sum + (meanSquares[i % 256] ?? 0) * (value - (rounded.tensor.data[i] ?? 0)) ** 2,
      0,
    );
  for (const scheme of fourBits) {
    const blind = error(blocksOf(roundWeights(tensor, scheme, layout)));
    expect(error(blocksOf(roundWeights(tensor, scheme, layout, { meanSquares })))).toBeLessThan(0.8 * blind);
  }
});
