/**
 * What the budget stage asks of later stages, handed in by compile.ts: to plan, package and execute graphs. Every
 * answer is a function of the graph alone (nothing is timed), so the same input gives the same choice.
 */
import type { Tensor } from "../../runtime/format/tensor.ts";
import type { Graph } from "../graph/graph.ts";
import type { PlanCosts } from "./plan-costs.ts";

/** One run's inputs or outputs by name. */
export type Sample = Readonly<Record<string, Tensor>>;

/** Generated code of one graph whose constants can be exchanged between runs. */
export interface Execution {
  /** Floating-point operations of one run. */
  readonly flops: number;
  run(sample: Sample): Promise<Sample>;
  /** Gives a constant (by name) the values it has in variant `variant`, or its own again when undefined. */
  exchange(constant: string, variant: number | undefined): void;
  close(): void;
}

export interface BudgetTools {
  /** What the graph's plan costs on the device. */
  costOf(graph: Graph): PlanCosts;
  /** Bytes of all files of the package; `maxSize`: the size limit that the package states. */
  sizeOf(graph: Graph, maxSize: number | undefined): Promise<number>;
  /** `variants` are the same graph with other values in some constants. */
  open(graph: Graph, variants: readonly Graph[]): Promise<Execution>;
}
