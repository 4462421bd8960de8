/** What the search found, as the data that reports show. */
import { schemeName } from "../quantize/scheme.ts";
import { type Amounts, sumsOf } from "./choice-problem.ts";
import type { EnergyCoefficients } from "./energy.ts";
import { paretoFront } from "./front.ts";
import { histogramOf } from "./histogram.ts";
import type { OptionCosts } from "./layer-costs.ts";
import type { Layer } from "./layers.ts";
import type { BudgetOutcome, FrontPoint, LayerOutcome, LimitOutcome, Point } from "./outcome.ts";
import type { Picks } from "./picks.ts";
import type { Quality } from "./quality.ts";
import {
  indexOf,
  type Limits,
  lossOfQuality,
  type Objective,
  type Quantity,
  qualityOfLoss,
  quantities,
} from "./quantities.ts";
import type { Search } from "./search.ts";
import { solve } from "./solve.ts";

/** Points of the front per cost. */
const frontPoints = 16;
/** Share of a limit by which it is raised to learn its price. */
const raise = 0.1;

export interface Found {
  readonly objective: Objective;
  readonly device: { readonly name: string; readonly energy: EnergyCoefficients };
  readonly limits: Limits;
  readonly layers: readonly Layer[];
  readonly costs: readonly (readonly OptionCosts[])[];
  readonly search: Search;
  readonly original: Point;
  readonly chosen: Point;
  readonly quality: Quality;
  readonly picks: Picks;
}

export function describeOutcome(found: Found): BudgetOutcome {
  const { objective, device, layers, costs, search, original, chosen, quality, picks } = found;
  const { items } = search.problem;
  const { tier, band, source } = device.energy;
  return {
    objective,
    device: device.name,
    energy: { tier, band, source },
    limits: limitsOf(found),
    original,
    chosen,
    quality,
    layers: layers.map(({ constant, nodes, options }, layer) => ({
      layer: nodes[0]?.name ?? constant.name,
      constant: constant.name,
      chosen: picks[layer] ?? 0,
      options: options.map(({ scheme }, option) => ({
        scheme: schemeName(scheme),
        ...(costs[layer]?.[option] ?? { bytes: 0, milliseconds: 0, millijoules: 0 }),
        loss: items[layer]?.[option]?.[indexOf.loss] ?? 0,
      })),
      ...weightsOf(options, picks[layer] ?? 0),
    })),
    front: frontOf(found),
    proved: solve(search.problem).exact,
  };
}

function weightsOf(options: Layer["options"], pick: number): Pick<LayerOutcome, "weights"> {
  const [before, after] = [options[0]?.tensor.data, options[pick]?.tensor.data];
  const isChanged = pick > 0 && before instanceof Float32Array && after instanceof Float32Array;
  return isChanged ? { weights: histogramOf(before, after) } : {};
}

function limitsOf({ limits, chosen, quality, search, objective }: Found): readonly LimitOutcome[] {
  const outcomes: LimitOutcome[] = [];
  for (const quantity of ["size", "memory", "latency", "energy"] as const) {
    const limit = limits[quantity];
    if (limit === undefined) continue;
    const value = chosen[quantity];
    const price = priceOf(search, quantity, raise * limit, objective);
    outcomes.push({ quantity, limit, value, slack: limit - value, ...(price === undefined ? {} : { price }) });
  }
  if (limits.quality !== undefined) {
    const { quality: limit } = limits;
    const by = raise * (1 - limit);
    const gain = priceOf(search, "loss", lossOfQuality(limit - by) - lossOfQuality(limit), objective)?.gain;
    const price = gain === undefined ? {} : { price: { by, gain } };
    outcomes.push({ quantity: "quality", limit, value: chosen.quality, slack: chosen.quality - limit, ...price });
  }
  if (limits.sliceDrop !== undefined) {
    const value = quality.worstGroup?.drop ?? 0;
    outcomes.push({ quantity: "sliceDrop", limit: limits.sliceDrop, value, slack: limits.sliceDrop - value });
  }
  for (const quantity of ["minMetric", "maxMetric"] as const) {
    const limit = limits[quantity];
    const value = quality.metric?.quantised;
    if (limit !== undefined && value !== undefined)
      outcomes.push({ quantity, limit, value, slack: Math.abs(value - limit) });
  }
  return outcomes;
}

/** By solving once more with more room; undefined when that gains nothing. */
function priceOf(search: Search, quantity: Quantity, by: number, objective: Objective): LimitOutcome["price"] {
  const { problem } = search;
  const k = indexOf[quantity];
  const now = solve(problem);
  const raised = solve({ ...problem, capacities: problem.capacities.with(k, (problem.capacities[k] as number) + by) });
  if (now.kind !== "solved" || raised.kind !== "solved") return undefined;
  const [before, after] = [now, raised].map(({ sums }) => sums[problem.objective] as number) as [number, number];
  const gain = objective === "quality" ? 100 * (qualityOfLoss(after) - qualityOfLoss(before)) : before - after;
  return gain > 0 ? { by, gain } : undefined;
}

/** Sums over the layers and what the rest takes, with the choice as it was measured in its place. */
function frontOf({ search, original, chosen, picks, quality: { score: cosine } }: Found): readonly FrontPoint[] {
  const { items } = search.problem;
  const own = sumsOf(
    items,
    items.map(() => 0),
    quantities.length,
  );
  const pointOf = (sums: Amounts): FrontPoint => {
    const absolute = (quantity: Exclude<Quantity, "loss">): number =>
      original[quantity] + (sums[indexOf[quantity]] as number) - (own[indexOf[quantity]] as number);
    return {
      size: absolute("size"),
      memory: absolute("memory"),
      latency: absolute("latency"),
      energy: absolute("energy"),
      quality: qualityOfLoss(sums[indexOf.loss] as number),
      measured: false,
      chosen: false,
    };
  };
  const points = paretoFront(items, {
    loss: indexOf.loss,
    costs: [indexOf.size, indexOf.latency, indexOf.energy],
    quantities: quantities.length,
    points: frontPoints,
  });
  const others = points.filter((point) => point.picks.join() !== picks.join()).map(({ sums }) => pointOf(sums));
  // The others' quality is the cosine, even where labels say more of the choice.
  const choice = { ...chosen, quality: cosine, measured: true, chosen: true };
  return [...others, choice].sort((left, right) => right.quality - left.quality);
}
