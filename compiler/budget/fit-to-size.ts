/**
 * The size budget: storages for the constants of a graph so that its whole package has at most `maxSize` bytes, at the
 * least error of the outputs. Every size that decides is that of a package really made; errors are those of generated
 * code on samples. Deterministic. Throws LeafcutterError budget-infeasible with the smallest possible size.
 */
import { LeafcutterError } from "../../runtime/format/diagnostic.ts";
import { elementCount } from "../../runtime/format/tensor.ts";
import type { Graph, Value } from "../graph/graph.ts";
import type { WeightStorage } from "../kernels/problem.ts";
import { solveKnapsack } from "./knapsack.ts";
import { type ConstantOptions, type StorageOption, storageOptions } from "./options.ts";
import { outputError } from "./output-error.ts";
import { replaceConstants, type StoredTensor } from "./replace-constants.ts";
import { measureSensitivity } from "./sensitivity.ts";
import type { BudgetTools, Sample } from "./tools.ts";

export interface SizeBudget extends BudgetTools {
  /** Most bytes of all files of the package together. */
  readonly maxSize: number;
  /** Inputs to measure output error on; synthetic ones when there are none. */
  readonly samples: readonly Sample[] | undefined;
  onProgress?(done: number, total: number): void;
}

/** How one constant is stored, and its bytes in the package. */
export interface ConstantStorage {
  readonly constant: string;
  readonly storage: WeightStorage;
  readonly bytes: number;
}

export interface FittedGraph {
  readonly graph: Graph;
  readonly storage: readonly ConstantStorage[];
  /** Relative error |a - b| / |b| of the outputs against the graph as it was, root mean square over the samples. */
  readonly outputError?: number;
}

/** Packages made in search of one that fits and leaves little room, before the smallest one is taken. */
const mostRounds = 8;
/** Share of `maxSize` that may stay unused once a package fits. */
const unused = 0.005;
/** Bytes that a narrower constant has to save, in choices that are to be small as a package. */
const smallestSavings = [1, 1024] as const;

export async function fitToSize(graph: Graph, budget: SizeBudget): Promise<FittedGraph> {
  const { maxSize } = budget;
  const originalSize = await budget.sizeOf(graph, maxSize);
  if (originalSize <= maxSize) return { graph, storage: [] };
  const constants = storageOptions(graph);
  const weights = weighOptions(graph, constants, budget);
  const smallest = await smallChoice(graph, constants, weights, budget);

  const { errors, samples, expected } = await measureSensitivity(graph, constants, budget);
  const items = weights.map((row, i) => row.map((bytes, option) => ({ bytes, error: errors[i]?.[option] ?? 0 })));
  const weightOf = (picks: readonly number[]): number => sumOver(picks, (pick, i) => weights[i]?.[pick] ?? 0);
  const errorOf = (picks: readonly number[]): number => sumOver(picks, (pick, i) => errors[i]?.[pick] ?? 0);

  // Everything but these weights: program, modules, manifest. It changes a little with the choice.
  let overhead = originalSize - weightOf(constants.map(() => 0));
  let chosen: readonly number[] | undefined;
  const tried = new Set<string>();
  for (let round = 0; round < mostRounds; round++) {
    const picks = solveKnapsack(items, maxSize - overhead) ?? smallest;
    if (tried.has(picks.join())) break;
    tried.add(picks.join());
    const size = await budget.sizeOf(apply(graph, constants, picks), maxSize);
    const fits = size <= maxSize;
    if (fits && (!chosen || errorOf(picks) < errorOf(chosen))) chosen = picks;
    if (fits && maxSize - size <= unused * maxSize) break;
    const measured = size - weightOf(picks);
    // Where the measured overhead leads back to the same choice, what was too much has to go.
    overhead = fits || measured > overhead ? measured : overhead + size - maxSize;
  }
  const picks = chosen ?? smallest;
  const fitted = apply(graph, constants, picks);
  return { graph: fitted, storage: storageOf(constants, picks, weights), outputError: await errorOfGraph(fitted, samples, expected, budget) };
}

const sumOver = (picks: readonly number[], of: (pick: number, item: number) => number): number =>
  picks.reduce((sum, pick, item) => sum + of(pick, item), 0);

