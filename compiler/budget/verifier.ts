/** What a graph is worth, found by running it: outputs of its generated code against those of the model as it is. */
import { LeafcutterError } from "../../runtime/format/diagnostic.ts";
import { isFloat } from "../../runtime/format/dtype.ts";
import type { Graph } from "../graph/graph.ts";
import { languageModelOf } from "../quantize/language-model.ts";
import { type Metric, metricDrop, scoreOf } from "./metric.ts";
import { outputError } from "./output-error.ts";
import { type Quality, QualityMeter, type Truth, withWorst } from "./quality.ts";
import { qualityOfLoss } from "./quantities.ts";
import { syntheticSamples } from "./samples.ts";
import type { BudgetTools, Sample } from "./tools.ts";

/** Floating-point operations of one verification, as far as one sample allows. */
const flopLimit = 4e10;
const mostSamples = 500;
const syntheticCount = 4;

export interface Verified {
  /** Relative error |a - b| / |b| of the outputs, root mean square over the samples. */
  readonly outputError: number;
  readonly quality: Quality;
}

/** Where `count` of `total` items stand at equal distances, or all of them. */
export function spread(total: number, count: number): readonly number[] {
  const taken = Math.min(total, count);
  return Array.from({ length: taken }, (_, i) => Math.floor((i * total) / taken));
}

export class Verifier {
  readonly samples: readonly Sample[];
  /** Outputs of the model as it is. */
  readonly expected: readonly Sample[];
  /** Floating-point operations of a run. */
  readonly flops: number;
  readonly #truth: VerifierTruth;
  readonly #open: BudgetTools["open"];
  #reference: Scores | undefined;

  private constructor(
    run: Pick<Verifier, "samples" | "expected" | "flops">,
    truth: VerifierTruth,
    { open }: Pick<BudgetTools, "open">,
  ) {
    this.samples = run.samples;
    this.expected = run.expected;
    this.flops = run.flops;
    this.#truth = truth;
    this.#open = open;
  }

  /** `given`: undefined for synthetic samples. Throws option-invalid for a label that is no class of the model. */
  static async open(
    graph: Graph,
    given: readonly Sample[] | undefined,
    truth: VerifierTruth,
    tools: Pick<BudgetTools, "open">,
  ): Promise<Verifier> {
    const execution = await tools.open(graph, []);
    try {
      const { flops } = execution;
      const affordable = Math.max(1, Math.min(mostSamples, Math.floor(flopLimit / Math.max(1, flops))));
      const places = given?.length ? spread(given.length, affordable) : undefined;
      const samples = places
        ? places.map((place) => given?.[place] as Sample)
        : syntheticSamples(graph, Math.min(syntheticCount, affordable));
      const pick = <T>(list: readonly T[] | undefined): readonly T[] | undefined =>
        list && places?.map((place) => list[place] as T);
      const known: VerifierTruth = {
        labels: pick(truth.labels),
        groups: pick(truth.groups),
        language: places ? languageModelOf(graph) : undefined,
        metric: truth.metric,
      };
      const expected: Sample[] = [];
      for (const sample of samples) expected.push(await execution.run(sample));
      if (!truth.metric) checkClasses(known.labels, expected[0], places);
      return new Verifier({ samples, expected, flops }, known, tools);
    } finally {
      execution.close();
    }
  }

  /** The user's metric of the model as it is. */
  async reference(): Promise<number | undefined> {
    this.#reference ??= await this.#scoresOf(this.expected);
    return this.#reference?.all;
  }

