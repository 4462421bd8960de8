/**
 * What each option of each layer does to the outputs: one layer at a time has its option, everything else stays as
 * the model has it. Errors of several layers are then taken to add up, as those of independent roundings do. For the same reason
 * float16 needs no run: it does what int8 weights do, in the proportion of what they change in the weights.
 */
import type { Graph, Value } from "../graph/graph.ts";
import type { Scheme } from "../quantize/scheme.ts";
import { type NoisyGraph, withActivationNoise } from "./activation-noise.ts";
import type { Layer, LayerOption } from "./layers.ts";
import { outputError } from "./output-error.ts";
import type { Choices } from "./picks.ts";
import { replaceConstants, type StoredTensor } from "./replace-constants.ts";
import type { BudgetTools, Execution, Sample } from "./tools.ts";

/** Samples used at most. */
const mostSamples = 16;
/** Floating-point operations that all runs together should stay below, as far as one sample allows. */
const flopLimit = 1e11;

export interface SensitivityOptions {
  /** At least one, with the outputs of the model as it is. */
  readonly samples: readonly Sample[];
  readonly expected: readonly Sample[];
  readonly open: BudgetTools["open"];
  onProgress?(done: number, total: number): void;
}

/** [layer][option]: mean over samples of the relative squared error of the outputs. */
export async function measureSensitivity(
  { graph, layers, calibration }: Choices,
  settings: SensitivityOptions,
): Promise<readonly (readonly number[])[]> {
  const noisy = withActivationNoise(graph, layers, calibration);
  const most = Math.max(1, ...layers.map(({ options }) => options.length));
  const [own, ...variants] = Array.from({ length: most }, (_, option) => withOption(noisy, layers, option));
  // Rounded values are exchanged in float32, so the code must be that for float32.
  const execution = await settings.open(own as Graph, variants);
  try {
    return await measure(layers, noisy, execution, settings);
  } finally {
    execution.close();
  }
}

/** Every constant with the values of option `index` (its last when it has fewer), stored as float32. */
function withOption(noisy: NoisyGraph, layers: readonly Layer[], index: number): Graph {
  const replacements = new Map<Value, StoredTensor>(noisy.settings(index));
  for (const { constant, options } of layers) {
    const option = options[Math.min(index, options.length - 1)];
    if (option) replacements.set(constant, { tensor: option.tensor, storage: undefined });
  }
  return replaceConstants(noisy.graph, replacements);
}

/** What float16 does, as a share of what another option does; undefined for layers without both. */
interface Derived {
  readonly option: number;
  readonly from: number;
  readonly ratio: number;
}

function float16Ratio({ options }: Layer): Derived | undefined {
  const indexOf = (wanted: Scheme["kind"]): number =>
    options.findIndex(({ scheme }, at) => at > 0 && scheme.kind === wanted);
  const [option, from] = [indexOf("float16"), indexOf("int8-weights")];
  const [own, half, bytes] = [options[0], options[option], options[from]];
  if (!own || !half || !bytes) return undefined;
  const change = squaredChange(own, bytes);
  return change === 0 ? undefined : { option, from, ratio: squaredChange(own, half) / change };
}

function squaredChange({ tensor: { data: from } }: LayerOption, { tensor: { data: to } }: LayerOption): number {
  let sum = 0;
  for (let i = 0; i < from.length; i++) sum += ((from[i] as number) - (to[i] as number)) ** 2;
  return sum;
}

async function measure(
  layers: readonly Layer[],
  { switches }: NoisyGraph,
  execution: Execution,
  { samples: given, expected, onProgress }: SensitivityOptions,
): Promise<readonly (readonly number[])[]> {
  const ratios = layers.map(float16Ratio);
  const runs = layers.reduce((sum, { options }, at) => sum + options.length - (ratios[at] ? 2 : 1), 0);
  const affordable = Math.floor(flopLimit / Math.max(1, execution.flops * runs));
  const samples = given.slice(0, Math.max(1, Math.min(mostSamples, affordable)));
  const errors: number[][] = [];
  let done = 0;
  for (const [at, layer] of layers.entries()) {
    const { constant, options } = layer;
    const derived = ratios[at];
    const names = [constant.name, ...(switches.get(layer) ?? [])];
    const row = [0];
    for (let option = 1; option < options.length; option++) {
      if (derived?.option === option) {
        row.push(0);
        continue;
      }
      onProgress?.(done++, runs);
      for (const name of names) execution.exchange(name, option - 1);
      let sum = 0;
      for (const [i, sample] of samples.entries())
        sum += outputError(await execution.run(sample), expected[i] as Sample);
      row.push(sum / samples.length);
    }
    for (const name of names) execution.exchange(name, undefined);
    if (derived) row[derived.option] = derived.ratio * (row[derived.from] ?? 0);
    errors.push(row);
  }
  return errors;
}
