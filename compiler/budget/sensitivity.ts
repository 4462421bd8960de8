/**
 * What each way of storing each constant does to the outputs: one constant at a time is rounded, everything else stays as
 * the model has it. Errors of several constants are then taken to add up, as those of independent roundings do.
 */
import type { Graph, Value } from "../graph/graph.ts";
import type { ConstantOptions } from "./options.ts";
import { outputError } from "./output-error.ts";
import { replaceConstants, type StoredTensor } from "./replace-constants.ts";
import { syntheticSamples } from "./samples.ts";
import type { BudgetTools, Execution, Sample } from "./tools.ts";

/** Samples used at most. */
const mostSamples = 4;
/** Floating-point operations that all runs together should stay below, as far as one sample allows. */
const flopLimit = 2e11;

export interface Sensitivity {
  /** [constant][option]: mean over samples of the relative squared error of the outputs. */
  readonly errors: readonly (readonly number[])[];
  readonly samples: readonly Sample[];
  /** Outputs of the model as it is, per sample. */
  readonly expected: readonly Sample[];
}

export interface SensitivityOptions {
  readonly samples: readonly Sample[] | undefined;
  readonly open: BudgetTools["open"];
  onProgress?(done: number, total: number): void;
}

export async function measureSensitivity(
  graph: Graph,
  constants: readonly ConstantOptions[],
  settings: SensitivityOptions,
): Promise<Sensitivity> {
  const execution = await settings.open(
    // Rounded values are exchanged in float32, so the code must be that for float32.
    withOption(graph, constants, 0),
    variantIndices(constants).map((option) => withOption(graph, constants, option)),
  );
  try {
    return await measure(graph, constants, execution, settings);
  } finally {
    execution.close();
  }
}

const variantIndices = (constants: readonly ConstantOptions[]): readonly number[] =>
  Array.from({ length: Math.max(0, ...constants.map(({ options }) => options.length - 1)) }, (_, i) => i + 1);

/** Every constant with the values of option `index` (its last when it has fewer), stored as float32. */
function withOption(graph: Graph, constants: readonly ConstantOptions[], index: number): Graph {
  const replacements = new Map<Value, StoredTensor>();
  for (const { constant, options } of constants) {
    const option = options[Math.min(index, options.length - 1)];
    if (option) replacements.set(constant, { tensor: option.tensor, storage: undefined });
  }
  return replaceConstants(graph, replacements);
}

async function measure(
  graph: Graph,
  constants: readonly ConstantOptions[],
  execution: Execution,
  { samples: given, onProgress }: SensitivityOptions,
): Promise<Sensitivity> {
  const runs = constants.reduce((sum, { options }) => sum + options.length - 1, 0);
  const affordable = Math.floor(flopLimit / Math.max(1, execution.flops * runs));
  const count = Math.max(1, Math.min(mostSamples, affordable));
  const samples = given?.length ? given.slice(0, count) : syntheticSamples(graph, count);
  const expected: Sample[] = [];
  for (const sample of samples) expected.push(await execution.run(sample));
  const errors: number[][] = [];
  let done = 0;
  for (const { constant, options } of constants) {
    const row = [0];
    for (let option = 1; option < options.length; option++) {
      onProgress?.(done++, runs);
      execution.exchange(constant.name, option - 1);
      let sum = 0;
      for (const [i, sample] of samples.entries())
        sum += outputError(await execution.run(sample), expected[i] as Sample);
      row.push(sum / samples.length);
    }
    execution.exchange(constant.name, undefined);
    errors.push(row);
  }
  return { errors, samples, expected };
}
