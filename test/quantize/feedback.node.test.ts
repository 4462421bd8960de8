import { describe, expect, test } from "vitest";
import { roundWeights } from "../../compiler/quantize/round-weights.ts";
import type { Scheme } from "../../compiler/quantize/scheme.ts";
import { prepareMoments } from "../../compiler/quantize/second-moments.ts";
import { fillRandom } from "../../runtime/format/random.ts";
import { type Tensor, tensorOf } from "../../runtime/format/tensor.ts";

const columns = 96;
const layout = { channelAxis: 0, contractionAxis: 1 };

/** Inputs whose columns are mixtures of a few sources, with a little noise of their own. */
function correlatedMoments(samples: number): Float64Array {
  const sources = 12;
  const random = new Float32Array(samples * (sources + columns) + sources * columns);
  fillRandom("float32", random, 21);
  const mixing = random.subarray(samples * (sources + columns));
  const moments = new Float64Array(columns * columns);
  const x = new Float64Array(columns);
  for (let s = 0; s < samples; s++) {
    const here = random.subarray(s * (sources + columns), (s + 1) * (sources + columns));
    for (let c = 0; c < columns; c++) {
      let sum = 0.2 * (here[sources + c] ?? 0);
      for (let k = 0; k < sources; k++) sum += (here[k] ?? 0) * (mixing[k * columns + c] ?? 0);
      x[c] = sum;
    }
    for (let i = 0; i < columns * columns; i++)
      moments[i] = (moments[i] ?? 0) + ((x[Math.floor(i / columns)] ?? 0) * (x[i % columns] ?? 0)) / samples;
  }
  return moments;
}

const moments = correlatedMoments(400);
const meanSquares = Float64Array.from({ length: columns }, (_, i) => moments[i * columns + i] ?? 0);

function randomWeights(rows: number): Tensor<"float32"> {
  const tensor = tensorOf("float32", [rows, columns], []);
  fillRandom("float32", tensor.data, 4);
  return tensor;
}

/** Mean square of what rounding does to the outputs. */
function outputLoss(tensor: Tensor<"float32">, rounded: Tensor<"float32"> | undefined): number {
  if (!rounded) throw new Error("nothing was rounded");
  let loss = 0;
  for (let start = 0; start < tensor.data.length; start += columns) {
    for (let i = 0; i < columns; i++) {
      const error = (tensor.data[start + i] ?? 0) - (rounded.data[start + i] ?? 0);
      for (let j = 0; j < columns; j++) {
        const other = (tensor.data[start + j] ?? 0) - (rounded.data[start + j] ?? 0);
        loss += error * other * (moments[i * columns + j] ?? 0);
      }
    }
  }
  return loss;
}

test("the factors multiply to the damped moments", () => {
  const { matrix, upper, pivots } = prepareMoments(moments, columns);
  for (let i = 0; i < columns; i++) {
    expect(pivots[i]).toBeGreaterThan(0);
    for (let j = 0; j < columns; j++) {
      let sum = 0;
      for (let c = Math.max(i, j); c < columns; c++) {
        const left = c === i ? 1 : (upper[i * columns + c] ?? 0);
        const right = c === j ? 1 : (upper[j * columns + c] ?? 0);
        sum += left * (pivots[c] ?? 0) * right;
      }
      expect(sum).toBeCloseTo(matrix[i * columns + j] ?? 0, 5);
      if (j <= i) expect(upper[i * columns + j]).toBe(0);
    }
  }
});

describe.each([
  { scheme: { kind: "int4", blockSize: 32, zeros: true } },
  { scheme: { kind: "int4", blockSize: 16, zeros: false } },
  { scheme: { kind: "nf4", blockSize: 64, zeros: false } },
] as const satisfies readonly { scheme: Scheme }[])("$scheme.kind in blocks of $scheme.blockSize", ({ scheme }) => {
  const tensor = randomWeights(24);

  test("outputs lose much less when errors make up for each other", () => {
    const blind = outputLoss(tensor, roundWeights(tensor, scheme, layout, { meanSquares })?.tensor);
    const informed = outputLoss(tensor, roundWeights(tensor, scheme, layout, { meanSquares, moments })?.tensor);
    expect(informed).toBeLessThan(0.35 * blind);
  });

  test("an input that is always zero leaves nearest rounding", () => {
    const none = new Float64Array(columns * columns);
    const rounded = roundWeights(tensor, scheme, layout, { meanSquares: new Float64Array(columns), moments: none });
    const blind = roundWeights(tensor, scheme, layout);
    const error = (result: typeof blind): number =>
      tensor.data.reduce((sum, value, i) => sum + (value - (result?.tensor.data[i] ?? 0)) ** 2, 0);
    expect(error(rounded)).toBeLessThan(1.02 * error(blind));
  });

  test("the same twice", () => {
    const first = roundWeights(tensor, scheme, layout, { meanSquares, moments });
    expect(roundWeights(tensor, scheme, layout, { meanSquares, moments })).toEqual(first);
  });
});
