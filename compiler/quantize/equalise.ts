/**
 * Equalises the channels of activations between layers: channel c of what a layer computes is divided by s_c, and the
 * weights that read it are multiplied by s_c. The function stays the same, but one scale for all channels then fits each of
 * them (cross-layer equalisation, Nagel et al. 2019; SmoothQuant, Xiao et al. 2022). s_c = activation^a / weight^(1 - a) of the
 * largest magnitudes; a is the one for which the sum of both rounding errors is least, "none" among the choices.
 */
import { binary, type Expression, input } from "../../runtime/format/expression.ts";
import { type Tensor, tensorOf } from "../../runtime/format/tensor.ts";
import { expressionAttribute, expressionOf } from "../graph/attribute.ts";
import { type Graph, indexGraph, type Node, type Value } from "../graph/graph.ts";
import type { Calibration, ChannelStatistics } from "./calibration.ts";
import { type Layer, layerOf } from "./layer.ts";
import { gridStep } from "./round.ts";
import { toMatrix } from "./weight-matrix.ts";

const exponents = [0.25, 0.4, 0.5, 0.6, 0.75, 0.9, 1] as const;
/** Factors beyond this ratio say more about dead channels than about live ones. */
const largestRatio = 256;
const epilogueInputs = 3;
const mostOperands = 4;

/** The equalised graph; its activations have other values, so it has to be calibrated anew. */
export function equalise(graph: Graph, calibration: Calibration): Graph {
  const index = indexGraph(graph);
  const editor = new LayerEditor(graph);
  for (const node of graph.nodes) {
    const [value] = node.outputs;
    const statistics = value && calibration.channels.get(value.name);
    if (!value || !statistics || index.isOutput(value)) continue;
    const consumers = index.consumers(value);
    const readers = consumers.flatMap((consumer) => editor.layer(consumer) ?? []);
    const scalable =
      readers.length > 0 &&
      readers.length === consumers.length &&
      readers.every((reader) => readsChannels(reader, value, statistics.mean.length, index.consumers(reader.weights)));
    if (!scalable || !canDivide(node, graph)) continue;
    const factors = bestFactors(statistics, readers);
    if (!factors) continue;
    editor.divideOutput(node.name, factors);
    for (const { node: reader } of readers) editor.multiplyInput(reader.name, factors);
  }
  return editor.finish();
}

/** Only as activation, by weights that nobody else reads. */
const readsChannels = (
  { node, kind, weights, tensor, layout, groups }: Layer,
  value: Value,
  channels: number,
  users: readonly Node[],
): boolean =>
  (kind === "conv" || kind === "matmul") &&
  node.inputs.every((other, at) => (other === value) === (at === 0)) &&
  users.length === 1 &&
  weights.type.storage === undefined &&
  (tensor.shape[layout.contractionAxis] ?? 0) * groups === channels;

function canDivide(node: Node, graph: Graph): boolean {
  const layer = layerOf(node, graph);
  if (layer?.kind === "conv" || layer?.kind === "matmul") {
    const fixedBias = node.inputs[2] === undefined || graph.constants.has(node.inputs[2]);
    return fixedBias && (isHomogeneous(epilogueOf(node)) || node.inputs.length < epilogueInputs + mostOperands);
  }
  // The scale and the shift of a norm take the factors.
  const [, scale, shift] = node.inputs;
  return (
    norms.has(node.op) &&
    node.outputs.length === 1 &&
    !!scale &&
    graph.constants.get(scale)?.dtype === "float32" &&
    (shift === undefined || graph.constants.get(shift)?.dtype === "float32")
  );
}

const norms: ReadonlySet<string> = new Set(["LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization"]);

const epilogueOf = (node: Node): Expression => expressionOf(node, "epilogue") ?? input(0);

