/**
 * The Lagrangian relaxation of a ChoiceProblem: every limited quantity has a price instead of a limit, and each item takes
 * its cheapest choice. Gives a lower bound of the optimum for any prices, the prices of the best bound, and choices near the optimum.
 */
import { type Amounts, type ChoiceProblem, fits, sumsOf } from "./choice-problem.ts";

/** Steps of the subgradient method behind the line searches. */
const subgradientSteps = 120;
const lineSearches = 3;
const bisections = 40;
/** Infeasible answers on the way that are repaired. */
const mostRepairs = 24;

export interface Relaxation {
  /** No solution has less than this of the objective. */
  readonly bound: number;
  /** Objective per unit of every quantity; 0 where there is no limit or it does not bind. */
  readonly prices: Amounts;
  /** The best choices found that fit. */
  readonly best: { readonly picks: readonly number[]; readonly value: number } | undefined;
}

/** `quantities`: those with a limit that some choice can exceed. */
export function relax(problem: ChoiceProblem, quantities: readonly number[]): Relaxation {
  return new Prices(problem, quantities).search();
}

class Prices {
  readonly #problem: ChoiceProblem;
  readonly #quantities: readonly number[];
  readonly #size: number;
  readonly #prices: number[];
  /** What a price of one scale would be: the range of the objective per free unit of the quantity. */
  readonly #scales: number[];
  #best: { readonly picks: readonly number[]; readonly value: number } | undefined;
  #bound = Number.NEGATIVE_INFINITY;
  #bestPrices: Amounts;
  #repairs = 0;
  readonly #seen = new Set<string>();

