/**
 * The layers of a graph, and the schemes of each: every constant whose readers can all read a narrower form of it, which is
 * the weights of a family with a variant for it, or an operand of a loop nest's body. Anything else (biases, norm scales,
 * epilogue operands, small tensors) stays as it is. What the model itself stores in fewer bits is never widened.
 */
import { type Expression, mapExpression } from "../../runtime/format/expression.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import type { Facts } from "../graph/facts.ts";
import { FactStore } from "../graph/facts.ts";
import type { Graph, Node, Value } from "../graph/graph.ts";
import { familyOf } from "../kernels/families.ts";
import { isBindable } from "../kernels/loop/bind.ts";
import type { BlockForm, Problem, WeightStorage } from "../kernels/problem.ts";
import { lowerElementwise } from "../ops/elementwise/lower.ts";
import { operatorOf } from "../ops/index.ts";
import { operatorContext } from "../ops/infer.ts";
import type { LoweredStep, Lowering } from "../ops/operator.ts";
import { weightStatistics } from "../quantize/apply-schemes.ts";
import type { Calibration } from "../quantize/calibration.ts";
import { canBeInteger, layerOf } from "../quantize/layer.ts";
import { roundWeights } from "../quantize/round-weights.ts";
import type { BlockSize, Scheme } from "../quantize/scheme.ts";
import type { WeightLayout } from "../quantize/weight-matrix.ts";
import type { StoredTensor } from "./replace-constants.ts";

/** Fewer elements than this are not worth another kernel. */
const fewestElements = 256;
/** Fewest elements that share a scale. */
const fewestPerScale = 8;

/** The blocks that families are asked about. */
const blocks: BlockForm = { size: 32, zeros: true, scaleType: "float16", bias: true };

/** Schemes of the weights alone. */
export const weightSchemes: readonly Scheme[] = [
  { kind: "float16" },
  { kind: "int8-weights" },
  { kind: "int4", blockSize: 32, zeros: true },
  { kind: "int4", blockSize: 128, zeros: true },
];

/** Static, calibrated int8 activations; of 7 bits, so that the relaxed dot is exact, or of 8. */
export const integerSchemes: readonly Scheme[] = [
  { kind: "int8", activationBits: 8, dynamic: false },
  { kind: "int8", activationBits: 7, dynamic: false },
];

export interface LayerOption extends StoredTensor {
  readonly scheme: Scheme;
  readonly tensor: Tensor<"float32">;
}

export interface Layer {
  readonly constant: Value;
  /** The nodes that read it. */
  readonly nodes: readonly Node[];
  /** The families that read it, "nest" for loop nests: constants with the same reader can share kernels. */
  readonly reader: string;
  /** What the model itself has comes first: float32, or float16 for a constant that came as float16. */
  readonly options: readonly LayerOption[];
}

/** What one reader can read, and where scales and sums lie in the constant: two axes, or any for a table. */
export interface Readable {
  readonly float16: boolean;
  readonly int8: boolean;
  /** int4 and nf4 in blocks. */
  readonly blocks: boolean;
  readonly layout: WeightLayout | "any" | undefined;
  readonly readers: readonly string[];
}

const nothing: Readable = { float16: false, int8: false, blocks: false, layout: undefined, readers: [] };
const anything: Readable = { float16: true, int8: true, blocks: true, layout: "any", readers: [] };

interface Reading {
  /** What all of the nodes can read. */
  readonly readable: Readable;
  readonly nodes: readonly Node[];
}

/** The readers of the constants that `asked` selects and that are no outputs; in order of first use. */
export function readersOf(graph: Graph, asked: (value: Value) => boolean): ReadonlyMap<Value, Reading> {
  const facts = new FactStore(graph.constants);
  const found = new Map<Value, { readable: Readable; readonly nodes: Node[] }>();
  for (const node of graph.nodes) {
    const lowering = loweringOf(node, facts);
    for (const value of new Set(node.inputs)) {
      if (!value || !asked(value)) continue;
      const here = readableBy(node, value, lowering);
      const known = found.get(value);
      if (known) {
        known.readable = bothOf(known.readable, here);
        known.nodes.push(node);
      } else found.set(value, { readable: here, nodes: [node] });
    }
  }
  for (const { value } of graph.outputs) found.delete(value);
  return found;
}

