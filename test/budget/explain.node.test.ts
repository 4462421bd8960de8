import { expect, test } from "vitest";
import { type Amounts, sumsOf } from "../../compiler/budget/choice-problem.ts";
import { explain } from "../../compiler/budget/explain.ts";
import { paretoFront } from "../../compiler/budget/front.ts";
import { limitText } from "../../compiler/budget/limit-text.ts";
import { solve } from "../../compiler/budget/solve.ts";
import { bruteForce, generator, randomItems } from "./random-choices.ts";

const none = Number.POSITIVE_INFINITY;

/** Every combination's sums. */
function combinations(items: readonly (readonly Amounts[])[], quantities: number): Amounts[] {
  let picks: number[][] = [[]];
  for (const choices of items) picks = picks.flatMap((known) => choices.map((_, pick) => [...known, pick]));
  return picks.map((known) => sumsOf(items, known, quantities));
}

test("certificates of 150 infeasible instances are what brute force says", () => {
  const random = generator(23);
  let conflicts = 0;
  for (let round = 0, seen = 0; seen < 150; round++) {
    const quantities = 3 + (round % 3);
    const items = randomItems(random, { items: 1 + Math.floor(random() * 4), choices: 4, quantities, coarse: false });
    const capacities = Array.from({ length: quantities }, (_, k) => {
      const least = items.reduce((sum, choices) => sum + Math.min(...choices.map((choice) => choice[k] as number)), 0);
      return k === 0 || random() < 0.2 ? none : least * (0.9 + random() * 0.6) + 1;
    });
    const problem = { items, objective: 0, capacities };
    if (bruteForce(problem) !== undefined) continue;
    seen++;
    expect(solve(problem).kind).toBe("infeasible");
    const { conflict, least, relaxations, nearest, exact } = explain(problem);
    expect(exact).toBe(true);
    if (conflict.length > 1) conflicts++;
    const only = (kept: readonly number[]): number[] =>
      capacities.map((capacity, k) => (kept.includes(k) ? capacity : none));
    expect(bruteForce({ ...problem, capacities: only(conflict) })).toBeUndefined();
    for (const k of conflict)
      expect(bruteForce({ ...problem, capacities: only(conflict.filter((other) => other !== k)) })).toBeDefined();
    for (const { quantity, amount } of least) {
      const others = capacities.map((capacity, k) => (k === quantity ? none : capacity));
      const expected = bruteForce({ items, objective: quantity, capacities: others });
      if (expected === undefined) expect(amount).toBeUndefined();
      else expect(amount).toBeCloseTo(expected, 9);
    }
    for (const { quantity, amount } of relaxations)
      expect(bruteForce({ ...problem, capacities: capacities.with(quantity, amount) })).toBeDefined();
    expect(relaxations.map(({ share }) => share)).toEqual(relaxations.map(({ share }) => share).sort((a, b) => a - b));
    const excessOf = (sums: Amounts): number =>
      Math.max(
        ...capacities.map((capacity, k) => (capacity === none ? -none : ((sums[k] as number) - capacity) / capacity)),
      );
    const smallest = Math.min(...combinations(items, quantities).map(excessOf));
    expect(nearest.excess).toBeCloseTo(excessOf(nearest.sums), 12);
    expect(nearest.excess).toBeLessThanOrEqual(smallest * (1 + 1e-5) + 1e-9);
  }
  expect(conflicts).toBeGreaterThan(30);
});

test("no combination is better than a point of the front in everything", () => {
  const random = generator(5);
  for (let round = 0; round < 60; round++) {
    const items = randomItems(random, { items: 5, choices: 4, quantities: 3, coarse: round % 2 === 0 });
    const points = paretoFront(items, { loss: 0, costs: [1, 2], quantities: 3, points: 12 });
    const all = combinations(items, 3);
    for (const { picks, sums } of points) {
      expect(sums).toEqual(sumsOf(items, picks, 3));
      expect(all.some((other) => other.every((amount, k) => amount < (sums[k] as number) - 1e-9))).toBe(false);
    }
    const least = (k: number): number => Math.min(...all.map((sums) => sums[k] as number));
    for (const k of [0, 1, 2])
      expect(Math.min(...points.map(({ sums }) => sums[k] as number))).toBeCloseTo(least(k), 9);
  }
});

test("a limit in words can be kept by what it was said of", () => {
  for (const amount of [0.22572, 20, 3.3051798905210648, 1e-5 / 3]) {
    const said = Number(/[\d.e-]+/.exec(limitText("latency", amount).replace("at most ", ""))?.[0]);
    expect(said).toBeGreaterThanOrEqual(amount);
    expect(said).toBeLessThanOrEqual(1.0011 * amount);
  }
  for (const quality of [0.99, 0.9999778, 0.5, 1])
    expect(Number(limitText("quality", quality).replace("at least ", ""))).toBeLessThanOrEqual(quality);
});