  constructor(problem: ChoiceProblem, quantities: readonly number[]) {
    this.#problem = problem;
    this.#quantities = quantities;
    this.#size = problem.capacities.length;
    this.#prices = new Array<number>(this.#size).fill(0);
    this.#bestPrices = [...this.#prices];
    const range = sumOf(problem.items, (choices) => rangeOf(choices, problem.objective)) || 1;
    this.#scales = problem.capacities.map((capacity, k) => {
      const least = sumOf(problem.items, (choices) => Math.min(...choices.map((choice) => choice[k] as number)));
      const free = Math.max(capacity - least, 1e-3 * sumOf(problem.items, (choices) => rangeOf(choices, k)));
      return Number.isFinite(free) && free > 0 ? range / free : 0;
    });
  }

  search(): Relaxation {
    this.#evaluate();
    for (let round = 0; round < (this.#quantities.length > 1 ? lineSearches : 1); round++)
      for (const k of this.#quantities) this.#lineSearch(k);
    if (this.#quantities.length > 1) this.#subgradient();
    return { bound: this.#bound, prices: this.#bestPrices, best: this.#best };
  }

  /** The smallest price of `k` at which its sum fits, the others' prices as they are. */
  #lineSearch(k: number): void {
    const capacity = this.#problem.capacities[k] as number;
    const fitsAt = (price: number): boolean => {
      this.#prices[k] = price;
      return (this.#evaluate()[k] as number) <= capacity;
    };
    if (fitsAt(0)) return;
    let low = 0;
    let high = this.#scales[k] || 1;
    for (let doublings = 0; doublings < 60 && !fitsAt(high); doublings++) {
      low = high;
      high *= 4;
    }
    for (let step = 0; step < bisections && high - low > 1e-12 * high; step++) {
      const middle = (low + high) / 2;
      if (fitsAt(middle)) high = middle;
      else low = middle;
    }
    this.#prices[k] = high;
    this.#evaluate();
  }

  #subgradient(): void {
    const { capacities } = this.#problem;
    let size = 0.3;
    for (const k of this.#quantities) this.#prices[k] = this.#bestPrices[k] as number;
    for (let step = 0; step < subgradientSteps; step++) {
      const before = this.#bound;
      const sums = this.#evaluate();
      let norm = 0;
      const slopes = this.#quantities.map((k) => {
        const slope = ((sums[k] as number) - (capacities[k] as number)) * (this.#scales[k] as number);
        norm += slope * slope;
        return slope;
      });
      if (norm === 0) return;
      if (this.#bound <= before) size *= 0.95;
      this.#quantities.forEach((k, i) => {
        const move = (size * (slopes[i] as number) * (this.#scales[k] as number)) / Math.sqrt(norm);
        this.#prices[k] = Math.max(0, (this.#prices[k] as number) + move);
      });
    }
  }

  /** Takes every item's cheapest choice at the current prices; returns the sums of every quantity. */
  #evaluate(): Amounts {
    const { items, objective, capacities } = this.#problem;
    let value = 0;
    const picks = items.map((choices) => {
      let best = 0;
      let least = Number.POSITIVE_INFINITY;
      choices.forEach((choice, at) => {
        const cost = this.#costOf(choice, objective);
        if (cost >= least) return;
        least = cost;
        best = at;
      });
      value += least;
      return best;
    });
    for (const k of this.#quantities) value -= (this.#prices[k] as number) * (capacities[k] as number);
    if (value > this.#bound) {
      this.#bound = value;
      this.#bestPrices = [...this.#prices];
    }
    const sums = sumsOf(items, picks, this.#size);
    const key = picks.join();
    if (!this.#seen.has(key)) {
      this.#seen.add(key);
      this.#keep(picks, sums);
    }
    return sums;
  }

  #costOf(choice: Amounts, objective: number): number {
    let cost = choice[objective] as number;
    for (const k of this.#quantities) cost += (this.#prices[k] as number) * (choice[k] as number);
    return cost;
  }

  #keep(picks: number[], sums: Amounts): void {
    const { items, objective, capacities } = this.#problem;
    const near = [...picks];
    if (!fits(sums, capacities)) {
      if (this.#repairs++ >= mostRepairs || !this.#repair(near)) return;
    }
    this.#fill(near);
    const value = sumsOf(items, near, this.#size)[objective] as number;
    if (!this.#best || value < this.#best.value) this.#best = { picks: near, value };
  }

  /** Exchanges choices until everything fits: the one that costs the least objective per removed excess first. */
  #repair(picks: number[]): boolean {
    const { items, objective, capacities } = this.#problem;
    for (let exchanges = 0; exchanges < 2 * items.length; exchanges++) {
      const sums = sumsOf(items, picks, this.#size);
      const excess = (at: Amounts): number =>
        this.#quantities.reduce(
          (sum, k) => sum + Math.max(0, (at[k] as number) - (capacities[k] as number)) * (this.#scales[k] as number),
          0,
        );
      const now = excess(sums);
      if (now === 0) return fits(sums, capacities);
      let best: { readonly item: number; readonly to: number; readonly cost: number } | undefined;
      items.forEach((choices, item) => {
        const from = choices[picks[item] as number] as Amounts;
        choices.forEach((choice, to) => {
          const gain = now - excess(sums.map((sum, k) => sum - (from[k] as number) + (choice[k] as number)));
          if (gain <= 1e-12 * now) return;
          const cost = ((choice[objective] as number) - (from[objective] as number)) / gain;
          if (!best || cost < best.cost) best = { item, to, cost };
        });
      });
      if (!best) return false;
      picks[best.item] = best.to;
    }
    return fits(sumsOf(items, picks, this.#size), capacities);
  }

  /** Takes better choices while there is room for them, the greatest gain first. */
  #fill(picks: number[]): void {
    const { items, objective, capacities } = this.#problem;
    for (let exchanges = 0; exchanges < items.length; exchanges++) {
      const sums = sumsOf(items, picks, this.#size);
      let best: { readonly item: number; readonly to: number; readonly gain: number } | undefined;
      items.forEach((choices, item) => {
        const from = choices[picks[item] as number] as Amounts;
        choices.forEach((choice, to) => {
          const gain = (from[objective] as number) - (choice[objective] as number);
          if (gain <= (best?.gain ?? 0)) return;
          const room = this.#quantities.every(
            (k) => (sums[k] as number) - (from[k] as number) + (choice[k] as number) <= (capacities[k] as number),
          );
          if (room) best = { item, to, gain };
        });
      });
      if (!best) return;
      const before = picks[best.item] as number;
      picks[best.item] = best.to;
      // Differences lose digits that sums in order keep.
      if (fits(sumsOf(items, picks, this.#size), capacities)) continue;
      picks[best.item] = before;
      return;
    }
  }
}

const sumOf = <T>(items: readonly T[], of: (item: T) => number): number =>
  items.reduce((sum, item) => sum + of(item), 0);

function rangeOf(choices: readonly Amounts[], k: number): number {
  const amounts = choices.map((choice) => choice[k] as number);
  return Math.max(...amounts) - Math.min(...amounts);
}