/** Whether f(k x) = k f(x) for k > 0, in one step of the epilogue: identity, rectifiers with and without a slope. */
function isHomogeneous(expression: Expression): boolean {
  switch (expression.kind) {
    case "input":
      return expression.index === 0;
    case "constant":
      return expression.value === 0;
    case "unary":
      return (expression.operation === "negate" || expression.operation === "abs") && isHomogeneous(expression.value);
    case "binary": {
      const { operation, left, right } = expression;
      if (operation === "multiply")
        return (left.kind === "constant" && isHomogeneous(right)) || (right.kind === "constant" && isHomogeneous(left));
      return /^(maximum|minimum|add|subtract)$/.test(operation) && isHomogeneous(left) && isHomogeneous(right);
    }
    case "select": {
      const { condition, whenTrue, whenFalse } = expression;
      const compares = condition.kind === "binary" && isHomogeneous(condition.left) && isHomogeneous(condition.right);
      return compares && isHomogeneous(whenTrue) && isHomogeneous(whenFalse);
    }
    case "load":
    case "axis":
    case "parameter":
    case "cast":
      return false;
  }
}

/** Weights per input channel: where channel c of row o begins, how many follow, and how far apart. */
function forEachWeight(layer: Layer, visit: (channel: number, row: number, at: number) => void): void {
  const { tensor, layout, groups } = layer;
  const { shape } = tensor;
  const rows = shape[layout.channelAxis] ?? 0;
  const perGroup = shape[layout.contractionAxis] ?? 0;
  const inner = shape.slice(2).reduce((product, extent) => product * extent, 1);
  for (let row = 0; row < rows; row++) {
    const offset = Math.floor((row * groups) / rows) * perGroup;
    for (let c = 0; c < perGroup; c++)
      for (let k = 0; k < inner; k++)
        visit(offset + c, row, layout.channelAxis === 0 ? (row * perGroup + c) * inner + k : c * rows + row);
  }
}

function bestFactors(statistics: ChannelStatistics, readers: readonly Layer[]): Float64Array | undefined {
  const { largest } = statistics;
  const weights = new Float64Array(largest.length);
  for (const reader of readers)
    forEachWeight(reader, (channel, _, at) => {
      weights[channel] = Math.max(weights[channel] as number, Math.abs(reader.tensor.data[at] as number));
    });
  const none = new Float64Array(largest.length).fill(1);
  let best: Float64Array | undefined;
  let least = 0.95 * roundingError(statistics, readers, none, readers.map(rowsOnGrid));
  for (const exponent of exponents) {
    const factors = factorsOf(largest, weights, exponent);
    const error = factors ? roundingError(statistics, readers, factors) : Infinity;
    if (factors && error < least) [best, least] = [factors, error];
  }
  return best;
}

function factorsOf(largest: Float64Array, weights: Float64Array, exponent: number): Float64Array | undefined {
  const raw = largest.map((value, channel) =>
    value > 0 && (weights[channel] as number) > 0
      ? value ** exponent / (weights[channel] as number) ** (1 - exponent)
      : 0,
  );
  const most = raw.reduce((max, value) => Math.max(max, value), 0);
  return most > 0 ? raw.map((value) => Math.max(value / most, 1 / largestRatio)) : undefined;
}

/** Rows of weights that int8 holds exactly as they are, which factors per column would end. */
function rowsOnGrid(reader: Layer): ReadonlySet<number> {
  const { rows, columns, data } = toMatrix(reader.tensor, reader.layout);
  const found = Array.from({ length: rows }, (_, row) => row);
  return new Set(found.filter((row) => gridStep(data.subarray(row * columns, (row + 1) * columns)) !== undefined));
}

/**
 * Variance of the readers' sums that rounding brings, to eight bits each: of activations with one step for all channels,
 * step² / 12 times the squares of the weights; of weights with one step a row, step² / 12 times the squares of the activations.
 */
function roundingError(
  { largest, square }: ChannelStatistics,
  readers: readonly Layer[],
  factors: Float64Array,
  exact: readonly ReadonlySet<number>[] = [],
): number {
  let range = 0;
  for (const [channel, value] of largest.entries()) range = Math.max(range, value / (factors[channel] as number));
  const activationStep = range / 255;
  let error = 0;
  for (const [index, reader] of readers.entries()) {
    const rows = reader.tensor.shape[reader.layout.channelAxis] ?? 0;
    const steps = new Float64Array(rows);
    const squares = new Float64Array(rows);
    forEachWeight(reader, (channel, row, at) => {
      const weight = Math.abs(reader.tensor.data[at] as number) * (factors[channel] as number);
      steps[row] = Math.max(steps[row] as number, weight / 127);
      squares[row] = (squares[row] as number) + (square[channel] as number) / (factors[channel] as number) ** 2;
      error += (activationStep ** 2 / 12) * weight ** 2;
    });
    for (let row = 0; row < rows; row++)
      if (!exact[index]?.has(row)) error += ((steps[row] as number) ** 2 / 12) * (squares[row] as number);
  }
  return error;
}

