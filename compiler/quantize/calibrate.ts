/**
 * Ranges and statistics of the activations that int8 layers would quantise: of all layers, so that one calibration serves
 * every choice of schemes.
 */

import type { Tensor } from "../../runtime/format/tensor.ts";
import type { Graph, Value } from "../graph/graph.ts";
import type { Calibration, ChannelStatistics, ValueRange } from "./calibration.ts";
import type { RangeMethod } from "./histogram.ts";
import { isProduct } from "./input-statistics.ts";
import { canBeInteger, layerOf, layersOf } from "./layer.ts";
import { widestMoments } from "./moments.ts";
import { estimateFromNorms, type NormStatistics } from "./norm-statistics.ts";
import { type ObserveSettings, observe } from "./observe.ts";
import { placeIntegers } from "./placement.ts";

export const usualMethod: RangeMethod = "mse";
/** How far channels of unseen inputs reach, as a multiple of how far those of the samples do. */
const unseen = 1.2;

export interface CalibrateSettings extends Omit<ObserveSettings, "moments"> {
  /** Default "mse". */
  readonly method?: RangeMethod;
  /** Also second moments of products' inputs, by which four-bit weights are rounded. Default false: they take time. */
  readonly secondMoments?: boolean;
  readonly source: Calibration["source"];
  /** Statistics of batch norms, for calibration on synthetic inputs: what follows from them is taken from there. */
  readonly norms?: NormStatistics;
}

/** Values that are quantised when every layer is int8, and the inputs of all other layers. In order of first use. */
export function calibratedValues(graph: Graph): readonly Value[] {
  const { classes } = placeIntegers(graph, (node) => {
    const layer = layerOf(node, graph);
    return layer !== undefined && canBeInteger(layer);
  });
  const inputs = layersOf(graph).flatMap(({ kind, node }) => (kind === "table" ? [] : (node.inputs[0] ?? [])));
  const wanted = new Set([...classes.keys(), ...inputs]);
  const known = [...graph.inputs, ...graph.nodes.flatMap(({ outputs }) => outputs)];
  return known.filter((value) => wanted.has(value) && value.type.dtype === "float32");
}

export async function calibrate(
  graph: Graph,
  samples: readonly Readonly<Record<string, Tensor>>[],
  settings: CalibrateSettings,
): Promise<Calibration> {
  const observations = await observe(graph, calibratedValues(graph), samples, {
    ...settings,
    moments: settings.secondMoments ? productInputs(graph) : new Set(),
  });
  const ranges = new Map<string, ValueRange>();
  const channels = new Map<string, ChannelStatistics>();
  const moments = new Map<string, Float64Array>();
  for (const [name, observation] of observations) {
    const method = settings.method ?? usualMethod;
    const range = observation.histogram.choose(method, 8);
    ranges.set(name, method === "mse" ? withRoom(range, observation.channels) : range);
    channels.set(name, observation.channels);
    if (observation.moments) moments.set(name, observation.moments);
  }
  const estimates = settings.norms ? estimateFromNorms(graph, settings.norms) : new Map<string, never>();
  let estimated = 0;
  for (const [name, estimate] of estimates) {
    if (!ranges.has(name)) continue;
    ranges.set(name, estimate.range);
    channels.set(name, estimate.channels);
    estimated++;
  }
  const source = estimated > 0 ? "batch norms" : settings.source;
  return { ranges, channels, moments, samples: samples.length, source };
}

/**
 * Unseen inputs exceed the largest values of the samples in some of many channels. Where one channel reaches much further than
 * the others there is room for that; where channels are alike (those of equalised layers are) it is made.
 */
function withRoom({ lower, upper }: ValueRange, channels: ChannelStatistics): ValueRange {
  const mean = (ends: Float64Array): number => ends.reduce((sum, end) => sum + end, 0) / Math.max(1, ends.length);
  return {
    lower: Math.min(lower, unseen * mean(channels.lower)),
    upper: Math.max(upper, unseen * mean(channels.upper)),
  };
}

/** Inputs of layers that multiply the last axis alone. */
function productInputs(graph: Graph): ReadonlySet<Value> {
  return new Set(
    layersOf(graph).flatMap((layer) => {
      const [input] = layer.node.inputs;
      const width = input?.type.shape.at(-1);
      return input && isProduct(layer) && typeof width === "number" && width <= widestMoments ? [input] : [];
    }),
  );
}
