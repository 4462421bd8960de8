/**
 * Search for picks within every limit. The solver adds up what layers cost; what the rest of a package costs changes a
 * little with the picks, so answers are planned and packaged, and the solver learns from them what the rest really takes.
 */
import { type Amounts, type ChoiceProblem, sumsOf } from "./choice-problem.ts";
import { applyPicks, type Choices, type Picks, uniformPicks } from "./picks.ts";
import { indexOf, quantities } from "./quantities.ts";
import { type Solution, solve } from "./solve.ts";
import type { BudgetTools } from "./tools.ts";

/** Plans or packages made per run. */
const mostRounds = 8;
/** Share of a limit by which what the rest takes may be unknown. */
const unknown = 0.005;
/** Share of the size limit that everything but the weights takes in a small package. */
const smallWeights = 0.1;
/** Picks of one scheme per family that are planned, and by which share sums over layers may be above what their plans take. */
const mostUniform = 24;
const overestimate = 0.25;
/** Plans made to exchange options of single layers. */
const mostExchanges = 40;

export interface Candidate {
  readonly picks: Picks;
  /** Of the plan and, where size matters, of the package really made; the loss is the sum over the layers. */
  readonly amounts: Amounts;
}

export interface SearchSettings {
  readonly choices: Choices;
  /** [layer][option] */
  readonly items: ChoiceProblem["items"];
  readonly objective: number;
  /** Most of every quantity. */
  readonly capacities: Amounts;
  /** Of the model as it is. */
  readonly original: Amounts;
  readonly tools: Pick<BudgetTools, "costOf" | "sizeOf">;
  /** Whether sizes are those of packages really made. */
  readonly packages: boolean;
}

export class Search {
  readonly #settings: SearchSettings;
  readonly #measured = new Map<string, Candidate>();
  #capacities: Amounts;
  /** What everything but the layers takes of each quantity. */
  #rest: readonly number[];

  constructor(settings: SearchSettings) {
    this.#settings = settings;
    this.#capacities = settings.capacities;
    const own = sumsOf(
      settings.items,
      settings.items.map(() => 0),
      quantities.length,
    );
    this.#rest = settings.original.map((amount, k) => amount - (own[k] as number));
  }

  /** What everything but the layers takes, as far as is known. */
  get rest(): Amounts {
    return this.#rest;
  }

  /** The problem as the solver sees it now. */
  get problem(): ChoiceProblem {
    const { items, objective } = this.#settings;
    const capacities = this.#capacities.map((capacity, k) => capacity - (this.#rest[k] as number));
    return { items, objective, capacities };
  }

