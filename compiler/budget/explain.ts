/**
 * Why no choice fits, with certificates that a reader can check: which limits exclude one another (none can be left out),
 * the least each quantity can be while the others keep their limits, and the choices that exceed the limits by the
 * smallest common share.
 */
import { type Amounts, type ChoiceProblem, sumsOf } from "./choice-problem.ts";
import { type Solution, solve } from "./solve.ts";

export interface Explanation {
  /** Indices of limited quantities that nothing can keep together, though any one fewer could be kept. */
  readonly conflict: readonly number[];
  /** The least of each limited quantity with all other limits kept; undefined when those alone exclude everything. */
  readonly least: readonly {
    readonly quantity: number;
    readonly amount: number | undefined;
    readonly picks: readonly number[] | undefined;
  }[];
  /** Limits of which raising one alone is enough, to the amount that is; the smallest share first, three at most. */
  readonly relaxations: readonly { readonly quantity: number; readonly amount: number; readonly share: number }[];
  /** Choices whose worst excess, as a share of its limit, is least. */
  readonly nearest: { readonly picks: readonly number[]; readonly sums: Amounts; readonly excess: number };
  /** Whether every statement is proved. */
  readonly exact: boolean;
}

const mostRelaxations = 3;
const bisections = 30;

/** Of a problem that `solve` found infeasible. */
export function explain(problem: ChoiceProblem): Explanation {
  return new Explainer(problem).explain();
}

class Explainer {
  readonly #problem: ChoiceProblem;
  readonly #limited: readonly number[];
  #exact = true;

  constructor(problem: ChoiceProblem) {
    this.#problem = problem;
    this.#limited = problem.capacities.flatMap((capacity, k) => (Number.isFinite(capacity) ? [k] : []));
  }

  explain(): Explanation {
    const { capacities } = this.#problem;
    const least = this.#limited.map((quantity) => ({ quantity, ...this.#leastOf(quantity) }));
    const relaxations = least
      .flatMap(({ quantity, amount }) => {
        const limit = capacities[quantity] as number;
        return amount === undefined ? [] : [{ quantity, amount, share: shareOf(amount, limit) }];
      })
      .sort((left, right) => left.share - right.share)
      .slice(0, mostRelaxations);
    return { conflict: this.#conflict(), least, relaxations, nearest: this.#nearest(), exact: this.#exact };
  }

  #solve(capacities: Amounts, goal: "best" | "any", objective = this.#problem.objective): Solution {
    const solution = solve({ ...this.#problem, objective, capacities }, goal);
    if (!solution.exact) this.#exact = false;
    return solution;
  }

  #leastOf(quantity: number): { readonly amount: number | undefined; readonly picks: readonly number[] | undefined } {
    const solution = this.#solve(without(this.#problem.capacities, [quantity]), "best", quantity);
    const isSolved = solution.kind === "solved";
    return { amount: isSolved ? solution.sums[quantity] : undefined, picks: isSolved ? solution.picks : undefined };
  }

  /** Leaves out one limit after the other while the rest still excludes everything. */
  #conflict(): readonly number[] {
    const left = new Set<number>();
    for (const k of this.#limited) {
      left.add(k);
      if (this.#solve(without(this.#problem.capacities, [...left]), "any").kind === "solved") left.delete(k);
    }
    return this.#limited.filter((k) => !left.has(k));
  }

  /** By bisection over the share by which every limit is raised. */
  #nearest(): Explanation["nearest"] {
    const { items, capacities } = this.#problem;
    const raised = (share: number): Solution =>
      this.#solve(
        capacities.map((capacity) => (Number.isFinite(capacity) ? capacity + share * scaleOf(capacity) : capacity)),
        "any",
      );
    let low = 0;
    let high = 1 / 64;
    let solution = raised(high);
    while (solution.kind === "infeasible" && high < 2 ** 60) {
      low = high;
      high *= 4;
      solution = raised(high);
    }
    for (let step = 0; step < bisections && high - low > 1e-6 * high; step++) {
      const middle = (low + high) / 2;
      const found = raised(middle);
      if (found.kind === "solved") {
        solution = found;
        high = middle;
      } else low = middle;
    }
    const picks = solution.kind === "solved" ? solution.picks : items.map(() => 0);
    const sums = sumsOf(items, picks, capacities.length);
    const excess = Math.max(...this.#limited.map((k) => shareOf(sums[k] as number, capacities[k] as number)));
    return { picks, sums, excess };
  }
}

const scaleOf = (limit: number): number => Math.max(Math.abs(limit), Number.MIN_VALUE);

/** By which share of the limit an amount exceeds it. */
const shareOf = (amount: number, limit: number): number => (amount - limit) / scaleOf(limit);

const without = (capacities: Amounts, quantities: readonly number[]): Amounts =>
  capacities.map((capacity, k) => (quantities.includes(k) ? Number.POSITIVE_INFINITY : capacity));
