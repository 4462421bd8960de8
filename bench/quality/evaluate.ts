/** A graph with schemes in its layers, run on samples beside the float graph. */
import { syntheticSamples } from "../../compiler/budget/samples.ts";
import type { Sample } from "../../compiler/budget/tools.ts";
import { openExecution } from "../../compiler/execution.ts";
import { fileSource } from "../../compiler/file-source.ts";
import type { Graph } from "../../compiler/graph/graph.ts";
import { importOnnx } from "../../compiler/import/onnx/import.ts";
import { optimise, toIntegers } from "../../compiler/pipeline.ts";
import { defaultCosts } from "../../compiler/plan/default-costs.ts";
import { makePlan } from "../../compiler/plan/make-plan.ts";
import { applySchemes } from "../../compiler/quantize/apply-schemes.ts";
import { calibrate } from "../../compiler/quantize/calibrate.ts";
import { layersOf } from "../../compiler/quantize/layer.ts";
import { type NormStatistics, normStatistics } from "../../compiler/quantize/norm-statistics.ts";
import { type PreparedGraph, prepare } from "../../compiler/quantize/prepare.ts";
import type { Scheme } from "../../compiler/quantize/scheme.ts";

export interface LoadedModel {
  readonly graph: Graph;
  readonly norms: NormStatistics;
}

export async function loadModel(path: string): Promise<LoadedModel> {
  const imported = await importOnnx(fileSource(path), {});
  return { graph: optimise(imported), norms: normStatistics(imported) };
}

export const calibrateOn = ({ graph }: LoadedModel, samples: readonly Sample[]): Promise<PreparedGraph> =>
  prepare(graph, samples, { open: openExecution, source: "samples" });

/** For schemes that round weights alone: channels stay as they are. */
export const calibrateWeightsOn = async (
  { graph }: LoadedModel,
  samples: readonly Sample[],
): Promise<PreparedGraph> => ({
  graph,
  calibration: await calibrate(graph, samples, { open: openExecution, source: "samples" }),
});

/** Synthetic inputs of a calibration without data. */
const syntheticCount = 4;

export const calibrateWithoutData = ({ graph, norms }: LoadedModel): Promise<PreparedGraph> =>
  prepare(graph, syntheticSamples(graph, syntheticCount), { open: openExecution, source: "synthetic inputs", norms });

/** Every layer by one scheme, in integers where the scheme has them. */
export function everyLayer({ graph, calibration }: PreparedGraph, scheme: Scheme): Graph {
  return toIntegers(applySchemes(graph, new Map(layersOf(graph).map(({ node }) => [node, scheme])), calibration));
}

/** Of all constants, as the plan stores them. */
export const weightBytesOf = (graph: Graph): number => makePlan(graph, defaultCosts).memory.weights.bytes;

/** Runs of a graph on samples made one at a time; `visit` gets the outputs of each. */
export async function runAll(
  graph: Graph,
  count: number,
  sampleAt: (index: number) => Sample,
  visit: (outputs: Sample, index: number) => void,
): Promise<void> {
  const execution = await openExecution(graph, []);
  try {
    for (let index = 0; index < count; index++) visit(await execution.run(sampleAt(index)), index);
  } finally {
    execution.close();
  }
}