/**
 * Layers with at least two of `schemes`, in order of first use. Weights are rounded as well as `calibration` allows; that can
 * take minutes, so `onProgress` is told of weights done and weights in all.
 */
export function layersOf(
  graph: Graph,
  schemes: readonly Scheme[] = weightSchemes,
  calibration?: Calibration,
  onProgress?: (done: number, total: number) => void,
): readonly Layer[] {
  const statistics = weightStatistics(graph, calibration);
  const found = [...readersOf(graph, (value) => isCandidate(value, graph))];
  return found.flatMap(([constant, { readable, nodes }], done) => {
    onProgress?.(done, found.length);
    const layout = readable.layout === "any" ? layoutOfTable(constant) : readable.layout;
    const integers = readable.int8 && nodes.every((node) => isIntegerLayer(node, graph));
    const tensor = graph.constants.get(constant) as Tensor<"float32">;
    const options: LayerOption[] = [
      { scheme: { kind: constant.type.storage ? "float16" : "float32" }, tensor, storage: constant.type.storage },
    ];
    for (const scheme of schemes) {
      if (!isPossible(scheme, tensor, { ...readable, layout, integers }, schemes)) continue;
      // Only float16 does without a layout.
      const rounded = roundWeights(tensor, scheme, layout ?? noLayout, statistics.get(constant));
      if (rounded?.storage && rounded.storage.kind !== constant.type.storage?.kind)
        options.push({ scheme, tensor: rounded.tensor, storage: rounded.storage });
    }
    return options.length > 1 ? [{ constant, nodes, reader: readable.readers.join(" "), options }] : [];
  });
}

function isIntegerLayer(node: Node, graph: Graph): boolean {
  const layer = layerOf(node, graph);
  return layer !== undefined && canBeInteger(layer);
}

function isCandidate(value: Value, graph: Graph): boolean {
  const tensor = graph.constants.get(value);
  const { storage } = value.type;
  return (
    tensor?.dtype === "float32" &&
    tensor.data.length >= fewestElements &&
    (storage === undefined || storage.kind === "float16")
  );
}

/** As the planner sees it; undefined for a host step. */
function loweringOf(node: Node, facts: Facts): Lowering | undefined {
  const operator = operatorOf(node);
  const context = operatorContext(node, facts);
  if (operator.lower) return operator.lower(context);
  const expression = operator.expression?.(context);
  return expression && lowerElementwise(context, expression);
}

function readableBy(node: Node, value: Value, lowering: Lowering | undefined): Readable {
  if (lowering?.kind !== "steps") return nothing;
  let all = anything;
  for (const step of lowering.steps) {
    if (step.kind === "nest" && !isBindable(step.nest)) return nothing;
    step.operands.forEach((operand, index) => {
      if (operand?.kind === "input" && node.inputs[operand.index] === value) all = bothOf(all, readableAt(step, index));
    });
  }
  return all;
}

