/**
 * Ranges and statistics of the activations that int8 layers would quantise: of all layers, so that one calibration serves
 * every choice of schemes.
 */

import type { Tensor } from "../../runtime/format/tensor.ts";
import type { Graph, Value } from "../graph/graph.ts";
import type { Calibration, ChannelStatistics, ValueRange } from "./calibration.ts";
import type { RangeMethod } from "./histogram.ts";
import { canBeInteger, layerOf, layersOf } from "./layer.ts";
import { type ObserveSettings, observe } from "./observe.ts";
import { placeIntegers } from "./placement.ts";

export interface CalibrateSettings extends ObserveSettings {
  /** Default "mse". */
  readonly method?: RangeMethod;
  readonly source: Calibration["source"];
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
  const observations = await observe(graph, calibratedValues(graph), samples, settings);
  const ranges = new Map<string, ValueRange>();
  const channels = new Map<string, ChannelStatistics>();
  for (const [name, observation] of observations) {
    ranges.set(name, observation.histogram.choose(settings.method ?? "mse", 8));
    channels.set(name, observation.channels);
  }
  return { ranges, channels, source: settings.source };
}
