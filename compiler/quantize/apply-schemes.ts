/**
 * A float graph with the chosen scheme in each layer: weights rounded, QuantizeLinear and DequantizeLinear around what
 * integer layers compute, biases corrected. The result still computes in float32; `toIntegers` of pipeline.ts then makes
 * integer kernels of it. Function of its arguments alone.
 */
import { LeafcutterError } from "../../runtime/format/diagnostic.ts";
import type { Graph, Node, Storage, Value } from "../graph/graph.ts";
import { type ActivationScale, activationScale, type Calibration, unionOf } from "./calibration.ts";
import { correctedBias } from "./correct-bias.ts";
import { type InputStatistics, statisticsOf } from "./input-statistics.ts";
import { insertQuantisation } from "./insert.ts";
import { canBeInteger, type Layer, layersOf, weightInput } from "./layer.ts";
import { type Placement, placeIntegers } from "./placement.ts";
import { type RoundedWeights, roundWeights } from "./round-weights.ts";
import type { Scheme } from "./scheme.ts";

export interface SchemeOptions {
  /** Whether biases make up for what rounding weights does to the mean of each output. Default true. */
  readonly correctBias?: boolean;
  /** The layer's weights by the scheme, where they are known already. Default roundWeights. */
  readonly round?: (layer: Layer, scheme: Scheme) => RoundedWeights | undefined;
}

/**
 * `picks`: layers (nodes of `graph`) without one stay as they are; one whose weights the scheme cannot hold does too.
 * `calibration` is needed by static int8 layers, and used by all for bias correction. Throws option-invalid without it.
 */
export function applySchemes(
  graph: Graph,
  picks: ReadonlyMap<Node, Scheme>,
  calibration: Calibration | undefined,
  { correctBias = true, round }: SchemeOptions = {},
): Graph {
  const layers = layersOf(graph).filter(({ node }) => picks.has(node));
  const statistics = round ? new Map<Value, InputStatistics>() : weightStatistics(graph, calibration);
  const roundAnew = ({ tensor, layout, weights }: Layer, scheme: Scheme): RoundedWeights | undefined =>
    roundWeights(tensor, scheme, layout, statistics.get(weights));
  const rounded = roundLayers(layers, picks, round ?? roundAnew);
  const schemeOf = (layer: Layer): Scheme | undefined =>
    rounded.has(layer.weights) ? picks.get(layer.node) : undefined;
  const integers = new Map<Node, Extract<Scheme, { kind: "int8" }>>();
  for (const layer of layers) {
    const scheme = schemeOf(layer);
    if (scheme?.kind === "int8" && canBeInteger(layer)) integers.set(layer.node, scheme);
  }
  const isStatic = (node: Node): boolean => integers.get(node)?.dynamic === false;
  const placement = placeIntegers(graph, isStatic);
  const quantised = insertQuantisation(graph, {
    scales: scalesOf(placement, integers, calibration),
    readsIntegers: placement.readsIntegers,
    dynamic: dynamicInputs(integers),
  });
  const corrections = new Map<string, Float32Array>();
  for (const layer of layers) {
    const weights = rounded.get(layer.weights);
    const bias = correctBias && calibration && weights && correctedBias(layer, weights.tensor, graph, calibration);
    if (bias) corrections.set(layer.node.name, bias);
  }
  return replaceWeights(quantised, rounded, corrections);
}

/** By weights: a table that a product shares has the statistics of the product's input. */
export function weightStatistics(
  graph: Graph,
  calibration: Calibration | undefined,
): ReadonlyMap<Value, InputStatistics> {
  return new Map(
    layersOf(graph).flatMap((layer) => {
      const statistics = statisticsOf(layer, calibration);
      return statistics ? [[layer.weights, statistics] as const] : [];
    }),
  );
}

