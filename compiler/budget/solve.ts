/**
 * Solves a ChoiceProblem: Lagrangian prices first (a bound, and choices near the optimum), then a sweep over the items
 * that keeps every partial sum which may still beat them. Exact unless a sweep outgrows its share of `mostStates`, where the
 * partial sums of the least relaxed value go on. Deterministic; 200 items of 8 choices take a fraction of a second.
 */
import { type Amounts, type ChoiceProblem, fits, sumsOf, undominated } from "./choice-problem.ts";
import { relax } from "./relaxation.ts";

/** Partial sums extended in all, about. */
const mostStates = 1_000_000;
const fewestStates = 400;
/** Better states that each one is compared with where several quantities are limited. */
const comparisons = 24;

export type Solution =
  | {
      readonly kind: "solved";
      /** The index of the chosen choice of each item. */
      readonly picks: readonly number[];
      readonly sums: Amounts;
      /** No solution has less of the objective than this. */
      readonly bound: number;
      /** What one unit more of each quantity would save of the objective, by the relaxation. */
      readonly prices: Amounts;
      /** Whether it is proved that nothing is better, or that it fits when that was the goal. */
      readonly exact: boolean;
    }
  /** `exact`: whether it is proved that nothing fits. */
  | { readonly kind: "infeasible"; readonly exact: boolean };

/** `goal` "any": the first choices found that fit will do. */
export function solve(problem: ChoiceProblem, goal: "best" | "any" = "best"): Solution {
  const { items, objective, capacities } = problem;
  const size = capacities.length;
  const limited = capacities.flatMap((capacity, k) => (capacity < Number.POSITIVE_INFINITY ? [k] : []));
  for (const k of limited) {
    const least = items.reduce((sum, choices) => sum + Math.min(...choices.map((choice) => choice[k] as number)), 0);
    if (least > (capacities[k] as number) + slackOf(capacities[k] as number))
      return { kind: "infeasible", exact: true };
  }
  const kept = items.map((choices) => undominated(choices, [objective, ...limited]));
  const reduced: ChoiceProblem = {
    ...problem,
    items: items.map((choices, item) => (kept[item] as readonly number[]).map((at) => choices[at] as Amounts)),
  };
  const binding = limited.filter(
    (k) =>
      reduced.items.reduce((sum, choices) => sum + Math.max(...choices.map((choice) => choice[k] as number)), 0) >
      (capacities[k] as number),
  );
  const { bound, prices, best } = relax(reduced, binding);
  const swept =
    best && goal === "any"
      ? { picks: best.picks, exact: true }
      : new Sweep(reduced, binding, prices, best?.value ?? Number.POSITIVE_INFINITY).run();
  const picks = swept.picks ?? best?.picks;
  if (!picks) return { kind: "infeasible", exact: swept.exact };
  const original = picks.map((pick, item) => (kept[item] as readonly number[])[pick] as number);
  return {
    kind: "solved",
    picks: original,
    sums: sumsOf(items, original, size),
    bound,
    prices,
    exact: swept.exact,
  };
}

/** What rounding may have added to a sum. */
const slackOf = (amount: number): number => 1e-9 * Math.abs(amount);

/** Partial sums after some items: column-wise, one row for the objective and one for every limited quantity. */
interface States {
  readonly count: number;
  readonly sums: readonly Float64Array[];
  readonly pick: Uint16Array;
  readonly parent: Uint32Array;
}

class Sweep {
  readonly #problem: ChoiceProblem;
  /** The objective, then every limited quantity. */
  readonly #rows: readonly number[];
  readonly #prices: readonly number[];
  readonly #incumbent: number;
  readonly #limit: number;
  #exact = true;

  constructor(problem: ChoiceProblem, binding: readonly number[], prices: Amounts, incumbent: number) {
    this.#problem = problem;
    this.#rows = [problem.objective, ...binding];
    this.#prices = [1, ...binding.map((k) => prices[k] as number)];
    this.#incumbent = incumbent;
    const choices = problem.items.reduce((sum, row) => sum + row.length, 0);
    this.#limit = Math.max(fewestStates, Math.floor(mostStates / Math.max(1, choices)));
  }

