/**
 * The ordered list of passes from an imported graph to the canonical form that plan and budget read. The reason for
 * a pass stands in its file; the reason for its place stands here.
 */
import type { Graph } from "./graph/graph.ts";
import { verifyGraph } from "./graph/verify.ts";
import { inferNode } from "./ops/infer.ts";
import { canonicalise } from "./passes/canonicalise/canonicalise.ts";
import { foldBatchNorm } from "./passes/fold-batch-norm.ts";
import { foldConstants } from "./passes/fold-constants.ts";
import { foldFocus } from "./passes/fold-focus.ts";
import { fuseElementwise } from "./passes/fuse-elementwise.ts";
import { fuseEpilogue } from "./passes/fuse-epilogue.ts";
import { inlineBranches } from "./passes/inline-branches.ts";
import { expandQuantisation } from "./passes/integer/expand-quantisation.ts";
import { inputBits } from "./passes/integer/input-bits.ts";
import { integerPools } from "./passes/integer/integer-pools.ts";
import { integerProducts } from "./passes/integer/integer-products.ts";
import { mergeScales } from "./passes/integer/merge-scales.ts";
import { moveQuantisation } from "./passes/integer/move-quantisation.ts";
import { scaleOperands } from "./passes/integer/scale-operands.ts";
import { layout } from "./passes/layout/layout.ts";
import { sinkTransposes } from "./passes/layout/sink-transposes.ts";
import { sinkViews } from "./passes/layout/sink-views.ts";
import { mergeDuplicates } from "./passes/merge-duplicates.ts";
import type { Pass } from "./passes/pass.ts";
import { isQuantisation } from "./passes/quantisation.ts";
import { recogniseAttention } from "./passes/recognise/attention.ts";
import { recogniseNorm } from "./passes/recognise/norm.ts";
import { recogniseRecurrent } from "./passes/recognise/recurrent.ts";
import { recogniseRms } from "./passes/recognise/rms.ts";
import { recogniseRotary } from "./passes/recognise/rotary.ts";
import { recogniseTable } from "./passes/recognise/table.ts";
import { mapRegions } from "./passes/regions.ts";
import { removeDead } from "./passes/remove-dead.ts";
import { widenHalf } from "./passes/widen-half.ts";

export const pipeline: readonly Pass[] = [
  // Everything after has less to look at.
  removeDead,
  // Before any pass that asks for float32 or creates float32 constants.
  widenHalf,
  // Before the rules that ask whether an operand is constant or a shape is known.
  foldConstants,
  // Conditions that folding has found, before the passes that do not look inside.
  inlineBranches,
  // One spelling, so that the passes below need to know only that one.
  canonicalise,
  // Removed operators and new constants leave more to fold.
  foldConstants,
  // Duplicates hide that two means are the same one.
  mergeDuplicates,
  // Spelled-out patterns, before fusion and sinking transposes take them apart; tables before biases join the product.
  recogniseNorm,
  recogniseRms,
  recogniseRotary,
  recogniseRecurrent,
  recogniseAttention,
  recogniseTable,
  foldConstants,
  // Views around what was recognised join, so that the transposes between them meet when they sink.
  canonicalise,
  // Needs leafcutter.MatMul and BatchNormalization's neighbours next to each other; before layout, where channels are at axis 1 as its constants are.
  foldBatchNorm,
  // On NCHW operators, where Slices that were split by axis are one already.
  foldFocus,
  // Before layout, so that equal branches are rewritten once and transposes on both sides of them meet.
  mergeDuplicates,
  layout,
  // Transposes of one value to NHWC, made for each of its readers, become one.
  mergeDuplicates,
  sinkTransposes,
  // Views that transposes became join their neighbours,
  canonicalise,
  // so that what is between a kernel and its activation is at most one of them.
  sinkViews,
  canonicalise,
  // Constants whose views and transposes now stand next to them.
  foldConstants,
  mergeDuplicates,
  // Before elementwise chains are joined: a chain that fits an epilogue belongs there.
  fuseEpilogue,
  fuseElementwise,
  // Views and duplicates that fusion left.
  mergeDuplicates,
  removeDead,
];

/**
 * From Q/DQ nodes in canonical form to integer kernels. Our own quantisation inserts such nodes into a canonical graph,
 * imported models bring them.
 */
export const integerPipeline: readonly Pass[] = [
  // Equal roundings of one value, so that what has one reader is seen to have one.
  mergeDuplicates,
  // Everything between two integer kernels is in integers before these are made.
  moveQuantisation,
  // Constants that are to be padded, joined or moved in integers.
  foldConstants,
  integerProducts,
  integerPools,
  // After products and pools, which look for DequantizeLinear; before fusion, which does not look into it.
  expandQuantisation,
  // Roundings and the kernel they belong to, which views may stand between.
  sinkViews,
  fuseEpilogue,
  fuseElementwise,
  // On the whole epilogue, after fusion.
  mergeScales,
  // Saturation bounds are final.
  inputBits,
  // The factors are, too.
  scaleOperands,
  mergeDuplicates,
  removeDead,
];

/** The graph with integer kernels where Q/DQ nodes and weights stored as int8 say so; itself when it has neither. */
export function toIntegers(graph: Graph, options: Pick<OptimiseOptions, "verify"> = {}): Graph {
  if (!graph.nodes.some((node) => isQuantisation(node) || node.op.startsWith("leafcutter.Integer"))) return graph;
  return integerPipeline.reduce((current, pass) => {
    const next = pass.run(current);
    if (options.verify && next !== current) verifyGraph(next, inferNode, pass.name);
    return next;
  }, graph);
}

export interface OptimiseOptions {
  onProgress?(pass: string, done: number, total: number): void;
  /** Check every invariant of the graph after each pass (see graph/verify.ts). */
  readonly verify?: boolean;
}

/** The canonical form of an imported graph, nested graphs included. */
export function optimise(graph: Graph, options: OptimiseOptions = {}): Graph {
  let current = graph;
  if (options.verify) verifyGraph(current, inferNode, "import");
  pipeline.forEach((pass, index) => {
    options.onProgress?.(pass.name, index, pipeline.length);
    const next = pass.run(current);
    if (options.verify && next !== current) verifyGraph(next, inferNode, pass.name);
    current = next;
  });
  const { verify = false } = options;
  current = toIntegers(current, { verify });
  const nested = mapRegions(current, (inner) => optimise(inner, { verify }));
  if (nested !== current) current = removeDead.run(nested);
  if (verify) verifyGraph(current, inferNode, "nested graphs");
  options.onProgress?.("optimised", pipeline.length, pipeline.length);
  return current;
}
