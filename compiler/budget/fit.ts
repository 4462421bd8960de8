/**
 * The budget stage: a scheme for every layer so that the package keeps all limits, with the best quality, latency,
 * energy or size. Layers and their options are weighed alone and solved together; the best answers are then planned, packaged
 * and run. Deterministic. Throws LeafcutterError budget-infeasible with an explanation, option-invalid for what contradicts.
 */
import { LeafcutterError } from "../../runtime/format/diagnostic.ts";
import type { Graph } from "../graph/graph.ts";
import { schemeName } from "../quantize/scheme.ts";
import type { Budget } from "./budget.ts";
import { type Calibrated, calibratedChoices } from "./calibrated-choices.ts";
import { type Amounts, fits } from "./choice-problem.ts";
import { describeOutcome } from "./describe-outcome.ts";
import { exceededBy, exceededByPrecision, exceededWhenRun, type Measured } from "./exceeded.ts";
import { islandsOf, withIslands } from "./float-islands.ts";
import { infeasible } from "./infeasible.ts";
import { layerCosts, type OptionCosts } from "./layer-costs.ts";
import type { Layer } from "./layers.ts";
import type { BudgetOutcome, Point } from "./outcome.ts";
import { applyPicks, type Choices, type Picks, picksOfScheme } from "./picks.ts";
import { capacitiesOf, indexOf, type Limits, lossOfQuality, type Objective, objectiveIndex } from "./quantities.ts";
import { type Candidate, Search, type SearchSettings } from "./search.ts";
import { measureSensitivity } from "./sensitivity.ts";
import { solve } from "./solve.ts";
import { qualityScore, type Verified, Verifier } from "./verifier.ts";

export interface FittedGraph {
  readonly graph: Graph;
  readonly layers: readonly Layer[];
  readonly picks: Picks;
  /** Absent when the model as it is keeps all limits. */
  readonly outcome?: BudgetOutcome;
  /** Relative error |a - b| / |b| of the outputs against the graph as it was, root mean square over the samples. */
  readonly outputError?: number;
  /** Absent when no scheme that was tried asks for it. */
  readonly calibrated?: Calibrated;
  /** What the choice rests on too weakly. */
  readonly notes?: readonly string[];
}

/** Quality that is kept when another quantity is to be least and nothing is said of quality. */
const usualQuality = 0.99;
/** Candidates that are run. */
const mostVerified = 3;
/** Times that the allowed loss is moved until the measured quality is right. */
const mostTightenings = 6;

export async function fitToBudget(graph: Graph, budget: Budget): Promise<FittedGraph> {
  return new Fit(graph, budget).run();
}

class Fit {
  readonly #graph: Graph;
  readonly #budget: Budget;
  readonly #limits: Limits;
  /** Whether sizes are those of packages really made. */
  readonly #packages: boolean;

  constructor(graph: Graph, budget: Budget) {
    this.#graph = graph;
    this.#budget = budget;
    const { limits, objective, precision } = budget;
    this.#limits =
      objective === "quality" || precision || limits.quality !== undefined
        ? limits
        : { ...limits, quality: usualQuality };
    this.#packages = limits.size !== undefined || objective === "size";
  }

