/**
 * The layers of a model with the schemes that each can have, their weights rounded by what calibration says of their inputs: on
 * samples, on a language model's own text, or on synthetic inputs and the statistics of batch norms.
 */
import type { Graph } from "../graph/graph.ts";
import { type CalibrateSettings, calibrate, usualMethod } from "../quantize/calibrate.ts";
import type { Calibration } from "../quantize/calibration.ts";
import type { RangeMethod } from "../quantize/histogram.ts";
import { languageModelOf } from "../quantize/language-model.ts";
import { calibrateOnOwnText } from "../quantize/own-text.ts";
import { type PreparedGraph, prepare } from "../quantize/prepare.ts";
import type { Scheme } from "../quantize/scheme.ts";
import type { Budget } from "./budget.ts";
import { integerSchemes, layersOf, weightSchemes } from "./layers.ts";
import type { Choices } from "./picks.ts";
import type { Limits } from "./quantities.ts";
import type { Sample } from "./tools.ts";
import { spread, type Verifier } from "./verifier.ts";

/** What activations were observed on. */
export interface Calibrated {
  readonly source: Calibration["source"];
  readonly samples: number;
  readonly ranges: RangeMethod;
}

export interface CalibratedChoices {
  readonly choices: Choices;
  /** Absent when no scheme asks for it. */
  readonly calibrated?: Calibrated;
  /** What they rest on too weakly. */
  readonly notes: readonly string[];
}

/** Samples of which ranges of activations are taken. */
const mostCalibrating = 32;
/** Floating-point operations that calibration may take for them, beyond the samples that are verified. */
const calibrationFlops = 1e11;
/** Fewer are worth a note. */
const fewSamples = 8;
/** A model that is compiled for fewer tokens at once writes no text. */
const fewestTokens = 16;

export async function calibratedChoices(
  graph: Graph,
  limits: Limits,
  verifier: Verifier,
  budget: Budget,
): Promise<CalibratedChoices> {
  const { samples, observing, toIntegers } = budget;
  const schemes = schemesFor(limits, budget);
  const known = await calibrated(graph, schemes, verifier, budget);
  const layers = layersOf(known.graph, schemes, known.calibration, (done, total) =>
    budget.onProgress?.("round weights", done, total),
  );
  const choices = { ...known, layers, toIntegers };
  if (!known.calibration) return { choices, notes: [] };
  const { source, samples: count } = known.calibration;
  return {
    choices,
    calibrated: { source, samples: count, ranges: observing?.method ?? usualMethod },
    notes: source === "samples" && (samples?.length ?? 0) < fewSamples ? [fewNote(count)] : [],
  };
}

const fewNote = (count: number): string =>
  `${count} calibration sample${count === 1 ? " is" : "s are"} few: 32 or more, as different as those of use, make ranges and quality surer`;

/** int8 activations where they can help: they save time, energy and memory, but no bytes of the package. */
function schemesFor({ latency, energy, memory }: Limits, { objective, precision }: Budget): readonly Scheme[] {
  if (precision) return [precision, ...(precision.kind === "int8" ? [{ kind: "int8-weights" } as const] : [])];
  const isFaster = objective === "latency" || objective === "energy";
  const isLimited = [latency, energy, memory].some((limit) => limit !== undefined);
  return isFaster || isLimited ? [...weightSchemes, ...integerSchemes] : weightSchemes;
}

async function calibrated(
  graph: Graph,
  schemes: readonly Scheme[],
  verifier: Verifier,
  budget: Budget,
): Promise<{ readonly graph: Graph; readonly calibration: Calibration | undefined }> {
  const { samples: given, norms, open, observing, onProgress } = budget;
  const isInteger = schemes.some(({ kind }) => kind === "int8");
  if (given === undefined && !isInteger) return { graph, calibration: await onOwnText(graph, schemes, budget) };
  // Only int8 activations have a scale that all channels share.
  const ready = isInteger ? prepare : calibrateOnly;
  return ready(graph, calibrating(verifier, given), {
    open,
    ...observing,
    source: given ? "samples" : "synthetic inputs",
    ...(given || !norms ? {} : { norms }),
    secondMoments: given !== undefined,
    onProgress: (done, total) => onProgress?.("calibrate", done, total),
  });
}

const calibrateOnly = async (
  graph: Graph,
  samples: readonly Sample[],
  settings: CalibrateSettings,
): Promise<PreparedGraph> => ({ graph, calibration: await calibrate(graph, samples, settings) });

/** As many samples as time allows, from all over those that there are: neighbours are often alike. */
function calibrating({ samples, flops }: Verifier, given: readonly Sample[] = samples): readonly Sample[] {
  const affordable = Math.max(samples.length, Math.floor(calibrationFlops / Math.max(1, flops)));
  return spread(given.length, Math.min(mostCalibrating, affordable)).map((place) => given[place] as Sample);
}

/** Without samples a language model's own text tells which of its weights matter. */
async function onOwnText(
  graph: Graph,
  schemes: readonly Scheme[],
  { open, observing, onProgress }: Budget,
): Promise<Calibration | undefined> {
  const model = languageModelOf(graph);
  const inBlocks = schemes.some(({ kind }) => kind === "int4" || kind === "nf4");
  if (!model || model.context < fewestTokens || !inBlocks) return undefined;
  return calibrateOnOwnText(graph, model, {
    open,
    ...observing,
    onProgress: (done, total) => onProgress?.("write own text", done, total),
  });
}