  /** `picks` when something beats the incumbent. */
  run(): { readonly picks: readonly number[] | undefined; readonly exact: boolean } {
    const { items } = this.#problem;
    // For the items from i on: the least of every quantity, and the least objective with everything at its price.
    const least = this.#rows.map((k) => tails(items, (choice) => choice[k] as number));
    const relaxed = tails(items, (choice) =>
      this.#rows.reduce((sum, k, row) => sum + (this.#prices[row] as number) * (choice[k] as number), 0),
    );
    const fronts: States[] = [
      {
        count: 1,
        sums: this.#rows.map(() => new Float64Array(1)),
        pick: new Uint16Array(1),
        parent: new Uint32Array(1),
      },
    ];
    for (let item = 0; item < items.length; item++) {
      const tail = { least: least.map((row) => row[item + 1] as number), relaxed: relaxed[item + 1] as number };
      fronts.push(this.#thinned(this.#extended(fronts[item] as States, item, tail)));
    }
    return { picks: this.#bestOf(fronts), exact: this.#exact };
  }

  #bestOf(fronts: readonly States[]): readonly number[] | undefined {
    const { items, objective, capacities } = this.#problem;
    const last = fronts.at(-1) as States;
    const values = last.sums[0] as Float64Array;
    const order = Array.from({ length: last.count }, (_, state) => state).sort(
      (left, right) => (values[left] as number) - (values[right] as number),
    );
    for (const end of order) {
      if ((values[end] as number) >= this.#incumbent) return undefined;
      const picks = new Array<number>(items.length);
      for (let item = items.length, state = end; item > 0; item--) {
        const front = fronts[item] as States;
        picks[item - 1] = front.pick[state] as number;
        state = front.parent[state] as number;
      }
      const sums = sumsOf(items, picks, capacities.length);
      if (fits(sums, capacities) && (sums[objective] as number) < this.#incumbent) return picks;
    }
    return undefined;
  }

  /** Every state with every choice that may still end within the capacities and below the incumbent. */
  #extended(
    front: States,
    item: number,
    tail: { readonly least: readonly number[]; readonly relaxed: number },
  ): States & { readonly keys: Float64Array } {
    const { items, capacities } = this.#problem;
    const choices = items[item] as readonly Amounts[];
    const most = front.count * choices.length;
    const sums = this.#rows.map(() => new Float64Array(most));
    const pick = new Uint16Array(most);
    const parent = new Uint32Array(most);
    const keys = new Float64Array(most);
    const rooms = this.#rows.map((k, row) => {
      const capacity = capacities[k] as number;
      return row === 0 ? Number.POSITIVE_INFINITY : capacity + slackOf(capacity) - (tail.least[row] as number);
    });
    let credit = 0;
    for (const [row, k] of this.#rows.entries())
      if (row > 0) credit += (this.#prices[row] as number) * (capacities[k] as number);
    const ceiling = this.#incumbent + slackOf(this.#incumbent) + credit - tail.relaxed + slackOf(credit);
    let count = 0;
    for (let state = 0; state < front.count; state++) {
      for (const [at, choice] of choices.entries()) {
        let key = 0;
        let isWithin = true;
        for (const [row, k] of this.#rows.entries()) {
          const sum = ((front.sums[row] as Float64Array)[state] as number) + (choice[k] as number);
          (sums[row] as Float64Array)[count] = sum;
          key += (this.#prices[row] as number) * sum;
          if (sum > (rooms[row] as number)) isWithin = false;
        }
        if (!isWithin || key > ceiling) continue;
        pick[count] = at;
        parent[count] = state;
        keys[count] = key;
        count++;
      }
    }
    return { count, sums, pick, parent, keys };
  }

  /** Without dominated states, and without the least promising ones beyond the limit. */
  #thinned({ count, sums, pick, parent, keys }: States & { readonly keys: Float64Array }): States {
    const order = Uint32Array.from({ length: count }, (_, state) => state);
    const [values, single] = sums as [Float64Array, Float64Array | undefined];
    const kept: number[] = [];
    if (this.#rows.length === 2 && single) {
      order.sort(
        (left, right) =>
          (single[left] as number) - (single[right] as number) ||
          (values[left] as number) - (values[right] as number) ||
          left - right,
      );
      let lowest = Number.POSITIVE_INFINITY;
      for (const state of order) {
        if ((values[state] as number) >= lowest) continue;
        lowest = values[state] as number;
        kept.push(state);
      }
      if (kept.length > this.#limit) {
        this.#exact = false;
        kept.sort((left, right) => (keys[left] as number) - (keys[right] as number) || left - right);
        kept.length = this.#limit;
      }
    } else {
      order.sort((left, right) => (keys[left] as number) - (keys[right] as number) || left - right);
      for (const state of order) {
        if (isDominated(sums, kept, state)) continue;
        if (kept.length >= this.#limit) {
          this.#exact = false;
          break;
        }
        kept.push(state);
      }
    }
    return {
      count: kept.length,
      sums: sums.map((row) => Float64Array.from(kept, (state) => row[state] as number)),
      pick: Uint16Array.from(kept, (state) => pick[state] as number),
      parent: Uint32Array.from(kept, (state) => parent[state] as number),
    };
  }
}

/** Whether one of the last kept states has no more of anything. */
function isDominated(sums: readonly Float64Array[], kept: readonly number[], state: number): boolean {
  for (let i = kept.length - 1; i >= 0 && i >= kept.length - comparisons; i--) {
    const other = kept[i] as number;
    if (sums.every((row) => (row[other] as number) <= (row[state] as number))) return true;
  }
  return false;
}

/** [i]: the sum over the items from i on of the least `of` among their choices. */
function tails(items: ChoiceProblem["items"], of: (choice: Amounts) => number): Float64Array {
  const sums = new Float64Array(items.length + 1);
  for (let i = items.length - 1; i >= 0; i--)
    sums[i] = (sums[i + 1] as number) + Math.min(...(items[i] as readonly Amounts[]).map(of));
  return sums;
}
