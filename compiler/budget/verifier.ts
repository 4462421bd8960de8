/** What a graph is worth, found by running it: outputs of its generated code against those of the model as it is. */
import type { Graph } from "../graph/graph.ts";
import { outputError } from "./output-error.ts";
import { type Quality, QualityMeter, type Truth } from "./quality.ts";
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

export class Verifier {
  readonly samples: readonly Sample[];
  /** Outputs of the model as it is. */
  readonly expected: readonly Sample[];
  readonly #truth: Truth;
  readonly #open: BudgetTools["open"];

  private constructor(
    samples: readonly Sample[],
    expected: readonly Sample[],
    truth: Truth,
    { open }: Pick<BudgetTools, "open">,
  ) {
    this.samples = samples;
    this.expected = expected;
    this.#truth = truth;
    this.#open = open;
  }

  /** `given`: undefined for synthetic samples. */
  static async open(
    graph: Graph,
    given: readonly Sample[] | undefined,
    truth: Truth,
    tools: Pick<BudgetTools, "open">,
  ): Promise<Verifier> {
    const execution = await tools.open(graph, []);
    try {
      const affordable = Math.max(1, Math.min(mostSamples, Math.floor(flopLimit / Math.max(1, execution.flops))));
      const samples = given?.length
        ? given.slice(0, affordable)
        : syntheticSamples(graph, Math.min(syntheticCount, affordable));
      const expected: Sample[] = [];
      for (const sample of samples) expected.push(await execution.run(sample));
      return new Verifier(samples, expected, truth, tools);
    } finally {
      execution.close();
    }
  }

  async verify(graph: Graph): Promise<Verified> {
    const execution = await this.#open(graph, []);
    try {
      const meter = new QualityMeter(this.#truth);
      let sum = 0;
      for (const [i, sample] of this.samples.entries()) {
        const outputs = await execution.run(sample);
        const expected = this.expected[i] as Sample;
        sum += outputError(outputs, expected);
        meter.add(expected, outputs);
      }
      return { outputError: Math.sqrt(sum / Math.max(1, this.samples.length)), quality: meter.finish() };
    } finally {
      execution.close();
    }
  }
}

/** One number for a limit: accuracy as a share of the model's own where there are labels, else the mean cosine. */
export function qualityScore({ quality: { accuracy, score, outputs }, outputError }: Verified): number {
  if (accuracy) return accuracy.reference === 0 ? 1 : Math.min(1, accuracy.quantised / accuracy.reference);
  return outputs.length > 0 ? score : qualityOfLoss(outputError ** 2);
}
