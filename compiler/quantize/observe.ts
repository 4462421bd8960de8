/**
 * Runs generated code on samples and records what activations are: range, histogram, and per channel mean, square and
 * range. The values become further outputs of the graph, as many at a time as fit in memory. Samples are
 * observed in batches whose results are added in their order: the same bits for any number of workers, and a batch that
 * was observed before comes from the cache.
 */
import { evaluateDim } from "../graph/dimension.ts";
import type { Graph, Value } from "../graph/graph.ts";
import type { ChannelStatistics, ValueRange } from "./calibration.ts";
import { hashOfGraph, hashOfValue } from "./graph-hash.ts";
import { Histogram } from "./histogram.ts";
import { momentMeans } from "./moments.ts";
import {
  type BatchControl,
  type BatchOrder,
  type BatchResult,
  type MergedResult,
  mergeResults,
  type NamedTensors,
  type ObservedOutput,
  observationVersion,
  observeBatch,
} from "./observe-batch.ts";
import type { WorkCache } from "./work-cache.ts";

/** Generated code of a graph. */
export interface OpenedGraph {
  /** Floating-point operations of one run, where they are known. */
  readonly flops?: number;
  run(sample: NamedTensors): Promise<NamedTensors>;
  close(): void;
}

/** Generated code of a graph in one place or several. */
export interface Observer {
  /** Batches that it can do at the same time. */
  readonly places: number;
  observe(order: BatchOrder, control: BatchControl): Promise<BatchResult>;
  close(): void;
}

export interface ObserveSettings {
  open(graph: Graph, variants: readonly Graph[]): Promise<OpenedGraph>;
  /** Something faster than `open` for `runs` runs of the graph. */
  openObserver?(graph: Graph, runs: number): Promise<Observer>;
  readonly cache?: WorkCache | undefined;
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
/** Samples of a batch: few enough for every worker to have some. Results depend on it in their last bits. */
const batchSize = 4;

/** By name. Deterministic: samples in their order, sums in double precision. Values that are never finite are left out. */
export async function observe(
  graph: Graph,
  values: readonly Value[],
  samples: readonly NamedTensors[],
  settings: ObserveSettings,
): Promise<ReadonlyMap<string, Observation>> {
  const portions = portionsOf(graph, values);
  const batches = batchesOf(samples);
  const total = portions.length * samples.length * 2;
  let done = 0;
  const onSamples = (count: number): void => {
    done += count;
    settings.onProgress?.(done, total);
  };
  settings.onProgress?.(0, total);
  const observations = new Map<string, Observation>();
  for (const portion of portions) {
    const work = new PortionWork(withOutputs(graph, portion), batches, settings, onSamples);
    try {
      const outputs = portion.map((value, at): ObservedOutput => {
        const moments = settings.moments?.has(value) ?? false;
        return { output: observedName(at), width: widthOf(value), moments };
      });
      const sums = await work.pass("sums", outputs);
      const finite = portion.flatMap((value, at) => {
        const range = rangeOf(sums[at] ?? {});
        return range ? [{ value, at, range }] : [];
      });
      const counts = await work.pass(
        "histograms",
        finite.map(({ at, range }) => ({ ...(outputs[at] as ObservedOutput), moments: false, range })),
      );
      for (const [index, { value, at, range }] of finite.entries()) {
        const { counts: bins, total: size } = counts[index] ?? {};
        observations.set(value.name, {
          histogram: new Histogram(range, bins ?? noNumbers, size?.[0] ?? 0),
          channels: channelsOf(sums[at] ?? {}),
          moments: momentsOf(sums[at] ?? {}, widthOf(value)),
        });
      }
    } finally {
      work.close();
    }
  }
  return observations;
}

interface Batch {
  readonly first: number;
  readonly samples: readonly NamedTensors[];
}

const batchesOf = (samples: readonly NamedTensors[]): readonly Batch[] =>
  Array.from({ length: Math.ceil(samples.length / batchSize) }, (_, i) => ({
    first: i * batchSize,
    samples: samples.slice(i * batchSize, (i + 1) * batchSize),
  }));

/** The passes over all batches with some values as outputs. Code is generated when a batch is not in the cache. */
class PortionWork {
  readonly #graph: Graph;
  readonly #batches: readonly Batch[];
  readonly #settings: ObserveSettings;
  readonly #onSamples: (count: number) => void;
  #observer: Observer | undefined;

