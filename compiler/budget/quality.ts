/**
 * How good a quantised model is: its outputs against those of the float model on the same samples, and against labels.
 * Everything is found by running; nothing here knows how the outputs came about.
 */
import { isFloat } from "../../runtime/format/dtype.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import { readerOf } from "../../runtime/reference/element.ts";
import type { Sample } from "./tools.ts";

/** What is known about the samples besides their inputs. */
export interface Truth {
  readonly labels?: readonly number[] | undefined;
  readonly groups?: readonly string[] | undefined;
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
    readonly topFive: number;
    readonly divergence: number;
  };
}

/** Share of samples whose first class is the label, of the float model and the quantised one. */
export interface Accuracy {
  readonly reference: number;
  readonly quantised: number;
}

export interface Quality {
  readonly samples: number;
  readonly outputs: readonly OutputQuality[];
  /** Mean of the outputs' cosines, 0 at least: one number for a limit. */
  readonly score: number;
  readonly accuracy?: Accuracy;
  /**
   * The group that loses most: in accuracy where there are labels, else in agreement of the first class, else in cosine.
   * `drop` is in points (hundredths).
   */
  readonly worstGroup?: { readonly name: string; readonly samples: number; readonly drop: number };
}

const surely = 0.1;
const top = 5;

/** Collects one sample after the other, so that outputs need not be kept. */
export class QualityMeter {
  readonly #truth: Truth;
  readonly #outputs = new Map<string, OutputSums>();
  readonly #groups = new Map<string, GroupSums>();
  readonly #all = newGroup();
  #samples = 0;

  constructor(truth: Truth = {}) {
    this.#truth = truth;
  }

  /** The outputs of the next sample. */
  add(expected: Sample, received: Sample): void {
    const index = this.#samples++;
    const group = this.#truth.groups?.[index];
    const sums = group === undefined ? undefined : (this.#groups.get(group) ?? newGroup());
    if (group !== undefined && sums) this.#groups.set(group, sums);
    const label = this.#truth.labels?.[index];
    const names = Object.keys(expected).filter((name) => isFloat((expected[name] as Tensor).dtype));
    for (const [position, name] of names.entries()) {
      const known = this.#outputs.get(name) ?? newOutput();
      this.#outputs.set(name, known);
      const left = numbersOf(expected[name] as Tensor);
      const right = numbersOf(received[name] as Tensor);
      const cosine = addSignal(known, left, right);
      const extent = (expected[name] as Tensor).shape.at(-1) ?? 1;
      const isClasses = extent > 1 && extent === left.length;
      if (isClasses) addClasses(known, left, right);
      for (const to of sums ? [sums, this.#all] : [this.#all]) {
        to.cosines += cosine / names.length;
        if (!isClasses || position > 0) continue;
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

  finish(): Quality {
    const outputs = [...this.#outputs].map(([name, sums]) => finishOutput(name, sums, this.#samples));
    const count = Math.max(1, this.#samples);
    const labelled = this.#truth.labels !== undefined && this.#all.classified > 0;
    const worst = [...this.#groups]
      .map(([name, group]) => ({ name, samples: group.samples, drop: 100 * dropOf(group, labelled) }))
      .toSorted((a, b) => b.drop - a.drop)[0];
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
      ...(worst ? { worstGroup: worst } : {}),
    };
  }
}

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
  sums.topFive += order.filter((index) => ours.includes(index)).length / order.length;
  for (const [i, value] of p.entries())
    if (value > 0) sums.divergence += value * Math.log(value / Math.max(q[i] as number, Number.MIN_VALUE));
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
            topFive: sums.topFive / sums.classified,
            divergence: sums.divergence / sums.classified,
          },
        }
      : {}),
  };
}
