import { expect, test } from "vitest";
import { type Choice, solveKnapsack } from "../../compiler/budget/knapsack.ts";

/** Mulberry32. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

function randomItems(random: () => number, count: number, choices: number, coarse: boolean): Choice[][] {
  const value = (scale: number): number => (coarse ? Math.floor(random() * 6) : random() * scale);
  return Array.from({ length: count }, () =>
    Array.from({ length: 1 + Math.floor(random() * choices) }, () => ({
      bytes: Math.floor(value(1000)),
      error: value(1),
    })),
  );
}

const totalOf = (items: readonly (readonly Choice[])[], picks: readonly number[], key: keyof Choice): number =>
  picks.reduce((sum, pick, item) => sum + (items[item]?.[pick]?.[key] ?? Number.NaN), 0);

/** Least error over every combination. */
function bruteForce(items: readonly (readonly Choice[])[], capacity: number): number | undefined {
  let best: number | undefined;
  const visit = (item: number, bytes: number, error: number): void => {
    if (bytes > capacity) return;
    const choices = items[item];
    if (!choices) {
      if (best === undefined || error < best) best = error;
      return;
    }
    for (const choice of choices) visit(item + 1, bytes + choice.bytes, error + choice.error);
  };
  visit(0, 0, 0);
  return best;
}

test("300 random instances agree with brute force", () => {
  const random = generator(7);
  let feasible = 0;
  for (let round = 0; round < 300; round++) {
    const items = randomItems(random, 1 + Math.floor(random() * 7), 4, round % 3 === 0);
    const most = items.reduce((sum, choices) => sum + Math.max(...choices.map(({ bytes }) => bytes)), 0);
    const capacity = Math.floor(random() * most * 1.1);
    const picks = solveKnapsack(items, capacity);
    const expected = bruteForce(items, capacity);
    if (expected === undefined) {
      expect(picks, `instance ${round}`).toBeUndefined();
      continue;
    }
    feasible++;
    expect(picks, `instance ${round}`).toBeDefined();
    expect(totalOf(items, picks ?? [], "bytes")).toBeLessThanOrEqual(capacity);
    expect(totalOf(items, picks ?? [], "error"), `instance ${round}`).toBeCloseTo(expected, 10);
  }
  expect(feasible).toBeGreaterThan(150);
});

test("200 layers of three options: within the bytes, and close to the relaxation's bound", () => {
  const random = generator(11);
  const items = Array.from({ length: 200 }, () => {
    const elements = 1000 + Math.floor(random() * 200_000);
    const error = random() ** 4 * 1e-3;
    return [
      { bytes: elements * 4, error: 0 },
      { bytes: elements * 2, error: error * 1e-4 },
      { bytes: elements + 128, error },
    ];
  });
  const full = items.reduce((sum, [first]) => sum + (first?.bytes ?? 0), 0);
  for (const share of [0.3, 0.4, 0.5, 0.75]) {
    const capacity = Math.floor(full * share);
    const picks = solveKnapsack(items, capacity) ?? [];
    const error = totalOf(items, picks, "error");
    expect(totalOf(items, picks, "bytes")).toBeLessThanOrEqual(capacity);
    // Any multiplier gives a lower bound of the optimum; the best of many is close to it.
    let bound = 0;
    for (let exponent = -16; exponent < -4; exponent += 0.05) {
      const slope = 10 ** exponent;
      const relaxed = items.reduce(
        (sum, choices) => sum + Math.min(...choices.map((choice) => choice.error + slope * choice.bytes)),
        -slope * capacity,
      );
      bound = Math.max(bound, relaxed);
    }
    expect(error).toBeGreaterThanOrEqual(bound * (1 - 1e-9));
    expect(error).toBeLessThanOrEqual(bound * 1.05 + 1e-12);
  }
});

test("the order of the options does not matter", () => {
  const random = generator(3);
  for (let round = 0; round < 50; round++) {
    const items = randomItems(random, 6, 4, false);
    const reversed = items.map((choices) => [...choices].reverse());
    const capacity = 2500;
    const picks = solveKnapsack(items, capacity);
    const mirrored = solveKnapsack(reversed, capacity);
    expect(mirrored?.map((pick, item) => reversed[item]?.[pick])).toEqual(
      picks?.map((pick, item) => items[item]?.[pick]),
    );
  }
});
