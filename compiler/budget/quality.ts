/**
 * How good a quantised model is: its outputs against those of the float model on the same samples, and against labels.
 * Everything is found by running; nothing here knows how the outputs came about.
 */
import { isFloat } from "../../runtime/format/dtype.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import { readerOf } from "../../runtime/reference/element.ts";
import type { LanguageModel } from "../quantize/language-model.ts";
import { surprise } from "../quantize/perplexity.ts";
import type { Sample } from "./tools.ts";

/** What is known about the samples besides their inputs. */
export interface Truth {
  /** Classes, for accuracy, when all are whole numbers; anything else only a metric reads. */
  readonly labels?: readonly unknown[] | undefined;
  readonly groups?: readonly string[] | undefined;
  /** Whose logits say what is likely behind each token of its samples. */
  readonly language?: Pick<LanguageModel, "logits" | "vocabulary"> | undefined;
}

/** The same of a measure, of the float model and the quantised one. */
export interface Measured {
  readonly reference: number;
  readonly quantised: number;
}

export interface MeasuredMetric extends Measured {
  readonly name: string;
  readonly unit?: string;
  readonly higherIsBetter: boolean;
}

/** Measures of one output, over all samples. */
export interface OutputQuality {
  readonly name: string;
  /** Cosine of the angle between the outputs, mean over samples. */
  readonly cosine: number;
  /** 10 log10(sum of float² / sum of difference²) over all samples, in dB. */
  readonly sqnr: number;
  /**
   * For outputs that say how likely each of several classes is (the last axis, at least two of them): how often the first
   * class agrees; the same where the float model is sure (probabilities of its first two differ by more than 0.1); share of
   * the float model's first five that are among the first five; mean of sum p ln(p / q) in nats.
   */
  readonly classes?: {
    readonly agreement: number;
    readonly sureAgreement: number;
    readonly sure: number;
    /** Five, or all classes when there are fewer. */
    readonly top: number;
    readonly topFive: number;
    readonly divergence: number;
  };
}

export interface Quality {
  readonly samples: number;
  readonly outputs: readonly OutputQuality[];
  /** Mean of the outputs' cosines, 0 at least: one number for a limit. */
  readonly score: number;
  /** Share of samples whose first class is the label. */
  readonly accuracy?: Measured;
  /** Of a language model on the samples' own tokens: exp of the mean of -ln p(token | those before it). */
  readonly perplexity?: Measured & { readonly tokens: number };
  /** The user's own. */
  readonly metric?: MeasuredMetric;
  readonly groups: readonly GroupQuality[];
  /** The group that loses most. */
  readonly worstGroup?: GroupQuality;
}

/**
 * What a group loses: of the user's metric where there is one (in its unit), else in accuracy where there are labels, else in
 * agreement of the first class, else in cosine. `drop` is in points (hundredths) but for a metric with a unit.
 */
export interface GroupQuality {
  readonly name: string;
  readonly samples: number;
  readonly drop: number;
}

const surely = 0.1;
const top = 5;
/** Positions of a text whose likeliest tokens are compared. */
const mostPositions = 32;

/** Collects one sample after the other, so that outputs need not be kept. */
export class QualityMeter {
  readonly #truth: Truth;
  readonly #outputs = new Map<string, OutputSums>();
  readonly #groups = new Map<string, GroupSums>();
  readonly #all = newGroup();
  readonly #classes: readonly number[] | undefined;
  readonly #text = { reference: 0, quantised: 0, tokens: 0 };
  #samples = 0;

  constructor(truth: Truth = {}) {
    this.#truth = truth;
    this.#classes = classesOf(truth.labels);
  }

