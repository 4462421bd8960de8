/**
 * The size budget: storages for the constants of a graph so that its whole package has at most `maxSize` bytes, at the
 * least error of the outputs. Every size that decides is that of a package really made; errors are those of generated
 * code on samples. Deterministic. Throws LeafcutterError budget-infeasible with the smallest possible size.
 */
import { LeafcutterError } from "../../runtime/format/diagnostic.ts";
import { elementCount } from "../../runtime/format/tensor.ts";
import type { Graph } from "../graph/graph.ts";
import type { WeightStorage } from "../kernels/problem.ts";
import { type ConstantOptions, type StorageOption, storageOptions } from "./options.ts";
import { outputError } from "./output-error.ts";
import { applyChoice, Search, uniformChoices } from "./search.ts";
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

/** Bytes that the kernels of a kind can bring at most: a module has at most 60 KB, and there are two. */
const mostKernelBytes = 120_000;

export async function fitToSize(graph: Graph, budget: SizeBudget): Promise<FittedGraph> {
  const { maxSize } = budget;
  const originalSize = await budget.sizeOf(graph, maxSize);
  if (originalSize <= maxSize) return { graph, storage: [] };
  const constants = storageOptions(graph);
  const weights = weighOptions(graph, constants, budget);
  const smallest = await smallChoice(graph, constants, weights, budget);

  const { errors, samples, expected } = await measureSensitivity(graph, constants, budget);
  const search = new Search(graph, constants, { weights, errors, budget, originalSize });
  await search.run();
  const picks = search.best?.picks ?? smallest;
  const fitted = applyChoice(graph, constants, picks);
  return {
    graph: fitted,
    storage: storageOf(constants, picks, weights),
    outputError: await errorOfGraph(fitted, samples, expected, budget),
  };
}

/** Bytes of every option as packed: [constant][option]. */
function weighOptions(
  graph: Graph,
  constants: readonly ConstantOptions[],
  { weigh }: BudgetTools,
): readonly (readonly number[])[] {
  const most = Math.max(0, ...constants.map(({ options }) => options.length));
  const tables = Array.from({ length: most }, (_, option) =>
    weigh(
      applyChoice(
        graph,
        constants,
        constants.map(({ options }) => Math.min(option, options.length - 1)),
      ),
    ),
  );
  return constants.map(({ constant, options }) =>
    options.map((option, i) => tables[i]?.get(constant.name) ?? plainBytes(option)),
  );
}

const plainBytes = ({ kind, tensor }: StorageOption): number =>
  elementCount(tensor.shape) * (kind === "int8" ? 1 : kind === "float16" ? 2 : 4);

/**
 * A choice whose package is within the limit. A narrow constant saves bytes but may bring another kernel, so the fewest
 * bytes of weights are not always the smallest package: choices with fewer kernels are tried too.
 */
async function smallChoice(
  graph: Graph,
  constants: readonly ConstantOptions[],
  weights: readonly (readonly number[])[],
  { maxSize, sizeOf }: SizeBudget,
): Promise<readonly number[]> {
  const weightOf = (picks: readonly number[]): number =>
    picks.reduce((sum, pick, i) => sum + (weights[i]?.[pick] ?? 0), 0);
  let best: { readonly picks: readonly number[]; readonly size: number } | undefined;
  const fewestBytes = weights.map((bytes) => bytes.indexOf(Math.min(...bytes)));
  const uniform = uniformChoices(constants).toSorted((left, right) => weightOf(left) - weightOf(right));
  for (const picks of [fewestBytes, ...uniform]) {
    if (weightOf(picks) > weightOf(fewestBytes) + mostKernelBytes) continue;
    const size = await sizeOf(applyChoice(graph, constants, picks), maxSize);
    if (size <= maxSize) return picks;
    if (!best || size < best.size) best = { picks, size };
  }
  const { picks = [] } = best ?? {};
  const smallest = applyChoice(graph, constants, picks);
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