/** Weights that several layers share are rounded once, by the scheme of the first. */
function roundLayers(
  layers: readonly Layer[],
  picks: ReadonlyMap<Node, Scheme>,
  round: Exclude<SchemeOptions["round"], undefined>,
): ReadonlyMap<Value, RoundedWeights> {
  const rounded = new Map<Value, RoundedWeights>();
  for (const layer of layers) {
    const { node, weights } = layer;
    const scheme = picks.get(node);
    if (!scheme || scheme.kind === "float32" || rounded.has(weights)) continue;
    const result = round(layer, scheme);
    if (result) rounded.set(weights, result);
  }
  return rounded;
}

/** Seven bits when any layer that reads the value, or one of its class, asks for them. */
function scalesOf(
  { classes }: Placement,
  integers: ReadonlyMap<Node, Extract<Scheme, { kind: "int8" }>>,
  calibration: Calibration | undefined,
): ReadonlyMap<Value, ActivationScale> {
  const narrow = new Set<Value>();
  for (const [node, { activationBits, dynamic }] of integers)
    if (activationBits === 7 && !dynamic && node.inputs[0]) narrow.add(node.inputs[0]);
  const known = new Map<readonly Value[], ActivationScale>();
  const scales = new Map<Value, ActivationScale>();
  for (const [value, members] of classes) {
    let scale = known.get(members);
    if (!scale) {
      const ranges = members.flatMap(({ name }) => calibration?.ranges.get(name) ?? []);
      if (ranges.length === 0) throw uncalibrated(value);
      scale = activationScale(unionOf(ranges), members.some((member) => narrow.has(member)) ? 7 : 8);
      known.set(members, scale);
    }
    scales.set(value, scale);
  }
  return scales;
}

function uncalibrated({ name }: Value): LeafcutterError {
  return new LeafcutterError({
    code: "option-invalid",
    where: `value ${name}`,
    message: "int8 activations need a range for every activation",
    expected: "a calibration of this graph",
    received: "none for this value",
    advice: "Calibrate the same graph first, or choose dynamic int8.",
  });
}

function dynamicInputs(
  integers: ReadonlyMap<Node, Extract<Scheme, { kind: "int8" }>>,
): ReadonlyMap<Value, ReadonlySet<Node>> {
  const readers = new Map<Value, Set<Node>>();
  for (const [node, { dynamic }] of integers) {
    const [value] = node.inputs;
    if (!dynamic || !value) continue;
    const known = readers.get(value);
    if (known) known.add(node);
    else readers.set(value, new Set([node]));
  }
  return readers;
}

const biasInput = 2;

function replaceWeights(
  graph: Graph,
  rounded: ReadonlyMap<Value, RoundedWeights>,
  corrections: ReadonlyMap<string, Float32Array>,
): Graph {
  const constants = new Map(graph.constants);
  const names = new Set([...constants.keys()].map(({ name }) => name));
  const values = new Map<Value, Value>();
  for (const [value, { tensor, storage }] of rounded) {
    const { dtype, shape } = value.type;
    // Block storages are on their way into the graph's own Storage.
    const replaced: Value = {
      name: value.name,
      type: { dtype, shape, ...(storage ? { storage: storage as Storage } : {}) },
    };
    values.set(value, replaced);
    constants.delete(value);
    constants.set(replaced, tensor);
  }
  const nodes = graph.nodes.map((node) => {
    const correction = corrections.get(node.name);
    const at = weightInput(node);
    const weights = node.inputs[at];
    const replaced = weights && values.get(weights);
    if (!replaced && !correction) return node;
    const inputs = node.inputs.map((value) => value && (values.get(value) ?? value));
    if (correction) {
      let name = `${node.name}/corrected bias`;
      for (let number = 2; names.has(name); number++) name = `${node.name}/corrected bias.${number}`;
      names.add(name);
      const bias: Value = { name, type: { dtype: "float32", shape: [correction.length] } };
      constants.set(bias, { dtype: "float32", shape: [correction.length], data: correction });
      while (inputs.length <= biasInput) inputs.push(undefined);
      inputs[biasInput] = bias;
    }
    return { ...node, inputs };
  });
  const used = new Set(nodes.flatMap(({ inputs }) => inputs));
  for (const { value } of graph.outputs) used.add(value);
  for (const value of [...constants.keys()]) if (!used.has(value)) constants.delete(value);
  return { ...graph, nodes, constants };
}
