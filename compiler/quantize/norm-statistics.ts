/**
 * What activations look like when there is no data: a batch norm says that its output has mean `shift` and standard
 * deviation |scale| per channel over the training set (Nagel et al. 2019, section 4.2.1). Its values are taken to be normal and
 * followed through epilogues, residuals, pools and concatenations as representative samples, per channel.
 */
import { type Expression, input } from "../../runtime/format/expression.ts";
import { type Tensor, tensorOf } from "../../runtime/format/tensor.ts";
import { evaluateElementwise } from "../../runtime/reference/expression.ts";
import { expressionOf, integerOf } from "../graph/attribute.ts";
import type { Graph, Node, Value } from "../graph/graph.ts";
import type { ChannelStatistics, ValueRange } from "./calibration.ts";

/** By the name of the source node, which the layers that absorbed it keep among their sources. */
export type NormStatistics = ReadonlyMap<string, { readonly mean: Float32Array; readonly deviation: Float32Array }>;

/** Of a graph as imported: the passes fold batch norms away. */
export function normStatistics(graph: Graph): NormStatistics {
  const statistics = new Map<string, { mean: Float32Array; deviation: Float32Array }>();
  for (const node of graph.nodes) {
    if (node.op !== "BatchNormalization") continue;
    const [, scale, shift] = node.inputs.map((value) => value && graph.constants.get(value));
    if (scale?.dtype !== "float32" || shift?.dtype !== "float32") continue;
    const deviation = (scale.data as Float32Array).map(Math.abs);
    statistics.set(node.name, { mean: shift.data as Float32Array, deviation });
  }
  return statistics;
}

export interface NormEstimate {
  readonly range: ValueRange;
  readonly channels: ChannelStatistics;
}

/** Samples within the normal distribution, at quantiles of equal probability. */
const inner = 256;
/** How many standard deviations a value may be from its mean: only these decide about ranges. */
const tails = [-5, 5] as const;
const rows = inner + tails.length;

/** By the name of the value, for those that follow from batch norms. */
export function estimateFromNorms(graph: Graph, norms: NormStatistics): ReadonlyMap<string, NormEstimate> {
  const known = new Map<Value, Tensor>();
  const estimates = new Map<string, NormEstimate>();
  for (const node of graph.nodes) {
    const samples = samplesOf(node, graph, norms, known);
    const [output] = node.outputs;
    if (!samples || !output || samples.shape[1] !== output.type.shape.at(-1)) continue;
    known.set(output, samples);
    estimates.set(output.name, summary(samples));
  }
  return estimates;
}

/** [rows, channels], or undefined where nothing is known. */
function samplesOf(
  node: Node,
  graph: Graph,
  norms: NormStatistics,
  known: ReadonlyMap<Value, Tensor>,
): Tensor | undefined {
  const [first] = node.inputs;
  switch (node.op) {
    case "leafcutter.Conv":
    case "leafcutter.ConvTranspose":
    case "leafcutter.MatMul": {
      const sources = node.sources.filter((name) => norms.has(name));
      const norm = norms.get(sources[0] ?? "");
      const channels = node.outputs[0]?.type.shape.at(-1);
      if (sources.length !== 1 || norm?.mean.length !== channels || !norm) return undefined;
      const operands = node.inputs.slice(3);
      // A constant in the epilogue may be the batch norm itself.
      if (operands.some((value) => value && graph.constants.has(value))) return undefined;
      const tensors = operands.map((value, index) => value && shuffled(known.get(value), index));
      return evaluate(expressionOf(node, "epilogue") ?? input(0), [normalSamples(norm), ...tensors]);
    }
    case "leafcutter.Elementwise": {
      const expression = expressionOf(node, "expression");
      const tensors = node.inputs.map((value, index) => value && shuffled(known.get(value), index));
      return expression && evaluate(expression, tensors);
    }
    case "Concat": {
      const parts = node.inputs.map((value) => value && known.get(value));
      const rank = first?.type.shape.length ?? 0;
      return integerOf(node, "axis", 0) === rank - 1 && parts.every((part) => part !== undefined)
        ? joined(parts)
        : undefined;
    }
    // Their results are within the range of what they read, in every channel.
    case "leafcutter.Pool":
    case "ReduceMean":
    case "Resize":
      return expressionOf(node, "epilogue") ? undefined : first && known.get(first);
    default:
      return undefined;
  }
}