/** The graph with option `picks[i]` for constant i. */
function apply(graph: Graph, constants: readonly ConstantOptions[], picks: readonly number[]): Graph {
  const replacements = new Map<Value, StoredTensor>();
  constants.forEach(({ constant, options }, i) => {
    const pick = picks[i] ?? 0;
    if (pick > 0) replacements.set(constant, options[pick] as StorageOption);
  });
  return replaceConstants(graph, replacements);
}

/** Bytes of every option as packed: [constant][option]. */
function weighOptions(graph: Graph, constants: readonly ConstantOptions[], { weigh }: BudgetTools): readonly (readonly number[])[] {
  const most = Math.max(0, ...constants.map(({ options }) => options.length));
  const tables = Array.from({ length: most }, (_, option) =>
    weigh(apply(graph, constants, constants.map(({ options }) => Math.min(option, options.length - 1)))),
  );
  return constants.map(({ constant, options }) =>
    options.map((option, i) => tables[i]?.get(constant.name) ?? plainBytes(option)),
  );
}

const plainBytes = ({ kind, tensor }: StorageOption): number =>
  elementCount(tensor.shape) * (kind === "int8" ? 1 : kind === "float16" ? 2 : 4);

/**
 * A choice whose package is within the limit. A narrow constant saves bytes but may bring another kernel, so the fewest
 * bytes of weights are not always the smallest package: choices with fewer kinds, or without small savings, are tried too.
 */
async function smallChoice(
  graph: Graph,
  constants: readonly ConstantOptions[],
  weights: readonly (readonly number[])[],
  { maxSize, sizeOf }: SizeBudget,
): Promise<readonly number[]> {
  let best: { readonly picks: readonly number[]; readonly size: number } | undefined;
  const tried = new Set<string>();
  for (const kinds of [["int8", "float16"], ["int8"], ["float16"]] satisfies WeightStorage[][]) {
    for (const saving of smallestSavings) {
      const picks = constants.map(({ options }, i) => leastBytes(options, weights[i] ?? [], kinds, saving));
      if (tried.has(picks.join())) continue;
      tried.add(picks.join());
      const size = await sizeOf(apply(graph, constants, picks), maxSize);
      if (size <= maxSize) return picks;
      if (!best || size < best.size) best = { picks, size };
    }
  }
  const { picks = [] } = best ?? {};
  const smallest = apply(graph, constants, picks);
  // The limit is written in the package, so its size is that of a package that states it as its own limit.
  let size = best?.size ?? 0;
  for (let limit = 0; limit !== size; ) {
    limit = size;
    size = Math.max(limit, await sizeOf(smallest, limit));
  }
  throw new LeafcutterError({
    code: "budget-infeasible",
    where: "size budget",
    message: "no choice of float32, float16 and int8 weights makes the package small enough",
    expected: `at most ${maxSize} bytes`,
    received: `${size} bytes at the smallest`,
    advice: `Raise the limit to ${size} bytes or more, or use a smaller model.`,
  });
}

/** The option of fewest bytes among the first and those of `kinds` that save at least `saving`. */
function leastBytes(
  options: readonly StorageOption[],
  bytes: readonly number[],
  kinds: readonly WeightStorage[],
  saving: number,
): number {
  let best = 0;
  for (const [i, { kind }] of options.entries()) {
    const here = bytes[i] ?? 0;
    if (kinds.includes(kind) && (bytes[0] ?? 0) - here >= saving && here < (bytes[best] ?? 0)) best = i;
  }
  return best;
}

function storageOf(
  constants: readonly ConstantOptions[],
  picks: readonly number[],
  weights: readonly (readonly number[])[],
): readonly ConstantStorage[] {
  return constants.map(({ constant, options }, i) => {
    const pick = picks[i] ?? 0;
    return { constant: constant.name, storage: (options[pick] as StorageOption).kind, bytes: weights[i]?.[pick] ?? 0 };
  });
}

async function errorOfGraph(
  graph: Graph,
  samples: readonly Sample[],
  expected: readonly Sample[],
  { open }: BudgetTools,
): Promise<number> {
  const execution = await open(graph, []);
  try {
    let sum = 0;
    for (const [i, sample] of samples.entries()) sum += outputError(await execution.run(sample), expected[i] as Sample);
    return Math.sqrt(sum / Math.max(1, samples.length));
  } finally {
    execution.close();
  }
}
