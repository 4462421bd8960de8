/**
 * Search for picks within every limit. The solver adds up what layers cost; what the rest of a package costs changes a
 * little with the picks, so answers are planned and packaged, and the solver learns from them what the rest really takes.
 */
import { type Amounts, type ChoiceProblem, fits, sumsOf } from "./choice-problem.ts";
import { applyPicks, type Choices, type Picks } from "./picks.ts";
import { indexOf, quantities } from "./quantities.ts";
import { framedPicks, singlePicks, uniformPicks } from "./regular-picks.ts";
import { type Solution, solve } from "./solve.ts";
import type { BudgetTools } from "./tools.ts";

/** Plans or packages made per run. */
const mostRounds = 8;
/** Share of a limit by which what the rest takes may be unknown. */
const unknown = 0.005;
/** Share of the size limit that everything but the weights takes in a small package. */
const smallWeights = 0.1;
/** Regular picks that are planned, and the share of a limit by which their sums over the layers may be wrong. */
const mostRegular = 24;
const overestimate = 0.1;
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
  /** Keys of those whose size is a sum over the layers. */
  readonly #unpackaged = new Set<string>();
  #capacities: Amounts;
  /** What everything but the layers takes in the model as it is. */
  readonly #ownRest: Amounts;
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
    this.#ownRest = settings.original.map((amount, k) => amount - (own[k] as number));
    this.#rest = this.#ownRest;
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

  /** As `problem`, without what mixtures of schemes have taken: a lower bound of every plan, but for its size. */
  get lowerBound(): ChoiceProblem {
    const { problem } = this;
    const capacities = this.#capacities.map((capacity, k) =>
      k === indexOf.size ? (problem.capacities[k] as number) : capacity - (this.#ownRest[k] as number),
    );
    return { ...problem, capacities };
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
    await this.#tryRegular();
  }

  async measure(picks: Picks): Promise<Candidate> {
    const known = this.#measured.get(picks.join());
    if (known) return known;
    const { choices, items, tools, packages, capacities, original } = this.#settings;
    const sums = sumsOf(items, picks, quantities.length);
    const { memoryBytes, nanoseconds, joules } = tools.costOf(applyPicks(choices, picks));
    const size = (original[indexOf.size] as number) + (sums[indexOf.size] as number) - this.#originalBytes;
    const amounts = [sums[indexOf.loss] as number, size, memoryBytes, nanoseconds * 1e-6, joules * 1e3];
    const exceeds = amounts.some((amount, k) => k > indexOf.size && amount > (capacities[k] as number));
    const candidate = { picks, amounts };
    this.#measured.set(picks.join(), candidate);
    if (!packages) return candidate;
    this.#unpackaged.add(picks.join());
    // What exceeds another limit needs no package yet.
    return exceeds ? candidate : this.#withPackage(candidate);
  }

  /** With the size of the package really made, where sizes matter. */
  async #withPackage(candidate: Candidate): Promise<Candidate> {
    const key = candidate.picks.join();
    if (!this.#unpackaged.delete(key)) return candidate;
    const { choices, tools, capacities } = this.#settings;
    const limit = capacities[indexOf.size] as number;
    const size = await tools.sizeOf(applyPicks(choices, candidate.picks), Number.isFinite(limit) ? limit : undefined);
    const packaged = { ...candidate, amounts: candidate.amounts.with(indexOf.size, size) };
    this.#measured.set(key, packaged);
    return packaged;
  }

  get #originalBytes(): number {
    return this.#settings.items.reduce((sum, [first]) => sum + (first?.[indexOf.size] ?? 0), 0);
  }

  #fits(amounts: Amounts): boolean {
    return fits(amounts, this.#capacities);
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

  /** What depends on neighbours is not in the sums over the layers: picks whose sums hold are tried too. */
  async #tryRegular(): Promise<void> {
    const { choices, objective } = this.#settings;
    const [best] = this.fitting;
    const size = this.#capacities[indexOf.size] as number;
    if (!this.#isMixed && (!Number.isFinite(size) || (best && !this.#isSmall(best)))) return;
    if (this.#isMixed) await this.#measureAll(singlePicks(choices.layers).filter((picks) => this.#isPossible(picks)));
    for (const picks of this.#regularPicks(objective)) {
      const [least] = this.fitting;
      if (!this.#isMixed && least && this.#sums(picks, objective) >= this.#sums(least.picks, objective)) return;
      await this.measure(picks);
    }
    if (this.#isMixed) await this.#refine();
  }

  /** The candidate with the least of quantity `k` that keeps every other limit, regular picks included; undefined when none does. */
  async least(k: number): Promise<Candidate | undefined> {
    const others = this.#capacities.with(k, Number.POSITIVE_INFINITY);
    await this.#measureAll([...singlePicks(this.#settings.choices.layers), ...this.#regularPicks(k)]);
    const possible = [...this.#measured.values()]
      .filter(({ amounts }) => fits(amounts, others))
      .sort((left, right) => (left.amounts[k] as number) - (right.amounts[k] as number));
    for (const candidate of possible) {
      const packaged = await this.#withPackage(candidate);
      if (fits(packaged.amounts, others)) return packaged;
    }
    return undefined;
  }

  /** Of all that were measured, the one whose worst excess over a limit, as a share of it, is least. */
  nearest(): Candidate | undefined {
    const excess = ({ amounts }: Candidate): number =>
      Math.max(
        ...amounts.map((amount, k) => {
          const capacity = this.#capacities[k] as number;
          return Number.isFinite(capacity) ? (amount - capacity) / Math.max(Math.abs(capacity), Number.MIN_VALUE) : 0;
        }),
      );
    return [...this.#measured.values()].sort((left, right) => excess(left) - excess(right))[0];
  }

  /** Limited quantities that nothing measured keeps together, though it keeps any one fewer. */
  conflict(): readonly number[] {
    const limited = this.#capacities.flatMap((capacity, k) => (Number.isFinite(capacity) ? [k] : []));
    const keeps = (quantities: readonly number[]): boolean =>
      [...this.#measured.values()].some(({ amounts }) =>
        quantities.every((k) => (amounts[k] as number) <= (this.#capacities[k] as number)),
      );
    let left = limited;
    for (const k of limited) {
      const fewer = left.filter((other) => other !== k);
      if (!keeps(fewer)) left = fewer;
    }
    return left;
  }

  async #measureAll(list: readonly Picks[]): Promise<void> {
    for (const picks of list) await this.measure(picks);
  }

  #sums(picks: Picks, k: number): number {
    return sumsOf(this.#settings.items, picks, quantities.length)[k] as number;
  }

  /** Those that may keep the limits on everything but quantity `k`, the least of it first. */
  #regularPicks(k: number): readonly Picks[] {
    const { choices, items, objective } = this.#settings;
    const { layers } = choices;
    const found = [...uniformPicks(layers), ...(this.#isMixed ? framedPicks(layers, items) : [])]
      .filter((picks) => this.#isPossible(picks) && this.#isNear(picks, k === objective ? undefined : k))
      .map((picks) => [picks.join(), picks] as const);
    return [...new Map(found).values()]
      .sort((left, right) => this.#sums(left, k) - this.#sums(right, k))
      .slice(0, mostRegular);
  }

  /** Whether the weights alone keep the limit on size, and the loss its limit. */
  #isPossible(picks: Picks): boolean {
    return [indexOf.loss, indexOf.size].every((k) => this.#sums(picks, k) <= (this.#capacities[k] as number));
  }

  /** Whether regular picks may keep every limit but that on quantity `free`. */
  #isNear(picks: Picks, free: number | undefined): boolean {
    return sumsOf(this.#settings.items, picks, quantities.length).every(
      (sum, k) =>
        k === free || sum + (this.#ownRest[k] as number) <= (1 + overestimate) * (this.#capacities[k] as number),
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