  constructor(graph: Graph, batches: readonly Batch[], settings: ObserveSettings, onSamples: (count: number) => void) {
    this.#graph = graph;
    this.#batches = batches;
    this.#settings = settings;
    this.#onSamples = onSamples;
  }

  /** When a batch fails, those under way are finished and kept before the error is thrown. */
  async pass(pass: BatchOrder["pass"], outputs: readonly ObservedOutput[]): Promise<MergedResult> {
    if (outputs.length === 0) return [];
    const { cache, signal } = this.#settings;
    const results: BatchResult[] = [];
    const missing: { readonly batch: Batch; readonly index: number; readonly key: string }[] = [];
    for (const [index, batch] of this.#batches.entries()) {
      signal?.throwIfAborted();
      const key = cache ? await this.#keyOf(batch, pass, outputs) : "";
      const kept = (await cache?.read(key)) as BatchResult | undefined;
      if (kept) results[index] = kept;
      else missing.push({ batch, index, key });
      if (kept) this.#onSamples(batch.samples.length);
    }
    if (missing.length === 0) return mergeResults(results);
    const observer = await this.#opened(missing.reduce((sum, { batch }) => sum + batch.samples.length, 0));
    const failures: unknown[] = [];
    const takeTurns = async (): Promise<void> => {
      for (let turn = missing.shift(); turn && failures.length === 0; turn = missing.shift()) {
        const { batch, index, key } = turn;
        try {
          const order: BatchOrder = { ...batch, pass, outputs };
          const result = await observer.observe(order, { signal, onSample: () => this.#onSamples(1) });
          results[index] = result;
          await cache?.write(key, result);
        } catch (cause) {
          failures.push(cause);
        }
      }
    };
    await Promise.all(Array.from({ length: observer.places }, takeTurns));
    if (failures.length > 0) throw failures[0];
    return mergeResults(results);
  }

  close(): void {
    this.#observer?.close();
  }

  async #keyOf({ samples }: Batch, pass: string, outputs: readonly ObservedOutput[]): Promise<string> {
    return hashOfValue([observationVersion, await hashOfGraph(this.#graph), pass, outputs, samples]);
  }

  async #opened(runs: number): Promise<Observer> {
    const { open, openObserver } = this.#settings;
    this.#observer ??= openObserver
      ? await openObserver(this.#graph, 2 * runs)
      : observerOf(await open(this.#graph, []));
    return this.#observer;
  }
}

/** One batch after the other, here. */
export function observerOf(execution: OpenedGraph): Observer {
  return {
    places: 1,
    observe: (order, control) => observeBatch(execution.run, order, control),
    close: () => execution.close(),
  };
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

type Sums = MergedResult[number];

/** With zero in it; undefined where a value was not finite. */
function rangeOf({ sum = noNumbers, lower = noNumbers, upper = noNumbers }: Sums): ValueRange | undefined {
  if (sum.some((value) => !Number.isFinite(value))) return undefined;
  return {
    lower: lower.reduce((least, value) => Math.min(least, value), 0),
    upper: upper.reduce((most, value) => Math.max(most, value), 0),
  };
}

const noNumbers = new Float64Array();

function channelsOf(sums: Sums): ChannelStatistics {
  const { sum = noNumbers, square = noNumbers, lower = noNumbers, upper = noNumbers } = sums;
  const rows = Math.max(1, sums.rows?.[0] ?? 0);
  return {
    mean: Float64Array.from(sum, (value) => value / rows),
    square: Float64Array.from(square, (value) => value / rows),
    lower: Float64Array.from(lower),
    upper: Float64Array.from(upper),
  };
}

const momentsOf = ({ triangle, triangleRows }: Sums, width: number): Float64Array | undefined =>
  triangle && momentMeans(triangle, triangleRows?.[0] ?? 0, width);
