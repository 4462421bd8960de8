/**
 * Search for the choice of least error whose package is within the limit. The knapsack needs to know how many bytes
 * everything but the weights takes; that changes a little with the choice, so answers are packaged and measured.
 */
import type { Graph, Value } from "../graph/graph.ts";
import type { WeightStorage } from "../kernels/problem.ts";
import { type Choice, solveKnapsack } from "./knapsack.ts";
import type { ConstantOptions, StorageOption } from "./options.ts";
import { replaceConstants, type StoredTensor } from "./replace-constants.ts";
import type { BudgetTools } from "./tools.ts";

/** Packages made per set of kinds. */
const mostRounds = 8;
/** Share of the limit that may stay unused once a package fits. */
const unused = 0.005;
/** Share of the limit that everything but the weights takes in a small package. */
const smallWeights = 0.1;

interface Limit extends Pick<BudgetTools, "sizeOf"> {
  readonly maxSize: number;
}

export interface SearchSettings {
  /** Bytes as packed, and error of the outputs: [constant][option]. */
  readonly weights: readonly (readonly number[])[];
  readonly errors: readonly (readonly number[])[];
  readonly budget: Limit;
  /** Bytes of the package with option 0 everywhere. */
  readonly originalSize: number;
}

/** The graph with option `picks[i]` for constant i. */
export function applyChoice(graph: Graph, constants: readonly ConstantOptions[], picks: readonly number[]): Graph {
  const replacements = new Map<Value, StoredTensor>();
  constants.forEach(({ constant, options }, i) => {
    const pick = picks[i] ?? 0;
    if (pick > 0) replacements.set(constant, options[pick] as StorageOption);
  });
  return replaceConstants(graph, replacements);
}

/** Families that may differ in kind among uniform choices; with more of them all have the same kind. */
const mostFamilies = 3;
const kinds = ["float32", "float16", "int8"] as const;

/**
 * Choices with one kind for all constants that the same kernels read. Two kinds side by side need two forms of a kernel:
 * in a small package that can be more bytes than the weights save. (float32 stands for what the model itself has.)
 */
export function uniformChoices(constants: readonly ConstantOptions[]): readonly (readonly number[])[] {
  const families = [...new Set(constants.map(({ reader }) => reader))].sort();
  let assignments: readonly (readonly WeightStorage[])[] = [[]];
  if (families.length > mostFamilies) assignments = kinds.map((kind) => families.map(() => kind));
  else for (const _ of families) assignments = assignments.flatMap((known) => kinds.map((kind) => [...known, kind]));
  return assignments.map((assignment) =>
    constants.map(({ reader, options }) => {
      const wanted = assignment[families.indexOf(reader)];
      return Math.max(
        0,
        options.findIndex(({ kind }) => kind === wanted),
      );
    }),
  );
}

/** Choices tried by packaging them, and the best that fits. */
export class Search {
  best: { readonly picks: readonly number[]; readonly error: number; readonly size: number } | undefined;
  readonly #graph: Graph;
  readonly #constants: readonly ConstantOptions[];
  /** Bytes and error of [constant][option]. */
  readonly #items: readonly (readonly Choice[])[];
  readonly #budget: Limit;
  readonly #originalSize: number;
  readonly #tried = new Set<string>();

  constructor(
    graph: Graph,
    constants: readonly ConstantOptions[],
    { weights, errors, budget, originalSize }: SearchSettings,
  ) {
    this.#graph = graph;
    this.#constants = constants;
    this.#originalSize = originalSize;
    this.#items = weights.map((row, i) => row.map((bytes, option) => ({ bytes, error: errors[i]?.[option] ?? 0 })));
    this.#budget = budget;
  }

  /** Finds `best`, unless nothing fits. */
  async run(): Promise<void> {
    await this.#solve();
    const { maxSize } = this.#budget;
    const unusedBytes = maxSize - (this.best?.size ?? 0);
    if (unusedBytes < unused * maxSize && this.#originalOverhead < smallWeights * maxSize) return;
    const choices = uniformChoices(this.#constants).filter((picks) => this.#sum(picks, "bytes") <= maxSize);
    const byError = choices.toSorted((left, right) => this.#sum(left, "error") - this.#sum(right, "error"));
    for (const picks of byError) {
      if (this.best && this.#sum(picks, "error") >= this.best.error) return;
      if (!this.#tried.has(picks.join())) await this.#package(picks);
    }
  }

  /** Solves for the bytes that the rest of the package leaves, packages the answer, learns what the rest really takes. */
  async #solve(): Promise<void> {
    const { maxSize } = this.#budget;
    let overhead = this.#originalOverhead;
    for (let round = 0; round < mostRounds; round++) {
      const picks = solveKnapsack(this.#items, maxSize - overhead);
      if (!picks || this.#tried.has(picks.join())) return;
      const size = await this.#package(picks);
      const fits = size <= maxSize;
      if (fits && maxSize - size <= unused * maxSize) return;
      const measured = size - this.#sum(picks, "bytes");
      // Where the measured overhead leads back to the same choice, what was too much has to go.
      overhead = fits || measured > overhead ? measured : overhead + size - maxSize;
    }
  }

  async #package(picks: readonly number[]): Promise<number> {
    this.#tried.add(picks.join());
    const { sizeOf, maxSize } = this.#budget;
    const size = await sizeOf(applyChoice(this.#graph, this.#constants, picks), maxSize);
    const error = this.#sum(picks, "error");
    if (size <= maxSize && (!this.best || error < this.best.error)) this.best = { picks, error, size };
    return size;
  }

  /** Bytes of everything but the weights of these constants, with option 0 everywhere. */
  get #originalOverhead(): number {
    return (
      this.#originalSize -
      this.#sum(
        this.#constants.map(() => 0),
        "bytes",
      )
    );
  }

  #sum(picks: readonly number[], key: keyof Choice): number {
    return picks.reduce((sum, pick, i) => sum + (this.#items[i]?.[pick]?.[key] ?? 0), 0);
  }
}
