import { expect, test } from "vitest";
import { type Amounts, fits, sumsOf } from "../../compiler/budget/choice-problem.ts";
import { solve } from "../../compiler/budget/solve.ts";
import { bruteForce, generator, randomCapacities, randomItems } from "./random-choices.ts";

test("500 random instances with up to four limits agree with brute force", () => {
  const random = generator(7);
  let feasible = 0;
  for (let round = 0; round < 500; round++) {
    const quantities = 2 + (round % 4);
    const items = randomItems(random, {
      items: 1 + Math.floor(random() * 6),
      choices: 5,
      quantities,
      coarse: round % 3 === 0,
    });
    const problem = { items, objective: 0, capacities: randomCapacities(random, items, quantities) };
    const solution = solve(problem);
    const expected = bruteForce(problem);
    expect(solution.exact, `instance ${round}`).toBe(true);
    if (expected === undefined) {
      expect(solution.kind, `instance ${round}`).toBe("infeasible");
      continue;
    }
    feasible++;
    if (solution.kind !== "solved") throw new Error(`instance ${round} has a solution`);
    expect(fits(solution.sums, problem.capacities), `instance ${round}`).toBe(true);
    expect(solution.sums).toEqual(sumsOf(items, solution.picks, quantities));
    expect(solution.sums[0], `instance ${round}`).toBeCloseTo(expected, 9);
    expect(solution.bound).toBeLessThanOrEqual(expected * (1 + 1e-9) + 1e-9);
  }
  expect(feasible).toBeGreaterThan(250);
  expect(feasible).toBeLessThan(490);
});

/** Layers like those of a model: loss, bytes, time and energy of eight schemes. */
function layers(random: () => number, count: number): Amounts[][] {
  return Array.from({ length: count }, () => {
    const elements = 1000 + Math.floor(random() * 200_000);
    const work = elements * (1 + Math.floor(random() * 400));
    const loss = random() ** 4 * 1e-3;
    return [4, 2, 1.02, 1, 0.75, 0.56, 0.5, 0.3].map((bytes, scheme) => [
      scheme === 0 ? 0 : loss * 4 ** (scheme - 5) * (0.5 + random()),
      Math.round(elements * bytes),
      work * (scheme === 3 ? 0.45 : 1 + 0.1 * random()),
      work * (scheme === 3 ? 0.4 : 1) + elements * bytes * 20,
    ]);
  });
}

test("200 layers of eight schemes: within every limit, close to the bound, without a long search", () => {
  const random = generator(11);
  const items = layers(random, 200);
  const total = (k: number): number => items.reduce((sum, [first]) => sum + (first?.[k] as number), 0);
  const none = Number.POSITIVE_INFINITY;
  for (const capacities of [
    [none, 0.3 * total(1), none, none],
    [none, 0.15 * total(1), none, none],
    [none, 0.4 * total(1), 0.8 * total(2), none],
    [none, 0.3 * total(1), 0.7 * total(2), 0.65 * total(3)],
  ]) {
    const solution = solve({ items, objective: 0, capacities });
    if (solution.kind !== "solved") throw new Error("there is a solution");
    expect(fits(solution.sums, capacities)).toBe(true);
    expect(solution.sums[0]).toBeGreaterThanOrEqual(solution.bound * (1 - 1e-9));
    expect(solution.sums[0]).toBeLessThanOrEqual(solution.bound * 1.02);
  }
});

test("the order of the choices does not matter", () => {
  const random = generator(3);
  for (let round = 0; round < 50; round++) {
    const items = randomItems(random, { items: 6, choices: 4, quantities: 3, coarse: false });
    const reversed = items.map((choices) => [...choices].reverse());
    const capacities = randomCapacities(random, items, 3);
    const [one, other] = [items, reversed].map((rows) => solve({ items: rows, objective: 0, capacities }));
    if (one?.kind !== "solved" || other?.kind !== "solved") {
      expect(other?.kind).toBe(one?.kind);
      continue;
    }
    expect(other.picks.map((pick, item) => reversed[item]?.[pick])).toEqual(
      one.picks.map((pick, item) => items[item]?.[pick]),
    );
  }
});
