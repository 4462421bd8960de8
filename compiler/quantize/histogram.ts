/**
 * A histogram of one value's elements over a range that is known beforehand, and the ranges that follow from it:
 * the whole range, percentiles, the least squared error, the least divergence of the distribution.
 */
import type { ValueRange } from "./calibration.ts";

/** "percentile:99.9": each end where 99.9 percent of the values lie on the inner side; "percentile" is 99.99. */
export type RangeMethod = "min-max" | "percentile" | `percentile:${number}` | "mse" | "entropy";

/** "mse", "minmax" or "min-max", "entropy", "percentile", "percentile:99.9"; undefined for anything else. */
export function parseRangeMethod(text: string): RangeMethod | undefined {
  const word = text.trim().toLowerCase();
  if (word === "mse" || word === "entropy" || word === "percentile") return word;
  if (word === "minmax" || word === "min-max") return "min-max";
  const percent = Number(/^percentile:(\d+(?:\.\d+)?)$/.exec(word)?.[1]);
  return percent > 50 && percent <= 100 ? `percentile:${percent}` : undefined;
}

const binCount = 2048;
/** What "percentile" stands for. */
const usualPercent = 99.99;
/** Ranges that "mse" and "entropy" try: these fractions of each end. */
const fractions = Array.from({ length: 36 }, (_, i) => 1 - i * 0.02);

/** How many of `values` fall into each bin of `range`, those beyond it into the outermost; added to `counts`. */
export function countBins(
  values: ArrayLike<number>,
  { lower, upper }: ValueRange,
  counts = new Float64Array(binCount),
): Float64Array<ArrayBuffer> {
  const factor = binCount / (upper - lower || 1);
  for (let i = 0; i < values.length; i++) {
    const bin = Math.min(binCount - 1, Math.max(0, Math.floor(((values[i] as number) - lower) * factor)));
    counts[bin] = (counts[bin] as number) + 1;
  }
  return counts;
}

export class Histogram {
  readonly range: ValueRange;
  readonly counts: Float64Array;
  readonly total: number;

  /** `counts` as countBins has them, of `total` values. */
  constructor(range: ValueRange, counts: Float64Array, total: number) {
    this.range = range;
    this.counts = counts;
    this.total = total;
  }

  /** Middle of a bin. */
  centre(bin: number): number {
    const { lower, upper } = this.range;
    return lower + ((bin + 0.5) * (upper - lower)) / binCount;
  }

  /** The range that `method` chooses for 2^bits codes; includes zero. */
  choose(method: RangeMethod, bits: number): ValueRange {
    const { lower, upper } = this.range;
    if (this.total === 0 || upper === lower) return this.range;
    switch (method) {
      case "min-max":
        return this.range;
      case "mse":
        return this.#best((range) => this.#squaredError(range, 2 ** bits - 1));
      case "entropy":
        return this.#best((range) => this.#divergence(range, 2 ** bits));
      default: {
        const leftOut = 1 - (method === "percentile" ? usualPercent : Number(method.split(":")[1])) / 100;
        return { lower: Math.min(0, this.#quantile(leftOut)), upper: Math.max(0, this.#quantile(1 - leftOut)) };
      }
    }
  }

  #quantile(share: number): number {
    let sum = 0;
    for (let bin = 0; bin < binCount; bin++) {
      sum += this.counts[bin] as number;
      if (sum >= share * this.total) return share < 0.5 ? this.centre(bin - 0.5) : this.centre(bin + 0.5);
    }
    return this.range.upper;
  }

  /** Both ends one after the other: first the upper one, then the lower. */
  #best(loss: (range: ValueRange) => number): ValueRange {
    let best = this.range;
    let least = loss(best);
    for (const end of ["upper", "lower"] as const) {
      const whole = this.range[end];
      if (whole === 0) continue;
      for (const fraction of fractions) {
        const range = { ...best, [end]: whole * fraction };
        const value = loss(range);
        if (value < least) [best, least] = [range, value];
      }
    }
    return best;
  }

  /** Rounding within the range taken as uniform: step² / 12; beyond it the distance to its end. */
  #squaredError({ lower, upper }: ValueRange, steps: number): number {
    const rounding = ((upper - lower) / steps) ** 2 / 12;
    let sum = 0;
    for (let bin = 0; bin < binCount; bin++) {
      const count = this.counts[bin] as number;
      if (count === 0) continue;
      const value = this.centre(bin);
      const beyond = Math.max(lower - value, value - upper, 0);
      sum += count * (beyond > 0 ? beyond ** 2 : rounding);
    }
    return sum;
  }

  /**
   * Kullback-Leibler divergence of the distribution (what is beyond the range counted at its ends) from the one that is left
   * with `codes` values, each spread evenly over the bins that it stands for (Migacz 2017).
   */
  #divergence({ lower, upper }: ValueRange, codes: number): number {
    const whole = this.range.upper - this.range.lower;
    const first = Math.max(0, Math.floor(((lower - this.range.lower) / whole) * binCount));
    const last = Math.min(binCount - 1, Math.ceil(((upper - this.range.lower) / whole) * binCount) - 1);
    const width = last - first + 1;
    const clipped = this.counts.slice(first, last + 1);
    for (let bin = 0; bin < binCount; bin++) {
      const end = bin < first ? 0 : bin > last ? width - 1 : undefined;
      if (end !== undefined) clipped[end] = (clipped[end] as number) + (this.counts[bin] as number);
    }
    let divergence = 0;
    for (let code = 0; code < codes; code++) {
      const from = Math.floor((code * width) / codes);
      const to = Math.max(from + 1, Math.floor(((code + 1) * width) / codes));
      let [sum, used] = [0, 0];
      for (let bin = from; bin < to; bin++) {
        const inside = this.counts[first + bin] as number;
        sum += inside;
        used += (clipped[bin] as number) > 0 ? 1 : 0;
      }
      for (let bin = from; bin < to; bin++) {
        const p = (clipped[bin] as number) / this.total;
        if (p > 0) divergence += p * Math.log(p / Math.max(sum / used / this.total, 1e-12));
      }
    }
    return divergence;
  }
}
