/**
 * The error of a budget that nothing keeps: the whole explanation as data (Infeasibility), the part that helps most in words.
 * Costs are those of plans and packages really made; the nearest plan is also run.
 */

import { LeafcutterError } from "../../runtime/format/diagnostic.ts";
import { type Amounts, fits, sumsOf } from "./choice-problem.ts";
import type { EnergyTier } from "./energy.ts";
import { explain } from "./explain.ts";
import type { Layer } from "./layers.ts";
import { amountText, limitName, limitText } from "./limit-text.ts";
import type { Infeasibility, Limited, Point } from "./outcome.ts";
import type { Picks } from "./picks.ts";
import { indexOf, type Limits, qualityOfLoss, quantities } from "./quantities.ts";
import { uniformPicks } from "./regular-picks.ts";
import type { Candidate, Search } from "./search.ts";
import { solve } from "./solve.ts";

/** Bytes that the kernels of a kind can bring at most: a module takes at most about 15 KB, and there are two. */
const mostKernelBytes = 30_000;
/** Packages made in search of the smallest. */
const mostPackages = 12;
const mostRelaxations = 3;

const limitedOf = (k: number): Limited => {
  const quantity = quantities[k] ?? "loss";
  return quantity === "loss" ? "quality" : quantity;
};

export interface InfeasibleSettings {
  readonly search: Search;
  readonly layers: readonly Layer[];
  readonly limits: Limits;
  /** Of the device's energy. */
  readonly tier: EnergyTier;
  /** Bytes of the package of these picks that states `size` as its limit. */
  sizeOf(picks: Picks, size: number): Promise<number>;
  pointOf(candidate: Candidate): Promise<Point>;
}

export async function infeasible(settings: InfeasibleSettings): Promise<LeafcutterError> {
  const { search, limits, pointOf } = settings;
  const problem = search.lowerBound;
  const found = explain(problem);
  const isProved = solve(problem, "any").kind === "infeasible";
  const limitOf = (quantity: Limited): number => limits[quantity] ?? 0;
  const best: Infeasibility["best"][number][] = [];
  for (const { quantity: k, picks } of found.least) {
    const quantity = limitedOf(k);
    const amount = picks && (await amountOf(k, picks, settings));
    best.push({ quantity, amount });
  }
  const closest = await search.measure(found.nearest.picks);
  const details: Infeasibility = {
    tier: settings.tier,
    limits: best.map(({ quantity }) => ({ quantity, limit: limitOf(quantity) })),
    conflict: (isProved ? found.conflict : search.conflict()).map(limitedOf),
    best,
    nearest: await pointOf(search.nearest() ?? closest),
    relaxations: relaxationsOf(best, limits),
    proved: isProved && found.exact,
  };
  return new LeafcutterError(diagnosticOf(details));
}

/** Single limits to move to what is possible, the smallest move first. */
export const relaxationsOf = (best: Infeasibility["best"], limits: Limits): Infeasibility["relaxations"] =>
  best
    .flatMap(({ quantity, amount }) => {
      const limit = limits[quantity] ?? 0;
      if (amount === undefined) return [];
      return [{ quantity, amount, share: Math.abs(amount - limit) / Math.max(Math.abs(limit), Number.MIN_VALUE) }];
    })
    .sort((left, right) => left.share - right.share)
    .slice(0, mostRelaxations);

/** The least of quantity `k` that a plan with `picks` really has, as people say it. */
async function amountOf(k: number, picks: Picks, settings: InfeasibleSettings): Promise<number> {
  const { search } = settings;
  if (k === indexOf.size) return smallestSize(picks, settings);
  const { amounts: planned } = await search.measure(picks);
  const { amounts } = k === indexOf.loss ? { amounts: planned } : ((await search.least(k)) ?? { amounts: planned });
  return k === indexOf.loss ? qualityOfLoss(amounts[k] as number) : (amounts[k] as number);
}

/**
 * A narrow layer saves bytes but may bring another kernel, so the fewest bytes of weights are not always the smallest
 * package: picks with fewer kernels are tried too.
 */
async function smallestSize(fewest: Picks, { search, layers, sizeOf }: InfeasibleSettings): Promise<number> {
  const { items, capacities } = search.problem;
  const others = capacities.with(indexOf.size, Number.POSITIVE_INFINITY);
  const sums = (picks: Picks): Amounts => sumsOf(items, picks, quantities.length);
  const bytesOf = (picks: Picks): number => sums(picks)[indexOf.size] as number;
  const uniform = uniformPicks(layers)
    .filter((picks) => fits(sums(picks), others) && bytesOf(picks) <= bytesOf(fewest) + mostKernelBytes)
    .sort((left, right) => bytesOf(left) - bytesOf(right));
  const candidates = [fewest, ...uniform].slice(0, mostPackages);
  let best: Candidate | undefined;
  const sizeOfCandidate = ({ amounts }: Candidate): number => amounts[indexOf.size] as number;
  for (const picks of candidates) {
    const candidate = await search.measure(picks);
    if (!best || sizeOfCandidate(candidate) < sizeOfCandidate(best)) best = candidate;
  }
  // The limit is written in the package, so its size is that of a package that states it as its own limit.
  let size = best ? sizeOfCandidate(best) : 0;
  for (let limit = 0; best && limit !== size; ) {
    limit = size;
    size = Math.max(limit, await sizeOf(best.picks, limit));
  }
  return size;
}

export function diagnosticOf(details: Infeasibility): LeafcutterError["diagnostic"] {
  const { conflict, limits, best, nearest, relaxations, tier } = details;
  const kept = limits.filter(({ quantity }) => conflict.includes(quantity));
  const [alone] = kept;
  const bestOf = (quantity: Limited): number | undefined => best.find((entry) => entry.quantity === quantity)?.amount;
  const isAlone = kept.length === 1 && alone !== undefined;
  const least = isAlone ? bestOf(alone.quantity) : undefined;
  const worded = ({ quantity, amount }: { readonly quantity: Limited; readonly amount: number }): string =>
    `${limitName[quantity]} ${limitText(quantity, amount, tier)}`;
  const received =
    isAlone && least !== undefined
      ? `${amountText(alone.quantity, least, tier)} at the ${alone.quantity === "size" ? "smallest" : "best"}`
      : `at the nearest ${limits
          .flatMap(({ quantity }) => {
            const amount = nearest[quantity];
            return amount === undefined ? [] : [`${limitName[quantity]} ${amountText(quantity, amount, tier)}`];
          })
          .join(", ")}`;
  const relaxed = relaxations.map(worded).join(", or ");
  return {
    code: "budget-infeasible",
    where: isAlone ? `${limitName[alone.quantity]} budget` : "budget",
    message: isAlone
      ? `no choice of schemes brings the ${limitName[alone.quantity]} within its limit`
      : `no choice of schemes keeps ${kept.map(({ quantity }) => limitName[quantity]).join(" and ")} within their limits together`,
    expected: kept.map(({ quantity, limit }) => limitText(quantity, limit)).join(", "),
    received,
    advice:
      relaxed === ""
        ? "Raise several limits, or use a smaller model."
        : `Set ${relaxed}${relaxations.length > 1 ? " (one of them is enough)" : ""}, or use a smaller model.`,
    details,
  };
}
