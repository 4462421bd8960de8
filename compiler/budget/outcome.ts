/** What the budget stage decided and why, as data: reports show it, diagnostics carry the part of what is not possible. */
import type { Energy, EnergyTier } from "./energy.ts";
import type { Histogram } from "./histogram.ts";
import type { Quality } from "./quality.ts";
import type { Objective, Quantity } from "./quantities.ts";

/** A quantity as people say it: quality instead of loss. */
export type Limited = Exclude<Quantity, "loss"> | "quality" | "sliceDrop" | "minMetric" | "maxMetric";

/**
 * Every quantity of one choice: bytes of the package, bytes of memory, milliseconds and millijoules of a run, and
 * quality from 0 to 1.
 */
export interface Point {
  readonly size: number;
  readonly memory: number;
  readonly latency: number;
  readonly energy: number;
  readonly quality: number;
}

export interface FrontPoint extends Point {
  /** Quality is measured by running, and the rest is of a plan really made; otherwise sums over the layers. */
  readonly measured: boolean;
  readonly chosen: boolean;
}

export interface LimitOutcome {
  readonly quantity: Limited;
  readonly limit: number;
  readonly value: number;
  /** How far the value stays from the limit, in its unit; not negative. */
  readonly slack: number;
  /** What raising (quality: lowering) the limit by `by` would gain of the objective, in its unit (quality: points), by the solver. */
  readonly price?: { readonly by: number; readonly gain: number };
}

export interface OptionOutcome {
  readonly scheme: string;
  readonly bytes: number;
  readonly milliseconds: number;
  readonly millijoules: number;
  /** Relative squared error of the outputs with this option alone. */
  readonly loss: number;
}

export interface LayerOutcome {
  /** Name of the first node that reads the constant. */
  readonly layer: string;
  readonly constant: string;
  readonly options: readonly OptionOutcome[];
  /** Index of the chosen one. */
  readonly chosen: number;
  /** Of the weights, where the choice changes them. */
  readonly weights?: Histogram;
}

export interface BudgetOutcome {
  readonly objective: Objective;
  readonly device: string;
  readonly energy: Pick<Energy, "tier" | "band"> & { readonly source: string };
  readonly limits: readonly LimitOutcome[];
  /** The model as it is, and the choice. */
  readonly original: Point;
  readonly chosen: Point;
  readonly quality: Quality;
  readonly layers: readonly LayerOutcome[];
  /** By falling quality; no other choice is better in everything. */
  readonly front: readonly FrontPoint[];
  /** Whether the solver proved that nothing better fits, by its sums over the layers. */
  readonly proved: boolean;
}

/** `details` of a budget-infeasible diagnostic. */
export interface Infeasibility {
  /** Of every energy in it. */
  readonly tier: EnergyTier;
  readonly limits: readonly { readonly quantity: Limited; readonly limit: number }[];
  /** Limits that exclude one another; without any one of them the others can be kept. */
  readonly conflict: readonly Limited[];
  /** The best of each quantity with all other limits kept; undefined where the others alone exclude everything. */
  readonly best: readonly { readonly quantity: Limited; readonly amount: number | undefined }[];
  /** The plan that exceeds the limits by the smallest common share, and what its worst slice drops where that was measured. */
  readonly nearest: Point & { readonly sliceDrop?: number; readonly minMetric?: number; readonly maxMetric?: number };
  /** Single limits to move, and to what; the smallest move (as a share of the limit) first. */
  readonly relaxations: readonly { readonly quantity: Limited; readonly amount: number; readonly share: number }[];
  /** Whether the solver proved all of it. */
  readonly proved: boolean;
}