/** Nodes and constants of a graph whose layers change. Constants that others read too are copied. */
class LayerEditor {
  readonly #graph: Graph;
  readonly #nodes: Map<string, Node>;
  readonly #constants: Map<Value, Tensor>;
  readonly #names: Set<string>;

  constructor(graph: Graph) {
    this.#graph = graph;
    this.#nodes = new Map(graph.nodes.map((node) => [node.name, node]));
    this.#constants = new Map(graph.constants);
    this.#names = new Set([...graph.inputs, ...graph.constants.keys()].map(({ name }) => name));
    for (const { outputs } of graph.nodes) for (const { name } of outputs) this.#names.add(name);
  }

  /** As it is by now. */
  layer(node: Node): Layer | undefined {
    return layerOf(this.#nodes.get(node.name) ?? node, { ...this.#graph, constants: this.#constants });
  }

  divideOutput(name: string, factors: Float64Array): void {
    const node = this.#nodes.get(name) as Node;
    const inverse = factors.map((factor) => 1 / factor);
    const layer = this.layer(node);
    if (layer && !isHomogeneous(epilogueOf(node))) {
      const operands = Array.from({ length: Math.max(epilogueInputs, node.inputs.length) }, (_, at) => node.inputs[at]);
      const epilogue = binary("multiply", epilogueOf(node), input(1 + operands.length - epilogueInputs));
      const divisors = this.#constant(`${name}/equalised`, tensorOf("float32", [inverse.length], inverse));
      const attributes = { ...node.attributes, epilogue: expressionAttribute(epilogue) };
      this.#nodes.set(name, { ...node, inputs: [...operands, divisors], attributes });
      return;
    }
    const inputs = [...node.inputs];
    if (layer) {
      const data = layer.tensor.data.slice();
      forEachWeight(layer, (_, row, at) => {
        data[at] = (data[at] as number) * (inverse[row] as number);
      });
      inputs[1] = this.#constant(layer.weights.name, { ...layer.tensor, data });
    }
    for (const at of layer ? [2] : [1, 2]) {
      const value = inputs[at];
      const tensor = value && (this.#constants.get(value) as Tensor<"float32"> | undefined);
      if (!value || !tensor) continue;
      const data = tensor.data.map((old, channel) => old * (inverse[channel] as number));
      inputs[at] = this.#constant(value.name, { ...tensor, data });
    }
    this.#nodes.set(name, { ...node, inputs });
  }

  multiplyInput(name: string, factors: Float64Array): void {
    const node = this.#nodes.get(name) as Node;
    const layer = this.layer(node) as Layer;
    const data = layer.tensor.data.slice();
    forEachWeight(layer, (channel, _, at) => {
      data[at] = (data[at] as number) * (factors[channel] as number);
    });
    const weights = this.#constant(layer.weights.name, { ...layer.tensor, data });
    this.#nodes.set(name, { ...node, inputs: node.inputs.map((value, at) => (at === 1 ? weights : value)) });
  }

  #constant(wish: string, tensor: Tensor): Value {
    let name = wish;
    for (let number = 2; this.#names.has(name); number++) name = `${wish}.${number}`;
    this.#names.add(name);
    const value: Value = { name, type: { dtype: tensor.dtype, shape: tensor.shape } };
    this.#constants.set(value, tensor);
    return value;
  }

  /** The graph itself when nothing changed. */
  finish(): Graph {
    if (this.#graph.nodes.every((node) => this.#nodes.get(node.name) === node)) return this.#graph;
    const nodes = this.#graph.nodes.map((node) => this.#nodes.get(node.name) as Node);
    const used = new Set<Value | undefined>(nodes.flatMap(({ inputs }) => inputs));
    for (const { value } of this.#graph.outputs) used.add(value);
    return { ...this.#graph, nodes, constants: new Map([...this.#constants].filter(([value]) => used.has(value))) };
  }
}
