import { expect, test } from "vitest";
import { type Quality, QualityMeter, type Truth } from "../../compiler/budget/quality.ts";
import type { Sample } from "../../compiler/budget/tools.ts";
import { tensorOf } from "../../runtime/format/tensor.ts";

const logits = (...values: number[]) => ({ y: tensorOf("float32", [1, values.length], values) });

function compareOutputs(expected: readonly Sample[], received: readonly Sample[], truth: Truth = {}): Quality {
  const meter = new QualityMeter(truth);
  for (const [index, outputs] of expected.entries()) meter.add(outputs, received[index] as Sample);
  return meter.finish();
}

test("equal outputs are perfect", () => {
  const outputs = [logits(1, 2, 3), logits(-1, 0, 5)];
  const quality = compareOutputs(outputs, outputs, { labels: [2, 0] });
  expect(quality).toMatchObject({ samples: 2, score: 1, accuracy: { reference: 0.5, quantised: 0.5 } });
  expect(quality.outputs[0]).toMatchObject({ sqnr: Infinity, classes: { agreement: 1, topFive: 1, divergence: 0 } });
});

test("SQNR, cosine and divergence are those of the definitions", () => {
  const [output] = compareOutputs([logits(3, 4)], [logits(4, 3)]).outputs;
  expect(output?.sqnr).toBeCloseTo(10 * Math.log10(25 / 2), 9);
  expect(output?.cosine).toBeCloseTo(24 / 25, 9);
  const p = 1 / (1 + Math.E);
  expect(output?.classes?.divergence).toBeCloseTo(p * Math.log(p / (1 - p)) + (1 - p) * Math.log((1 - p) / p), 9);
});

test("agreement counts apart where the float model is sure", () => {
  const expected = [logits(5, 0, 0), logits(0.01, 0, -9), logits(0, 6, 0), logits(0, 0, 4)];
  const received = [logits(5, 0, 0), logits(0, 0.01, -9), logits(0, 5, 0), logits(4, 0, 0)];
  const quality = compareOutputs(expected, received);
  expect(quality.outputs[0]?.classes).toMatchObject({ agreement: 0.5, sure: 3, sureAgreement: 2 / 3 });
});

test("the worst group is the one that loses most correct answers", () => {
  const [right, wrong] = [logits(1, 0), logits(0, 1)];
  const quality = compareOutputs([right, right, right, right], [right, right, right, wrong], {
    labels: [0, 0, 0, 0],
    groups: ["day", "day", "night", "night"],
  });
  expect(quality.worstGroup).toEqual({ name: "night", samples: 2, drop: 50 });
  expect(quality.accuracy).toEqual({ reference: 1, quantised: 0.75 });
});

test("outputs that became NaN are no quality at all", () => {
  const quality = compareOutputs([logits(1, 2)], [logits(Number.NaN, 2)]);
  expect(quality.score).toBe(0);
  expect(quality.outputs[0]?.sqnr).toBe(-Infinity);
});