  async verify(graph: Graph): Promise<Verified> {
    const execution = await this.#open(graph, []);
    try {
      const meter = new QualityMeter(this.#truth);
      const received: Sample[] = [];
      let sum = 0;
      for (const [i, sample] of this.samples.entries()) {
        const outputs = await execution.run(sample);
        const expected = this.expected[i] as Sample;
        sum += outputError(outputs, expected);
        meter.add(expected, outputs, sample);
        if (this.#truth.metric) received.push(outputs);
      }
      const quality = await this.#withMetric(meter.finish(), received);
      return { outputError: Math.sqrt(sum / Math.max(1, this.samples.length)), quality };
    } finally {
      execution.close();
    }
  }

  async #withMetric(quality: Quality, received: readonly Sample[]): Promise<Quality> {
    const { metric } = this.#truth;
    const reference = await this.reference();
    const scores = metric && (await this.#scoresOf(received));
    if (!metric || !scores || reference === undefined) return quality;
    const { name, unit, higherIsBetter = true } = metric;
    const groups = quality.groups.map((group) => {
      const [before, after] = [this.#reference?.groups.get(group.name), scores.groups.get(group.name)];
      return { ...group, drop: metricDrop(metric, before ?? 0, after ?? 0) };
    });
    const measured = {
      name,
      ...(unit === undefined ? {} : { unit }),
      higherIsBetter,
      reference,
      quantised: scores.all,
    };
    return { ...quality, metric: measured, ...withWorst(groups) };
  }

  async #scoresOf(outputs: readonly Sample[]): Promise<Scores | undefined> {
    const { metric, labels, groups } = this.#truth;
    if (!metric) return undefined;
    const scored = outputs.map((output, index) => ({
      output,
      label: labels?.[index],
      sample: this.samples[index] as Sample,
      index,
    }));
    const byGroup = new Map<string, number>();
    for (const name of new Set(groups))
      byGroup.set(
        name,
        await scoreOf(
          metric,
          scored.filter(({ index }) => groups?.[index] === name),
        ),
      );
    return { all: await scoreOf(metric, scored), groups: byGroup };
  }
}

export interface VerifierTruth extends Truth {
  readonly metric?: Metric | undefined;
}

interface Scores {
  readonly all: number;
  readonly groups: ReadonlyMap<string, number>;
}

/** Throws option-invalid naming the first sample whose label the model's first output has no class for. */
function checkClasses(
  labels: readonly unknown[] | undefined,
  outputs: Sample | undefined,
  places: readonly number[] | undefined,
): void {
  const [first] = Object.values(outputs ?? {}).filter(({ dtype }) => isFloat(dtype));
  const classes = first?.shape.at(-1) ?? 0;
  const isClassifier = first !== undefined && classes > 1 && classes === first.data.length;
  if (labels && !isClassifier)
    throw new LeafcutterError({
      code: "option-invalid",
      where: "labels",
      message: "the model's first output is not one row of classes, so that labels cannot be compared with it",
      expected: "an output [1, classes]",
      received: `[${first?.shape.join(", ") ?? ""}]`,
      advice: "Leave the labels out, or give a metric that reads them (--metric).",
    });
  const wrong = labels?.findIndex((label) => typeof label === "number" && label >= classes) ?? -1;
  if (wrong < 0) return;
  throw new LeafcutterError({
    code: "option-invalid",
    where: `labels, sample ${places?.[wrong] ?? wrong}`,
    message: "the label is no class of the model",
    expected: `0 to ${classes - 1}`,
    received: `${labels?.[wrong]}`,
    advice: "Number the classes as the model does, from 0.",
  });
}

/**
 * One number for a limit: the user's metric or the accuracy as a share of the model's own where there is one, else the mean
 * cosine.
 */
export function qualityScore({ quality: { metric, accuracy, score, outputs }, outputError }: Verified): number {
  if (metric && metric.reference > 0 && metric.quantised >= 0) {
    const { reference, quantised, higherIsBetter } = metric;
    return Math.min(1, higherIsBetter ? quantised / reference : reference / Math.max(quantised, Number.MIN_VALUE));
  }
  if (accuracy) return accuracy.reference === 0 ? 1 : Math.min(1, accuracy.quantised / accuracy.reference);
  return outputs.length > 0 ? score : qualityOfLoss(outputError ** 2);
}
