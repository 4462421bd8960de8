/**
 * What a budget can limit, in the units in which people say it, and in what order the solver sees it. Quality is the mean
 * cosine of the outputs against the model as it is (or its accuracy as a share of the model's, where there are labels); the
 * solver works with the relative squared error of the outputs, which adds up over layers.
 */
import type { Amounts } from "./choice-problem.ts";

export const quantities = ["loss", "size", "memory", "latency", "energy"] as const;
export type Quantity = (typeof quantities)[number];

/** Index of each quantity in Amounts. */
export const indexOf: Readonly<Record<Quantity, number>> = { loss: 0, size: 1, memory: 2, latency: 3, energy: 4 };

export interface Limits {
  /** Bytes of all files of the package. */
  readonly size?: number;
  /** Bytes of linear memory of a session. */
  readonly memory?: number;
  /** Milliseconds of a run on one thread of the device. */
  readonly latency?: number;
  /** Millijoules of a run. */
  readonly energy?: number;
  /** Least quality, 0 to 1. */
  readonly quality?: number;
  /** Most that any group of samples may lose: points (hundredths) of accuracy or agreement, or the unit of the user's metric. */
  readonly sliceDrop?: number;
  /** Least of the user's metric, where higher is better; most of it, where lower is. */
  readonly minMetric?: number;
  readonly maxMetric?: number;
}

export const objectives = ["quality", "latency", "energy", "size"] as const;
export type Objective = (typeof objectives)[number];

export const objectiveIndex = (objective: Objective): number =>
  objective === "quality" ? indexOf.loss : indexOf[objective];

/** The cosine that outputs with this relative squared error have, when the error is independent of them. */
export const qualityOfLoss = (loss: number): number => 1 / Math.sqrt(1 + loss);

export const lossOfQuality = (quality: number): number => 1 / quality ** 2 - 1;

/** Most of every quantity; Infinity without a limit. */
export function capacitiesOf(limits: Limits): Amounts {
  const { size, memory, latency, energy, quality } = limits;
  const loss = quality === undefined ? undefined : lossOfQuality(quality);
  return [loss, size, memory, latency, energy].map((limit) => limit ?? Number.POSITIVE_INFINITY);
}