function readableAt(step: LoweredStep, index: number): Readable {
  if (step.kind === "nest") {
    const finished = step.nest.finish && reads(step.nest.finish, index + 1);
    return finished ? nothing : { ...anything, readers: ["nest"] };
  }
  const { problem } = step;
  if (problem.family === "recurrent") {
    const layout = { channelAxis: 0, contractionAxis: 1 };
    return index === 1 || index === 2 ? { ...anything, layout, readers: [problem.family] } : nothing;
  }
  if (index !== 1) return nothing;
  switch (problem.family) {
    case "conv":
    case "depthwise":
      return readableByFamily(problem, { channelAxis: 0, contractionAxis: 1 });
    case "conv-transpose":
      // With groups an output channel is no single index of one axis.
      return readableByFamily(problem, problem.groups === 1 ? { channelAxis: 1, contractionAxis: 0 } : undefined);
    case "matmul": {
      if (problem.dynamicB) return nothing;
      const channelAxis = problem.transposeB ? 0 : 1;
      return readableByFamily(problem, { channelAxis, contractionAxis: 1 - channelAxis });
    }
    case "attention":
    case "conv-i8":
    case "depthwise-i8":
    case "dynamic-quantize":
    case "matmul-i8":
    case "pool":
    case "reduce":
    case "softmax":
    case "norm":
      return nothing;
  }
}

const reads = (expression: Expression, operand: number): boolean => {
  let found = false;
  mapExpression(expression, (part) => {
    if (part.kind === "input" && part.index === operand) found = true;
    return part;
  });
  return found;
};

function readableByFamily(
  problem: Extract<Problem, { storage: WeightStorage }>,
  layout: WeightLayout | undefined,
): Readable {
  const accepts = (storage: "float16" | "int8"): boolean => acceptsProblem({ ...problem, storage });
  const acceptsBlocks = problem.family !== "depthwise" && acceptsProblem({ ...problem, storage: "int4", blocks });
  return {
    float16: accepts("float16"),
    int8: layout !== undefined && accepts("int8"),
    blocks: layout !== undefined && acceptsBlocks,
    layout,
    readers: [problem.family],
  };
}

function acceptsProblem(problem: Problem): boolean {
  const family = familyOf(problem);
  return family?.variants.some((variant) => family.accepts(variant, problem)) ?? false;
}

function bothOf(left: Readable, right: Readable): Readable {
  const float16 = left.float16 && right.float16;
  const readers = [...new Set([...left.readers, ...right.readers])].sort();
  const layout = left.layout === "any" ? right.layout : left.layout;
  const agree =
    left.layout === "any" ||
    right.layout === "any" ||
    (left.layout?.channelAxis === right.layout?.channelAxis &&
      left.layout?.contractionAxis === right.layout?.contractionAxis);
  const [int8, blocks] = [left.int8 && right.int8 && agree, left.blocks && right.blocks && agree];
  return { float16, int8, blocks, layout: agree ? layout : undefined, readers };
}

const noLayout: WeightLayout = { channelAxis: 0, contractionAxis: 0 };

function isPossible(
  scheme: Scheme,
  { shape, data }: Tensor<"float32">,
  { layout, ...readable }: Readable & { readonly layout: WeightLayout | undefined; readonly integers: boolean },
  schemes: readonly Scheme[],
): boolean {
  if (scheme.kind === "float16") return readable.float16;
  if (!layout || data.length < fewestPerScale * (shape[layout.channelAxis] ?? 1)) return false;
  switch (scheme.kind) {
    case "float32":
      return false;
    case "int8-weights":
      return readable.int8;
    case "int8":
      return readable.integers;
    case "int4":
    case "nf4":
      return readable.blocks && !hasShorterBlock(scheme, shape[layout.contractionAxis] ?? 1, schemes);
  }
}

/** Whether blocks of another scheme of the kind hold all `values` of a line too. */
const hasShorterBlock = (
  { kind, blockSize }: Extract<Scheme, { blockSize: BlockSize }>,
  values: number,
  schemes: readonly Scheme[],
): boolean => schemes.some((other) => other.kind === kind && other.blockSize < blockSize && other.blockSize >= values);

/** One scale per row of the table; leading axes of one index hold no rows. */
function layoutOfTable({ type: { shape } }: Value): WeightLayout | undefined {
  const channelAxis = shape.findIndex((extent) => typeof extent === "number" && extent > 1);
  return channelAxis < 0 ? undefined : { channelAxis, contractionAxis: shape.length - 1 };
}
