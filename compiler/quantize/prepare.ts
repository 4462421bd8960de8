/**
 * What int8 activations need before schemes are chosen: the channels of activations equalised, then the ranges of what
 * they are now.
 */
import type { Tensor } from "../../runtime/format/tensor.ts";
import type { Graph } from "../graph/graph.ts";
import { type CalibrateSettings, calibrate } from "./calibrate.ts";
import type { Calibration } from "./calibration.ts";
import { equalise } from "./equalise.ts";

export interface PreparedGraph {
  /** Computes the same as before. */
  readonly graph: Graph;
  readonly calibration: Calibration;
}

export async function prepare(
  graph: Graph,
  samples: readonly Readonly<Record<string, Tensor>>[],
  settings: CalibrateSettings,
): Promise<PreparedGraph> {
  const calibration = await calibrate(graph, samples, settings);
  // Statistics of batch norms are those of the channels as they are.
  const equalised = calibration.source === "batch norms" ? graph : equalise(graph, calibration);
  if (equalised === graph) return { graph, calibration };
  return { graph: equalised, calibration: await calibrate(equalised, samples, settings) };
}
