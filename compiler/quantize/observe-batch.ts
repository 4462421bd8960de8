/**
 * What a few samples say about some values of a graph, as sums that can be added to those of other samples: the unit of work
 * that a worker does and that the cache of calibrations keeps. Function of its arguments alone.
 */
import { LeafcutterError } from "../../runtime/format/diagnostic.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import type { ValueRange } from "./calibration.ts";
import { countBins } from "./histogram.ts";
import { MomentSums } from "./moments.ts";

/** One run's inputs or outputs by name. */
export type NamedTensors = Readonly<Record<string, Tensor>>;

/** An output of the graph that is observed. */
export interface ObservedOutput {
  readonly output: string;
  /** Extent of the last axis. */
  readonly width: number;
  /** Also the second moments of the last axis. */
  readonly moments: boolean;
  /** Of the histogram, over all samples; the first pass finds it. */
  readonly range?: ValueRange;
}

export interface BatchOrder {
  readonly samples: readonly NamedTensors[];
  /** Number of the first of them among all samples, for errors. */
  readonly first: number;
  /** Sums and second moments, or histograms over the ranges. */
  readonly pass: "sums" | "histograms";
  readonly outputs: readonly ObservedOutput[];
}

/** Arrays by name, a record for each observed output. */
export type BatchResult = readonly Readonly<Record<string, Float64Array | Float32Array>>[];

/** Of all batches. */
export type MergedResult = readonly Readonly<Record<string, Float64Array>>[];

export interface BatchControl {
  onSample?(): void;
  readonly signal?: AbortSignal | undefined;
}

/** To be raised when the meaning of what is returned changes: older results are then not taken from a cache. */
export const observationVersion = 2;

/** A run that fails names its sample. */
export async function observeBatch(
  run: (sample: NamedTensors) => Promise<NamedTensors>,
  { samples, first, pass, outputs }: BatchOrder,
  { onSample, signal }: BatchControl,
): Promise<BatchResult> {
  const collectors = outputs.map((output) => (pass === "sums" ? new Sums(output) : new Counts(output)));
  for (const [index, sample] of samples.entries()) {
    signal?.throwIfAborted();
    const results = await run(sample).catch((cause: unknown) => {
      throw failedOn(first + index, cause);
    });
    for (const [at, { output }] of outputs.entries()) {
      const tensor = results[output];
      if (tensor?.dtype === "float32") collectors[at]?.add(tensor.data as Float32Array);
    }
    onSample?.();
  }
  return collectors.map((collector) => collector.finish());
}

function failedOn(index: number, cause: unknown): LeafcutterError {
  if (cause instanceof LeafcutterError)
    return new LeafcutterError(
      { ...cause.diagnostic, where: [`sample ${index}`, cause.diagnostic.where].filter(Boolean).join(", ") },
      { cause },
    );
  return new LeafcutterError(
    {
      code: "option-invalid",
      where: `sample ${index}`,
      message: "the model cannot be run on this sample",
      received: cause instanceof Error ? cause.message : String(cause),
      advice: "Check the sample: indices may be larger than the table they look up.",
    },
    { cause },
  );
}

class Sums {
  readonly #width: number;
  readonly #sum: Float64Array;
  readonly #square: Float64Array;
  readonly #lower: Float64Array;
  readonly #upper: Float64Array;
  readonly #moments: MomentSums | undefined;
  #rows = 0;

  constructor({ width, moments }: ObservedOutput) {
    this.#width = width;
    this.#sum = new Float64Array(width);
    this.#square = new Float64Array(width);
    this.#lower = new Float64Array(width);
    this.#upper = new Float64Array(width);
    this.#moments = moments ? new MomentSums(width) : undefined;
  }

  add(data: Float32Array): void {
    const width = this.#width;
    const [sum, square, lower, upper] = [this.#sum, this.#square, this.#lower, this.#upper];
    for (let start = 0; start + width <= data.length; start += width) {
      for (let channel = 0; channel < width; channel++) {
        const value = data[start + channel] as number;
        sum[channel] = (sum[channel] as number) + value;
        square[channel] = (square[channel] as number) + value * value;
        if (value < (lower[channel] as number)) lower[channel] = value;
        if (value > (upper[channel] as number)) upper[channel] = value;
      }
    }
    this.#rows += data.length / width;
    this.#moments?.add(data);
  }

  finish(): BatchResult[number] {
    return {
      rows: Float64Array.of(this.#rows),
      sum: this.#sum,
      square: this.#square,
      lower: this.#lower,
      upper: this.#upper,
      ...this.#moments?.finish(),
    };
  }
}

class Counts {
  readonly #range: ValueRange;
  readonly #counts: Float64Array<ArrayBuffer>;
  #total = 0;

  constructor({ range = { lower: 0, upper: 0 } }: ObservedOutput) {
    this.#range = range;
    this.#counts = countBins([], range);
  }

  add(data: Float32Array): void {
    countBins(data, this.#range, this.#counts);
    this.#total += data.length;
  }

  finish(): BatchResult[number] {
    return { counts: this.#counts, total: Float64Array.of(this.#total) };
  }
}

/** The results of several batches as one: sums are added in the order given, bounds are the outermost. */
export function mergeResults(results: readonly BatchResult[]): MergedResult {
  const [first = []] = results;
  return first.map((_, output) => {
    const merged: Record<string, Float64Array> = {};
    for (const result of results) {
      for (const [name, array] of Object.entries(result[output] ?? {})) {
        const known = merged[name];
        if (!known) merged[name] = Float64Array.from(array);
        else if (name === "lower")
          for (let i = 0; i < known.length; i++) known[i] = Math.min(at(known, i), at(array, i));
        else if (name === "upper")
          for (let i = 0; i < known.length; i++) known[i] = Math.max(at(known, i), at(array, i));
        else for (let i = 0; i < known.length; i++) known[i] = at(known, i) + at(array, i);
      }
    }
    return merged;
  });
}

const at = (array: Float64Array | Float32Array, index: number): number => array[index] as number;
