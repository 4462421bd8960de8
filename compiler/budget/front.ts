/**
 * The Pareto front of a choice problem without limits: choices of which no other has less loss and no more of anything
 * else. For each cost in turn the lower convex hull of loss against it, from the cheapest choices to those without loss;
 * the union, evenly thinned. Every point is the best for some exchange rate, so it lies on the front.
 */
import { type Amounts, type ChoiceProblem, sumsOf } from "./choice-problem.ts";

export interface FrontPoint {
  /** The index of the choice of each item. */
  readonly picks: readonly number[];
  /** Sums of every quantity. */
  readonly sums: Amounts;
}

export interface FrontSettings {
  /** Index of the quantity that is the loss. */
  readonly loss: number;
  /** Indices of the costs against which it stands. */
  readonly costs: readonly number[];
  readonly quantities: number;
  /** Most points per cost. */
  readonly points: number;
}

/** Points by rising loss. */
export function paretoFront(items: ChoiceProblem["items"], settings: FrontSettings): readonly FrontPoint[] {
  const found = new Map<string, FrontPoint>();
  for (const cost of settings.costs) {
    const hull = climb(items, settings.loss, cost);
    for (const picks of evenly(hull, settings.points))
      found.set(picks.join(), { picks, sums: sumsOf(items, picks, settings.quantities) });
  }
  const axes = [settings.loss, ...settings.costs];
  const points = [...found.values()];
  const isBeaten = (point: FrontPoint): boolean =>
    points.some(
      (other) =>
        axes.every((k) => (other.sums[k] as number) <= (point.sums[k] as number)) &&
        axes.some((k) => (other.sums[k] as number) < (point.sums[k] as number)),
    );
  return points
    .filter((point) => !isBeaten(point))
    .sort((left, right) => (left.sums[settings.loss] as number) - (right.sums[settings.loss] as number));
}

function evenly<T>(list: readonly T[], count: number): readonly T[] {
  if (list.length <= count) return list;
  const last = list.length - 1;
  return Array.from({ length: count }, (_, i) => list[Math.round((i * last) / (count - 1))] as T);
}

/** Choices along the hull, the cheapest first: each step takes the exchange that saves the most loss per cost. */
function climb(items: ChoiceProblem["items"], loss: number, cost: number): readonly (readonly number[])[] {
  const steps = items.flatMap((choices, item) => hullOf(choices, loss, cost).map((step) => ({ item, ...step })));
  const picks = items.map((choices) => cheapest(choices, loss, cost));
  const hull = [[...picks]];
  steps.sort((left, right) => right.slope - left.slope || left.item - right.item);
  for (const { item, to } of steps) {
    picks[item] = to;
    hull.push([...picks]);
  }
  return hull;
}

const by = (choices: readonly Amounts[], at: number, k: number): number => (choices[at] as Amounts)[k] as number;

function cheapest(choices: readonly Amounts[], loss: number, cost: number): number {
  let best = 0;
  for (let at = 1; at < choices.length; at++) {
    const difference =
      by(choices, at, cost) - by(choices, best, cost) || by(choices, at, loss) - by(choices, best, loss);
    if (difference < 0) best = at;
  }
  return best;
}

/** Steps from the cheapest choice to the one of least loss, each with the loss it saves per cost, falling. */
function hullOf(
  choices: readonly Amounts[],
  loss: number,
  cost: number,
): readonly { readonly to: number; readonly slope: number }[] {
  const steps: { readonly to: number; readonly slope: number }[] = [];
  for (let from = cheapest(choices, loss, cost); ; ) {
    let best: { readonly to: number; readonly slope: number } | undefined;
    for (let to = 0; to < choices.length; to++) {
      const saved = by(choices, from, loss) - by(choices, to, loss);
      if (saved <= 0) continue;
      const slope = saved / Math.max(by(choices, to, cost) - by(choices, from, cost), Number.MIN_VALUE);
      if (!best || slope > best.slope) best = { to, slope };
    }
    if (!best) return steps;
    steps.push(best);
    from = best.to;
  }
}