  /** All that fit within the capacities, the best objective first. */
  get fitting(): readonly Candidate[] {
    const { objective } = this.#settings;
    return [...this.#measured.values()]
      .filter(({ amounts }) => this.#fits(amounts))
      .sort((left, right) => (left.amounts[objective] as number) - (right.amounts[objective] as number));
  }

  /** Solves, measures the answer and learns, until what fits cannot become much better. `loss`: most of it. */
  async run(loss: number): Promise<void> {
    this.#capacities = this.#settings.capacities.map((capacity, k) => (k === indexOf.loss ? loss : capacity));
    await this.#solve();
    await this.#tryUniform();
  }

  async measure(picks: Picks): Promise<Candidate> {
    const known = this.#measured.get(picks.join());
    if (known) return known;
    const { choices, items, tools, packages, capacities, original } = this.#settings;
    const sums = sumsOf(items, picks, quantities.length);
    const applied = applyPicks(choices, picks);
    const { memoryBytes, nanoseconds, joules } = tools.costOf(applied);
    const limit = capacities[indexOf.size] as number;
    const size = packages
      ? await tools.sizeOf(applied, Number.isFinite(limit) ? limit : undefined)
      : (original[indexOf.size] as number) + (sums[indexOf.size] as number) - this.#originalBytes;
    const amounts = [sums[indexOf.loss] as number, size, memoryBytes, nanoseconds * 1e-6, joules * 1e3];
    const candidate = { picks, amounts };
    this.#measured.set(picks.join(), candidate);
    return candidate;
  }

  get #originalBytes(): number {
    return this.#settings.items.reduce((sum, [first]) => sum + (first?.[indexOf.size] ?? 0), 0);
  }

  #fits(amounts: Amounts): boolean {
    return amounts.every((amount, k) => amount <= (this.#capacities[k] as number));
  }

  async #solve(): Promise<void> {
    for (let round = 0; round < mostRounds; round++) {
      const next = this.#next();
      if (!next) return;
      const { solution, isWithin } = next;
      const { amounts } = await this.measure(solution.picks);
      const before = this.#rest;
      this.#rest = amounts.map((amount, k) => {
        const measured = amount - (solution.sums[k] as number);
        const excess = amount - (this.#capacities[k] as number);
        // Where what was measured leads back to the same picks, what was too much has to go.
        const isStuck = isWithin && excess > 0 && measured <= (before[k] as number);
        return isStuck ? (before[k] as number) + excess : measured;
      });
      const isKnown = this.#capacities.every(
        (capacity, k) =>
          !Number.isFinite(capacity) ||
          Math.abs((this.#rest[k] as number) - (before[k] as number)) <= unknown * Math.abs(capacity),
      );
      if (isKnown && this.#fits(amounts)) return;
    }
  }

  /**
   * The solution, or, where nothing fits by what is known of the rest, what comes closest in one quantity; undefined when
   * it was measured before.
   */
  #next(): { readonly solution: Extract<Solution, { kind: "solved" }>; readonly isWithin: boolean } | undefined {
    const { problem } = this;
    const solution = solve(problem);
    if (solution.kind === "solved")
      return this.#measured.has(solution.picks.join()) ? undefined : { solution, isWithin: true };
    for (const [k, capacity] of problem.capacities.entries()) {
      if (k === indexOf.loss || !Number.isFinite(capacity)) continue;
      const capacities = problem.capacities.with(k, Number.POSITIVE_INFINITY);
      const least = solve({ ...problem, objective: k, capacities });
      if (least.kind === "solved" && !this.#measured.has(least.picks.join()))
        return { solution: least, isWithin: false };
    }
    return undefined;
  }

  /**
   * Neighbours that have the same scheme share what stands between them: kernels, of which a small package has few bytes to
   * spare for, and integers, which a mixture turns into floats and back. So picks of one scheme per family are tried too.
   */
  async #tryUniform(): Promise<void> {
    const { choices, items, objective } = this.#settings;
    const [best] = this.fitting;
    const loss = this.#capacities[indexOf.loss] as number;
    const size = this.#capacities[indexOf.size] as number;
    if (!this.#isMixed && (!Number.isFinite(size) || (best && !this.#isSmall(best)))) return;
    const sums = (picks: Picks): Amounts => sumsOf(items, picks, quantities.length);
    const uniform = uniformPicks(choices.layers)
      .map((picks) => ({ picks, sums: sums(picks) }))
      .filter(({ sums }) => (sums[indexOf.size] as number) <= size && (sums[indexOf.loss] as number) <= loss)
      .filter(({ sums }) => this.#isNear(sums))
      .sort((left, right) => (left.sums[objective] as number) - (right.sums[objective] as number));
    for (const { picks, sums } of uniform.slice(0, mostUniform)) {
      const [least] = this.fitting;
      const known = least && sumsOf(items, least.picks, quantities.length)[objective];
      if (!this.#isMixed && known !== undefined && (sums[objective] as number) >= known) return;
      await this.measure(picks);
    }
    if (this.#isMixed) await this.#refine();
  }

  /** Whether plans whose layers take `sums` may fit. */
  #isNear(sums: Amounts): boolean {
    return sums.every(
      (sum, k) => sum + (this.#rest[k] as number) <= (1 + overestimate) * (this.#capacities[k] as number),
    );
  }

  /** Whether time or energy matters, which depend on what the neighbours of a layer have. */
  get #isMixed(): boolean {
    const { objective } = this.#settings;
    const depending = [indexOf.latency, indexOf.energy, indexOf.memory];
    return depending.some((k) => k === objective || Number.isFinite(this.#capacities[k]));
  }

  /** Whether everything but the weights is much of the package, or much of the limit is left. */
  #isSmall({ amounts }: Candidate): boolean {
    const limit = this.#capacities[indexOf.size] as number;
    return (
      (this.#rest[indexOf.size] as number) > smallWeights * limit ||
      limit - (amounts[indexOf.size] as number) > unknown * limit
    );
  }

  /** Exchanges one layer's option at a time while the plan gets better, the layers with the greatest amounts first. */
  async #refine(): Promise<void> {
    const { items, objective } = this.#settings;
    const weightOf = (layer: number): number =>
      Math.max(...(items[layer] ?? []).map((amounts) => amounts[objective] as number));
    const order = items.map((_, layer) => layer).sort((left, right) => weightOf(right) - weightOf(left));
    let left = mostExchanges;
    for (const layer of order) {
      for (let option = 0; option < (items[layer]?.length ?? 0); option++) {
        const [best] = this.fitting;
        if (!best || left-- <= 0) return;
        const picks = best.picks.with(layer, option);
        const known = this.#measured.has(picks.join());
        const loss = sumsOf(items, picks, quantities.length)[indexOf.loss] as number;
        if (!known && loss <= (this.#capacities[indexOf.loss] as number)) await this.measure(picks);
      }
    }
  }
}
