/**
 * Runs generated code on samples and records what activations are: range, histogram, and per channel mean, square and
 * largest magnitude. The values become further outputs of the graph, as many at a time as fit in memory.
 */
import type { Tensor } from "../../runtime/format/tensor.ts";
import { evaluateDim } from "../graph/dimension.ts";
import type { Graph, Value } from "../graph/graph.ts";
import type { ChannelStatistics, ValueRange } from "./calibration.ts";
import { Histogram } from "./histogram.ts";
import { MomentSums } from "./moments.ts";

/** One run's inputs or outputs by name. */
type NamedTensors = Readonly<Record<string, Tensor>>;

/** Generated code of a graph. */
export interface OpenedGraph {
  /** Floating-point operations of one run, where they are known. */
  readonly flops?: number;
  run(sample: NamedTensors): Promise<NamedTensors>;
  close(): void;
}

export interface ObserveSettings {
  open(graph: Graph, variants: readonly Graph[]): Promise<OpenedGraph>;
  /** Runs done and runs in all. */
  onProgress?(done: number, total: number): void;
  readonly signal?: AbortSignal | undefined;
  /** Values whose second moments are wanted, too. */
  readonly moments?: ReadonlySet<Value>;
}

export interface Observation {
  readonly histogram: Histogram;
  readonly channels: ChannelStatistics;
  /** Mean of x_i x_j over the last axis, where asked for. */
  readonly moments: Float64Array | undefined;
}

/** Bytes of observed values in one execution; more values than fit are observed by running again. */
const mostBytes = 64 * 1024 * 1024;

/** By name. Deterministic: samples in their order, sums in double precision. Values that are never finite are left out. */
export async function observe(
  graph: Graph,
  values: readonly Value[],
  samples: readonly NamedTensors[],
  settings: ObserveSettings,
): Promise<ReadonlyMap<string, Observation>> {
  const portions = portionsOf(graph, values);
  const total = portions.length * samples.length * 2;
  let done = 0;
  const observations = new Map<string, Observation>();
  for (const portion of portions) {
    const execution = await settings.open(withOutputs(graph, portion), []);
    try {
      const forEachRun = async (visit: (value: Value, data: Float32Array) => void): Promise<void> => {
        for (const sample of samples) {
          settings.signal?.throwIfAborted();
          settings.onProgress?.(done++, total);
          const outputs = await execution.run(sample);
          for (const [at, value] of portion.entries()) {
            const tensor = outputs[observedName(at)];
            if (tensor?.dtype === "float32") visit(value, tensor.data as Float32Array);
          }
        }
      };
      const sums = new Map(portion.map((value) => [value, new ChannelSums(value)]));
      const moments = new Map(
        portion.flatMap((value) =>
          settings.moments?.has(value) ? [[value, new MomentSums(widthOf(value))] as const] : [],
        ),
      );
      await forEachRun((value, data) => {
        sums.get(value)?.add(data);
        moments.get(value)?.add(data);
      });
      const histograms = new Map(
        portion.map((value) => [value, new Histogram((sums.get(value) as ChannelSums).range)]),
      );
      await forEachRun((value, data) => histograms.get(value)?.add(data));
      for (const value of portion) {
        const histogram = histograms.get(value) as Histogram;
        const { lower, upper } = histogram.range;
        if (Number.isFinite(lower) && Number.isFinite(upper))
          observations.set(value.name, {
            histogram,
            channels: (sums.get(value) as ChannelSums).finish(),
            moments: moments.get(value)?.finish(),
          });
      }
    } finally {
      execution.close();
    }
  }
  return observations;
}

const observedName = (index: number): string => `observed ${index}`;

function withOutputs(graph: Graph, values: readonly Value[]): Graph {
  const taken = graph.outputs.filter(({ name }) => !name.startsWith("observed "));
  return { ...graph, outputs: [...taken, ...values.map((value, index) => ({ name: observedName(index), value }))] };
}

function portionsOf(graph: Graph, values: readonly Value[]): readonly (readonly Value[])[] {
  const largest = new Map([...graph.symbols].map(([name, { upper }]) => [name, upper]));
  const portions: Value[][] = [];
  let room = 0;
  for (const value of values) {
    const bytes = 4 * value.type.shape.reduce<number>((count, dim) => count * evaluateDim(dim, largest), 1);
    if (bytes > room || portions.length === 0) {
      portions.push([]);
      room = mostBytes;
    }
    portions.at(-1)?.push(value);
    room -= bytes;
  }
  return portions;
}

function widthOf({ type }: Value): number {
  const last = type.shape.at(-1);
  return typeof last === "number" && last > 0 ? last : 1;
}

class ChannelSums {
  readonly #channels: number;
  readonly #sum: Float64Array;
  readonly #square: Float64Array;
  readonly #lower: Float64Array;
  readonly #upper: Float64Array;
  #rows = 0;

  constructor(value: Value) {
    this.#channels = widthOf(value);
    this.#sum = new Float64Array(this.#channels);
    this.#square = new Float64Array(this.#channels);
    this.#lower = new Float64Array(this.#channels);
    this.#upper = new Float64Array(this.#channels);
  }

  add(data: Float32Array): void {
    const channels = this.#channels;
    const [sum, square, lower, upper] = [this.#sum, this.#square, this.#lower, this.#upper];
    for (let start = 0; start + channels <= data.length; start += channels) {
      for (let channel = 0; channel < channels; channel++) {
        const value = data[start + channel] as number;
        sum[channel] = (sum[channel] as number) + value;
        square[channel] = (square[channel] as number) + value * value;
        if (value < (lower[channel] as number)) lower[channel] = value;
        if (value > (upper[channel] as number)) upper[channel] = value;
      }
    }
    this.#rows += data.length / channels;
  }

  /** With zero in it. */
  get range(): ValueRange {
    const broken = this.#sum.some((value) => !Number.isFinite(value));
    if (broken) return { lower: Number.NEGATIVE_INFINITY, upper: Number.POSITIVE_INFINITY };
    return {
      lower: this.#lower.reduce((least, value) => Math.min(least, value), 0),
      upper: this.#upper.reduce((most, value) => Math.max(most, value), 0),
    };
  }

  finish(): ChannelStatistics {
    const rows = Math.max(1, this.#rows);
    return {
      mean: this.#sum.map((value) => value / rows),
      square: this.#square.map((value) => value / rows),
      largest: this.#upper.map((value, channel) => Math.max(value, -(this.#lower[channel] as number))),
    };
  }
}
