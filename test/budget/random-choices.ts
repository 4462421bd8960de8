/** Random choice problems, and what trying every combination says of them. */
import { type Amounts, type ChoiceProblem, fits, sumsOf } from "../../compiler/budget/choice-problem.ts";

/** Mulberry32. */
export function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** `quantities` amounts per choice; small integers with many ties when `coarse`. */
export function randomItems(
  random: () => number,
  { items, choices, quantities, coarse }: Record<"items" | "choices" | "quantities", number> & { coarse: boolean },
): Amounts[][] {
  return Array.from({ length: items }, () =>
    Array.from({ length: 1 + Math.floor(random() * choices) }, () =>
      Array.from({ length: quantities }, () => (coarse ? Math.floor(random() * 6) : random() * 100)),
    ),
  );
}

/** Capacities between the least and the most that the items can have, some of them absent. */
export function randomCapacities(random: () => number, items: ChoiceProblem["items"], quantities: number): number[] {
  return Array.from({ length: quantities }, (_, k) => {
    if (k === 0 || random() < 0.15) return Number.POSITIVE_INFINITY;
    const total = (of: (...values: number[]) => number): number =>
      items.reduce((sum, choices) => sum + of(...choices.map((choice) => choice[k] as number)), 0);
    const [least, most] = [total(Math.min), total(Math.max)];
    return least + (most - least) * (random() * 1.1 - 0.03);
  });
}

/** The least objective over every combination that fits; undefined when none does. */
export function bruteForce({ items, objective, capacities }: ChoiceProblem): number | undefined {
  let best: number | undefined;
  const picks: number[] = [];
  const visit = (item: number): void => {
    if (item === items.length) {
      const sums = sumsOf(items, picks, capacities.length);
      if (fits(sums, capacities) && (best === undefined || (sums[objective] as number) < best))
        best = sums[objective] as number;
      return;
    }
    for (let pick = 0; pick < (items[item] as readonly Amounts[]).length; pick++) {
      picks[item] = pick;
      visit(item + 1);
    }
  };
  visit(0);
  return best;
}
