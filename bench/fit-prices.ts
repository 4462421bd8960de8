/**
 * Measured kernels to prices: what a unit of work and of each overhead takes, by the least sum of relative errors (not of
 * their squares: what else the machine does makes single kernels slow). What a kernel spends on reading its data and on its epilogue is priced elsewhere and taken off first.
 */
import { nonnegativeLeastSquares } from "../compiler/budget/nonnegative-least-squares.ts";
import type { CostTable, Prices } from "../compiler/kernels/cost-table.ts";
import { bandwidthAt } from "../compiler/kernels/cost-table.ts";
import { epilogueNanoseconds } from "../compiler/plan/step-time.ts";
import type { KernelTime } from "./measure/kernel-bench.ts";

/** What is left of a kernel's time at least: reading and computing overlap. */
const leastShare = 0.3;

type Known = Pick<CostTable, "stepOverhead" | "bandwidth" | "epilogue" | "elementwise">;

interface Observation {
  readonly counts: Readonly<Record<string, number>>;
  /** Of the counts alone. */
  readonly nanoseconds: number;
  /** Of the whole kernel: errors are relative to it. */
  readonly whole: number;
}

function observe({ nanoseconds, bytes, problem, outputs, counts }: KernelTime, known: Known): Observation {
  const table: CostTable = { host: "", rates: {}, ...known };
  const bandwidth = bandwidthAt(table, bytes);
  const reading = bandwidth === undefined ? 0 : bytes / bandwidth;
  const epilogue = outputs * epilogueNanoseconds(problem, known);
  const rest = nanoseconds - known.stepOverhead - reading - epilogue;
  return { counts, nanoseconds: Math.max(leastShare * nanoseconds, rest), whole: nanoseconds };
}

const priceOf = (prices: Prices, counts: Readonly<Record<string, number>>): number =>
  Object.entries(prices).reduce((sum, [name, price]) => sum + price * (counts[name] ?? 0), 0);

/** Rounds of reweighting, and the relative error below which one is as good as another. */
const rounds = 8;
const smallError = 0.02;

/** Prices of `names`, by iteratively reweighted non-negative least squares. */
function fitPrices(observations: readonly Observation[], names: readonly string[]): Prices {
  let weights = observations.map(() => 1);
  let prices: Prices = {};
  for (let round = 0; round < rounds; round++) {
    prices = fitWeighted(observations, names, weights);
    weights = observations.map(({ counts, nanoseconds, whole }) => {
      const error = Math.abs(priceOf(prices, counts) - nanoseconds) / whole;
      return 1 / Math.sqrt(Math.max(smallError, error));
    });
  }
  return prices;
}

/** Those that explain nothing are left out. */
function fitWeighted(
  observations: readonly Observation[],
  names: readonly string[],
  weights: readonly number[],
): Prices {
  // Columns of like magnitude: the largest share that a count could have of any kernel's time is 1.
  const scales = names.map((name) => Math.max(...observations.map(({ counts, whole }) => (counts[name] ?? 0) / whole)));
  const used = names.filter((_, i) => (scales[i] as number) > 0);
  const usedScales = scales.filter((scale) => scale > 0);
  const solution = nonnegativeLeastSquares(
    observations.map(({ counts, whole }, row) =>
      used.map((name, i) => ((weights[row] ?? 1) * (counts[name] ?? 0)) / whole / (usedScales[i] as number)),
    ),
    observations.map(({ nanoseconds, whole }, row) => ((weights[row] ?? 1) * nanoseconds) / whole),
  );
  const prices = used.map((name, i) => [name, (solution[i] as number) / (usedScales[i] as number)] as const);
  return Object.fromEntries(prices.filter(([, price]) => price > 0));
}

const rounded = (prices: Prices): Prices =>
  Object.fromEntries(Object.entries(prices).map(([name, price]) => [name, Number(price.toPrecision(3))]));

/** Fewest kernels that say something of one more overhead. */
const kernelsPerPrice = 2;

/** Prices of one variant. */
export function pricesOf(times: readonly KernelTime[], known: Known): Prices {
  const observations = times.map((time) => observe(time, known));
  const overheads = [...new Set(observations.flatMap(({ counts }) => Object.keys(counts)))].filter(
    (name) => name !== "work",
  );
  const names = ["work", ...overheads].slice(0, Math.max(1, Math.floor(times.length / kernelsPerPrice)));
  return rounded(fitPrices(observations, names));
}

/** Prices of a variant with its weights stored otherwise: as with floats, all slower alike, and widening what is narrow. */
export function storedPricesOf(times: readonly KernelTime[], floats: Prices, known: Known): Prices {
  const observations = times.map((time) => observe(time, known));
  const { slower = 1, widened = 0 } = fitPrices(
    observations.map((observation) => ({
      ...observation,
      counts: { slower: priceOf(floats, observation.counts), widened: observation.counts.widened ?? 0 },
    })),
    ["slower", "widened"],
  );
  const scaled = Object.entries(floats).map(([name, price]) => [name, price * slower] as const);
  return rounded({ ...Object.fromEntries(scaled), ...(widened > 0 ? { widened } : {}) });
}