  /** The outputs of the next sample; a language model's tokens are in the sample itself. */
  add(expected: Sample, received: Sample, sample: Sample = {}): void {
    const index = this.#samples++;
    const group = this.#truth.groups?.[index];
    const sums = group === undefined ? undefined : (this.#groups.get(group) ?? newGroup());
    if (group !== undefined && sums) this.#groups.set(group, sums);
    const label = this.#classes?.[index];
    const { language } = this.#truth;
    const names = Object.keys(expected).filter((name) => isFloat((expected[name] as Tensor).dtype));
    for (const [position, name] of names.entries()) {
      const known = this.#outputs.get(name) ?? newOutput();
      this.#outputs.set(name, known);
      const left = numbersOf(expected[name] as Tensor);
      const right = numbersOf(received[name] as Tensor);
      const cosine = addSignal(known, left, right);
      const extent = (expected[name] as Tensor).shape.at(-1) ?? 1;
      const isClasses = extent > 1 && extent === left.length;
      const isText = name === language?.logits && extent === language.vocabulary;
      if (isText) this.#addText(left, right, extent, sample);
      const agreement = isText ? addRows(known, left, right, extent) : 0;
      if (isClasses && !isText) addClasses(known, left, right);
      for (const to of sums ? [sums, this.#all] : [this.#all]) {
        to.cosines += cosine / names.length;
        if (isText && position === 0) {
          to.agreeing += agreement;
          to.classified++;
        }
        if (!isClasses || isText || position > 0) continue;
        const [first, ours] = [indexOfLargest(left), indexOfLargest(right)];
        to.agreeing += first === ours ? 1 : 0;
        to.rightReference += first === label ? 1 : 0;
        to.rightQuantised += ours === label ? 1 : 0;
        to.classified++;
      }
    }
    this.#all.samples++;
    if (sums) sums.samples++;
  }

  #addText(left: ArrayLike<number>, right: ArrayLike<number>, vocabulary: number, sample: Sample): void {
    const { input_ids: ids, attention_mask: mask } = sample;
    if (!ids) return;
    const [tokens, seen] = [numbersOf(ids), mask && numbersOf(mask)];
    // Padding is no text, on whichever side it stands.
    for (let at = 0; at + 1 < tokens.length && (at + 1) * vocabulary <= left.length; at++) {
      if (seen?.length === tokens.length && (seen[at] === 0 || seen[at + 1] === 0)) continue;
      const next = tokens[at + 1] as number;
      this.#text.reference += surprise(left, at * vocabulary, vocabulary, next);
      this.#text.quantised += surprise(right, at * vocabulary, vocabulary, next);
      this.#text.tokens++;
    }
  }

  finish(): Quality {
    const outputs = [...this.#outputs].map(([name, sums]) => finishOutput(name, sums, this.#samples));
    const count = Math.max(1, this.#samples);
    const labelled = this.#classes !== undefined && this.#all.classified > 0;
    const groups = [...this.#groups].map(([name, group]) => ({
      name,
      samples: group.samples,
      drop: 100 * dropOf(group, labelled),
    }));
    const { tokens } = this.#text;
    return {
      samples: this.#samples,
      outputs,
      score: Math.max(0, this.#all.cosines / count),
      ...(labelled
        ? {
            accuracy: {
              reference: this.#all.rightReference / this.#all.classified,
              quantised: this.#all.rightQuantised / this.#all.classified,
            },
          }
        : {}),
      ...(tokens > 0
        ? {
            perplexity: {
              reference: Math.exp(this.#text.reference / tokens),
              quantised: Math.exp(this.#text.quantised / tokens),
              tokens,
            },
          }
        : {}),
      ...withWorst(groups),
    };
  }
}

/** All groups, and the one that loses most. */
export function withWorst(groups: readonly GroupQuality[]): Pick<Quality, "groups" | "worstGroup"> {
  const [worst] = groups.toSorted((a, b) => b.drop - a.drop);
  return { groups, ...(worst ? { worstGroup: worst } : {}) };
}

/** undefined where labels are anything else than classes. */
const classesOf = (labels: readonly unknown[] | undefined): readonly number[] | undefined =>
  labels?.every((label): label is number => Number.isInteger(label) && (label as number) >= 0) ? labels : undefined;

interface GroupSums {
  samples: number;
  classified: number;
  agreeing: number;
  rightReference: number;
  rightQuantised: number;
  cosines: number;
}

const newGroup = (): GroupSums => ({
  samples: 0,
  classified: 0,
  agreeing: 0,
  rightReference: 0,
  rightQuantised: 0,
  cosines: 0,
});

function dropOf(group: GroupSums, labelled: boolean): number {
  if (group.classified === 0) return 1 - group.cosines / group.samples;
  if (labelled) return (group.rightReference - group.rightQuantised) / group.classified;
  return 1 - group.agreeing / group.classified;
}

interface OutputSums {
  cosines: number;
  signal: number;
  noise: number;
  classified: number;
  agreeing: number;
  sure: number;
  sureAgreeing: number;
  top: number;
  topFive: number;
  divergence: number;
}

const newOutput = (): OutputSums => ({
  cosines: 0,
  signal: 0,
  noise: 0,
  classified: 0,
  agreeing: 0,
  sure: 0,
  sureAgreeing: 0,
  top: 0,
  topFive: 0,
  divergence: 0,
});

function numbersOf(tensor: Tensor): ArrayLike<number> {
  if (tensor.dtype === "float32" || tensor.dtype === "float64") return tensor.data as Float32Array | Float64Array;
  const read = readerOf(tensor);
  return Float64Array.from({ length: tensor.data.length }, (_, i) => Number(read(i)));
}

/** Adds what the sample does to cosine and SQNR; answers with its cosine. Where float is not finite, nothing counts. */
function addSignal(sums: OutputSums, left: ArrayLike<number>, right: ArrayLike<number>): number {
  let [dot, signal, other, noise] = [0, 0, 0, 0];
  for (let i = 0; i < left.length; i++) {
    const [a, b] = [left[i] as number, right[i] as number];
    if (!Number.isFinite(a)) continue;
    dot += a * b;
    signal += a * a;
    other += b * b;
    noise += (a - b) ** 2;
  }
  const cosine = noise === 0 ? 1 : dot / Math.sqrt(signal * other);
  const finite = Number.isFinite(cosine) ? cosine : 0;
  sums.cosines += finite;
  sums.signal += signal;
  sums.noise += Number.isNaN(noise) ? Infinity : noise;
  return finite;
}

function addClasses(sums: OutputSums, left: ArrayLike<number>, right: ArrayLike<number>): void {
  const [p, q] = [probabilitiesOf(left), probabilitiesOf(right)];
  const order = largest(p, Math.min(top, p.length));
  const ours = largest(q, Math.min(top, q.length));
  const agrees = order[0] === ours[0];
  const margin = (p[order[0] as number] as number) - (p[order[1] as number] as number);
  sums.classified++;
  sums.agreeing += agrees ? 1 : 0;
  sums.sure += margin > surely ? 1 : 0;
  sums.sureAgreeing += margin > surely && agrees ? 1 : 0;
  sums.top = order.length;
  sums.topFive += order.filter((index) => ours.includes(index)).length / order.length;
  for (const [i, value] of p.entries())
    if (value > 0) sums.divergence += value * Math.log(value / Math.max(q[i] as number, Number.MIN_VALUE));
}

/** Some positions of a text, at equal distances; answers with the share of those whose first token agrees. */
function addRows(sums: OutputSums, left: ArrayLike<number>, right: ArrayLike<number>, extent: number): number {
  const rows = Math.floor(left.length / extent);
  const taken = Math.min(rows, mostPositions);
  const before = sums.agreeing;
  for (let i = 0; i < taken; i++) {
    const start = Math.floor((i * rows) / taken) * extent;
    const rowOf = (values: ArrayLike<number>): ArrayLike<number> =>
      Array.prototype.slice.call(values, start, start + extent) as number[];
    addClasses(sums, rowOf(left), rowOf(right));
  }
  return taken === 0 ? 1 : (sums.agreeing - before) / taken;
}

/** Values that are probabilities already, or the softmax of them. */
function probabilitiesOf(values: ArrayLike<number>): Float64Array {
  let [sum, least, most] = [0, Infinity, -Infinity];
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    sum += value;
    least = Math.min(least, value);
    most = Math.max(most, value);
  }
  if (least >= 0 && Math.abs(sum - 1) < 0.02) return Float64Array.from(values);
  const powers = Float64Array.from(values, (value) => Math.exp(value - most));
  const total = powers.reduce((all, power) => all + power, 0);
  return powers.map((power) => power / total);
}

function indexOfLargest(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if ((values[i] as number) > (values[best] as number)) best = i;
  return best;
}

/** Indices of the `count` largest, the largest first. */
function largest(values: Float64Array, count: number): readonly number[] {
  const found: number[] = [];
  for (let k = 0; k < count; k++) {
    let best = -1;
    for (let i = 0; i < values.length; i++)
      if (!found.includes(i) && (best < 0 || (values[i] as number) > (values[best] as number))) best = i;
    found.push(best);
  }
  return found;
}

function finishOutput(name: string, sums: OutputSums, samples: number): OutputQuality {
  const count = Math.max(1, samples);
  return {
    name,
    cosine: sums.cosines / count,
    sqnr: sums.noise === 0 ? Infinity : 10 * Math.log10(sums.signal / sums.noise),
    ...(sums.classified > 0
      ? {
          classes: {
            agreement: sums.agreeing / sums.classified,
            sure: sums.sure,
            sureAgreement: sums.sure === 0 ? 1 : sums.sureAgreeing / sums.sure,
            top: sums.top,
            topFive: sums.topFive / sums.classified,
            divergence: sums.divergence / sums.classified,
          },
        }
      : {}),
  };
}