function evaluate(expression: Expression, tensors: readonly (Tensor | undefined)[]): Tensor | undefined {
  if (tensors.length === 0 || tensors.some((tensor) => tensor === undefined)) return undefined;
  const [, channels] = tensors[0]?.shape ?? [];
  if (tensors.some((tensor) => tensor?.shape[1] !== channels)) return undefined;
  const result = evaluateElementwise(expression, tensors);
  return result.dtype === "float32" && result.shape.length === 2 ? result : undefined;
}

function normalSamples({ mean, deviation }: { readonly mean: Float32Array; readonly deviation: Float32Array }): Tensor {
  const channels = mean.length;
  const positions = [...Array.from({ length: inner }, (_, i) => normalQuantile((i + 0.5) / inner)), ...tails];
  const values = new Float32Array(rows * channels);
  for (const [row, position] of positions.entries())
    for (let channel = 0; channel < channels; channel++)
      values[row * channels + channel] = (mean[channel] as number) + position * (deviation[channel] as number);
  return tensorOf("float32", [rows, channels], values);
}

/** Other operands than the first are taken to be independent of it, but for the tails, which may coincide. */
function shuffled(tensor: Tensor | undefined, operand: number): Tensor | undefined {
  const channels = tensor?.shape[1];
  if (!tensor || channels === undefined) return undefined;
  const data = new Float32Array(tensor.data.length);
  // Odd, hence without a common divisor with the number of samples.
  const step = operand === 0 ? 1 : 101 + 2 * operand;
  for (let row = 0; row < rows; row++) {
    const from = row < inner ? (row * step) % inner : row;
    for (let channel = 0; channel < channels; channel++)
      data[row * channels + channel] = Number(tensor.data[from * channels + channel]);
  }
  return { dtype: "float32", shape: tensor.shape, data };
}

function joined(parts: readonly Tensor[]): Tensor {
  const width = parts.reduce((sum, { shape }) => sum + (shape[1] ?? 0), 0);
  const data = new Float32Array(rows * width);
  let start = 0;
  for (const { shape, data: part } of parts) {
    const channels = shape[1] ?? 0;
    for (let row = 0; row < rows; row++)
      for (let channel = 0; channel < channels; channel++)
        data[row * width + start + channel] = Number(part[row * channels + channel]);
    start += channels;
  }
  return { dtype: "float32", shape: [rows, width], data };
}

function summary({ shape, data }: Tensor): NormEstimate {
  const channels = shape[1] ?? 1;
  const mean = new Float64Array(channels);
  const square = new Float64Array(channels);
  const lower = new Float64Array(channels);
  const upper = new Float64Array(channels);
  for (let at = 0; at < data.length; at++) {
    const channel = at % channels;
    const value = Number(data[at]);
    lower[channel] = Math.min(lower[channel] as number, value);
    upper[channel] = Math.max(upper[channel] as number, value);
    if (at >= inner * channels) continue;
    mean[channel] = (mean[channel] as number) + value / inner;
    square[channel] = (square[channel] as number) + (value * value) / inner;
  }
  const range = { lower: Math.min(0, ...lower), upper: Math.max(0, ...upper) };
  return { range, channels: { mean, square, lower, upper } };
}

/** Inverse of the normal distribution's cumulative function, by bisection of the integral of its density. */
function normalQuantile(probability: number): number {
  let [low, high] = [-6, 6];
  for (let step = 0; step < 50; step++) {
    const middle = (low + high) / 2;
    if (normalProbability(middle) < probability) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** Abramowitz and Stegun 26.2.17; absolute error below 7.5e-8. */
function normalProbability(x: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(x));
  const series = t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  const above = (Math.exp(-(x * x) / 2) / Math.sqrt(2 * Math.PI)) * series;
  return x >= 0 ? 1 - above : above;
}