  async run(): Promise<FittedGraph> {
    const { objective, precision } = this.#budget;
    this.#refusePrior();
    const original = await this.#amountsOf(this.#graph);
    const capacities = capacitiesOf(this.#limits);
    const isEnough = fits(original, capacities) && objective === "quality" && !precision;
    if (isEnough && this.#measuredLimit === undefined) return { graph: this.#graph, layers: [], picks: [] };
    const verifier = await Verifier.open(this.#graph, this.#budget.samples, this.#budget.truth, this.#budget);
    const reference = await verifier.reference();
    if (isEnough && this.#keepsMetric(reference)) return { graph: this.#graph, layers: [], picks: [] };
    const own: Measured = { ...pointOf(original, 1), sliceDrop: 0, metric: reference };
    if (isEnough) throw exceededWhenRun(own, own, { limits: this.#limits, tier: this.#budget.device.energy.tier });
    const { choices, calibrated, notes } = await calibratedChoices(this.#graph, this.#limits, verifier, this.#budget);
    const { layers } = choices;
    const costs = layerCosts(choices, this.#budget);
    const settings: SearchSettings = {
      choices,
      items: itemsOf(costs),
      objective: objectiveIndex(objective),
      capacities,
      original,
      tools: this.#budget,
      packages: this.#packages,
    };
    await this.#refuseHopeless({ choices, settings, verifier, tried: [] });
    const losses = await measureSensitivity(choices, {
      samples: verifier.samples,
      expected: verifier.expected,
      open: this.#budget.open,
      onProgress: (done, total) => this.#budget.onProgress?.("measure layers", done, total),
    });
    const weighed = { ...settings, items: itemsOf(costs, losses) };
    const search = new Search(weighed);
    const { candidate, verified } = await this.#choose({ choices, settings: weighed, search, verifier, tried: [] });
    return {
      graph: applyPicks(choices, candidate.picks),
      layers,
      picks: candidate.picks,
      outputError: verified.outputError,
      ...(calibrated ? { calibrated } : {}),
      notes,
      outcome: describeOutcome({
        objective,
        device: this.#budget.device,
        limits: this.#limits,
        layers,
        costs,
        search,
        original: pointOf(original, 1),
        chosen: pointOf(candidate.amounts, qualityScore(verified)),
        quality: verified.quality,
        picks: candidate.picks,
      }),
    };
  }

  async #choose(work: Work): Promise<Choice> {
    const { precision, objective } = this.#budget;
    const { choices, search } = work;
    if (precision) {
      const picks = picksOfScheme(choices.layers, precision);
      const { limits, device } = this.#budget;
      const timeOf = async (some: Picks): Promise<number> =>
        (await search.measure(some)).amounts[indexOf.latency] as number;
      const islands = await withIslands(picks, islandsOf(choices.layers, picks, work.settings.items), timeOf);
      const better = islands.join() === picks.join() ? [] : [islands];
      let measured: Measured | undefined;
      for (const wanted of [...better, picks]) {
        const choice = await this.#verify(work, await search.measure(wanted));
        measured = measuredOf(choice);
        if (exceededBy(measured, limits).length === 0) return choice;
      }
      throw exceededByPrecision(schemeName(precision), measured as Measured, { limits, tier: device.energy.tier });
    }
    const { quality, sliceDrop } = this.#limits;
    if (quality === undefined && sliceDrop === undefined && this.#measuredLimit === undefined) {
      await search.run(Number.POSITIVE_INFINITY);
      return this.#bestVerified(work);
    }
    return this.#withinQuality(work, objective);
  }

  /** The sums over the layers miss interactions: of the best few, the one whose outputs are closest when run. */
  async #bestVerified(work: Work): Promise<Choice> {
    let best: Choice | undefined;
    for (const candidate of work.search.fitting.slice(0, mostVerified)) {
      const choice = await this.#verify(work, candidate);
      if (!best || choice.verified.outputError < best.verified.outputError) best = choice;
    }
    if (!best) throw await this.#infeasible(work);
    return best;
  }

  /** Moves the allowed loss until what is measured is good enough, but not much better than that. */
  async #withinQuality(work: Work, objective: Objective): Promise<Choice> {
    const { search } = work;
    const { quality = 0, sliceDrop = Number.POSITIVE_INFINITY } = this.#limits;
    const k = objectiveIndex(objective);
    let allowed = quality === 0 ? 1 : lossOfQuality(quality);
    let best: Choice | undefined;
    const tried = new Set<string>();
    for (let round = 0; round < mostTightenings; round++) {
      await search.run(allowed);
      const [candidate] = search.fitting;
      if (!candidate || tried.has(candidate.picks.join())) break;
      tried.add(candidate.picks.join());
      const choice = await this.#verify(work, candidate);
      const { verified } = choice;
      const isGood = this.#isGood(verified);
      if (isGood && (!best || (candidate.amounts[k] as number) < (best.candidate.amounts[k] as number))) best = choice;
      const score = qualityScore(verified);
      const isTight = lossOfQuality(Math.max(score, 1e-6)) > 0.7 * lossOfQuality(quality);
      if (isGood && (objective === "quality" || isTight)) break;
      const drop = sliceDrop > 0 ? (verified.quality.worstGroup?.drop ?? 0) / sliceDrop : 0;
      const measured = Math.max((1 - score) / Math.max(1e-9, 1 - quality), drop, this.#metricShare(verified));
      const sum = Math.min(allowed, candidate.amounts[indexOf.loss] as number);
      allowed = isGood
        ? Math.min(4 * allowed, (0.9 * allowed) / Math.max(measured, 0.25))
        : sum * Math.min(0.7, 0.9 / measured);
    }
    best ??= await this.#leastLoss(work);
    if (!best) throw await this.#infeasible(work);
    return best;
  }

  /** What is measured may be better than the sums over the layers say: the least of them is run before giving up. */
  async #leastLoss(work: Work): Promise<Choice | undefined> {
    const search = new Search({ ...work.settings, objective: indexOf.loss });
    await search.run(Number.POSITIVE_INFINITY);
    for (const candidate of search.fitting.slice(0, mostVerified)) {
      const choice = await this.#verify(work, candidate);
      if (this.#isGood(choice.verified)) return choice;
    }
    return undefined;
  }

  #isGood(verified: Verified): boolean {
    const { quality = 0, sliceDrop = Number.POSITIVE_INFINITY } = this.#limits;
    return (
      qualityScore(verified) >= quality &&
      (verified.quality.worstGroup?.drop ?? 0) <= sliceDrop &&
      this.#metricShare(verified) <= 1
    );
  }

  get #measuredLimit(): number | undefined {
    return this.#limits.minMetric ?? this.#limits.maxMetric;
  }

  /** What the metric lost, as a share of what it may lose; 0 without a limit. */
  #metricShare({ quality: { metric } }: Verified): number {
    const limit = this.#measuredLimit;
    if (!metric || limit === undefined) return 0;
    const sign = metric.higherIsBetter ? 1 : -1;
    const lost = sign * (metric.reference - metric.quantised);
    const allowed = sign * (metric.reference - limit);
    return lost <= allowed
      ? Math.max(0, lost / Math.max(allowed, 1e-12))
      : Math.max(1.01, lost / Math.max(allowed, 1e-3 * Math.abs(limit), 1e-12));
  }

  #keepsMetric(score: number | undefined): boolean {
    const { minMetric = Number.NEGATIVE_INFINITY, maxMetric = Number.POSITIVE_INFINITY } = this.#limits;
    return score === undefined || (score >= minMetric && score <= maxMetric);
  }

  async #verify({ choices, verifier, tried }: Work, candidate: Candidate): Promise<Choice> {
    this.#budget.onProgress?.("verify", 0, 1);
    const choice = { candidate, verified: await verifier.verify(applyPicks(choices, candidate.picks)) };
    tried.push(choice);
    return choice;
  }

  /** What no choice can keep whatever it does to the outputs is refused before anything is measured. */
  async #refuseHopeless(work: Omit<Work, "search">): Promise<void> {
    const { quality, sliceDrop } = this.#limits;
    if (quality !== undefined || sliceDrop !== undefined || this.#budget.precision) return;
    const search = new Search(work.settings);
    if (solve(search.problem, "any").kind === "solved") return;
    await search.run(Number.POSITIVE_INFINITY);
    if (search.fitting.length === 0 && solve(search.problem, "any").kind === "infeasible")
      throw await this.#infeasible({ ...work, search });
  }

  async #infeasible({ choices, search, settings, verifier, tried }: Work): Promise<LeafcutterError> {
    const { problem } = search;
    const { tier } = this.#budget.device.energy;
    const loss = capacitiesOf(this.#limits)[indexOf.loss] as number;
    const promised = solve({ ...problem, capacities: problem.capacities.with(indexOf.loss, loss) }, "any");
    const [nearest] = tried.toSorted((left, right) => left.verified.outputError - right.verified.outputError);
    if (promised.kind === "solved" && nearest) {
      const metric = nearest.verified.quality.metric?.reference;
      const original = { ...pointOf(settings.original, 1), sliceDrop: 0, metric };
      return exceededWhenRun(measuredOf(nearest), original, { limits: this.#limits, tier });
    }
    return infeasible({
      search,
      layers: choices.layers,
      limits: this.#limits,
      tier,
      sizeOf: (picks, size) => this.#budget.sizeOf(applyPicks(choices, picks), size),
      pointOf: async ({ amounts, picks }: Candidate) =>
        pointOf(amounts, qualityScore(await verifier.verify(applyPicks(choices, picks)))),
    });
  }

  async #amountsOf(graph: Graph): Promise<Amounts> {
    const { memoryBytes, nanoseconds, joules } = this.#budget.costOf(graph);
    const size = await this.#budget.sizeOf(graph, this.#limits.size);
    return [0, size, memoryBytes, nanoseconds * 1e-6, joules * 1e3];
  }

  #refusePrior(): void {
    const { limits, device, acceptPrior } = this.#budget;
    const { tier, source, band } = device.energy;
    if (limits.energy === undefined || tier !== "C" || acceptPrior) return;
    throw new LeafcutterError({
      code: "option-invalid",
      where: "energy limit",
      message: "the energy of this device is not known well enough for a limit",
      expected: "a device profile of tier A or B",
      received: `tier C: ${source}, right within a factor of ${band}`,
      advice: "Measure the device with `leafcutter profile`, or accept the published table with --accept-prior.",
    });
  }
}

/** What the search works with. */
interface Work {
  readonly choices: Choices;
  readonly settings: SearchSettings;
  readonly search: Search;
  readonly verifier: Verifier;
  /** All that was run. */
  readonly tried: Choice[];
}

interface Choice {
  readonly candidate: Candidate;
  readonly verified: Verified;
}

const measuredOf = ({ candidate, verified }: Choice): Measured => ({
  ...pointOf(candidate.amounts, qualityScore(verified)),
  sliceDrop: verified.quality.worstGroup?.drop ?? 0,
  metric: verified.quality.metric?.quantised,
});

/** [layer][option], without losses where those are not known. */
const itemsOf = (
  costs: readonly (readonly OptionCosts[])[],
  losses?: readonly (readonly number[])[],
): SearchSettings["items"] =>
  costs.map((row, layer) =>
    row.map(({ bytes, memoryBytes, milliseconds, millijoules }, option) => [
      losses?.[layer]?.[option] ?? 0,
      bytes,
      memoryBytes,
      milliseconds,
      millijoules,
    ]),
  );

const pointOf = (amounts: Amounts, quality: number): Point => ({
  size: amounts[indexOf.size] as number,
  memory: amounts[indexOf.memory] as number,
  latency: amounts[indexOf.latency] as number,
  energy: amounts[indexOf.energy] as number,
  quality,
});
