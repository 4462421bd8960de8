/** One option for every layer: picks, as the graph that they make, and those where every family has one scheme. */
import type { Graph, Node, Value } from "../graph/graph.ts";
import { applySchemes } from "../quantize/apply-schemes.ts";
import type { Calibration } from "../quantize/calibration.ts";
import { layerOf } from "../quantize/layer.ts";
import { type Scheme, schemeName } from "../quantize/scheme.ts";
import type { Layer, LayerOption } from "./layers.ts";
import { replaceConstants, type StoredTensor } from "./replace-constants.ts";

/** Index of the chosen option of each layer. */
export type Picks = readonly number[];

/** A graph and what can be chosen in it. */
export interface Choices {
  readonly graph: Graph;
  readonly layers: readonly Layer[];
  /** Needed by int8 activations; corrects biases wherever it is there. */
  readonly calibration: Calibration | undefined;
  /** Integer kernels for what stands between QuantizeLinear and DequantizeLinear. */
  toIntegers(graph: Graph): Graph;
}

/** The graph with option `picks[i]` for layer i. */
export function applyPicks({ graph, layers, calibration, toIntegers }: Choices, picks: Picks): Graph {
  const replacements = new Map<Value, StoredTensor>();
  const schemes = new Map<Node, Scheme>();
  const chosen = new Map<Value, LayerOption>();
  layers.forEach(({ constant, nodes, options }, i) => {
    const pick = picks[i] ?? 0;
    if (pick === 0) return;
    const option = options[pick] as LayerOption;
    chosen.set(constant, option);
    // What is no layer to the quantiser (recurrent weights, operands of loop nests) only changes its storage.
    if (nodes.every((node) => layerOf(node, graph)?.weights === constant))
      for (const node of nodes) schemes.set(node, option.scheme);
    else replacements.set(constant, option);
  });
  const quantised = applySchemes(graph, schemes, calibration, { round: ({ weights }) => chosen.get(weights) });
  const replaced = replaceConstants(quantised, replacements);
  return [...schemes.values()].some(({ kind }) => kind === "int8") ? toIntegers(replaced) : replaced;
}

/** One scheme everywhere. Layers that cannot have it take int8 weights instead of int8, or stay as the model has them. */
export function picksOfScheme(layers: readonly Layer[], wanted: Scheme): Picks {
  const names = [schemeName(wanted), ...(wanted.kind === "int8" ? ["int8-weights"] : [])];
  return layers.map(({ options }) => {
    const found = names.map((name) => options.findIndex(({ scheme }) => schemeName(scheme) === name));
    return Math.max(0, found.find((at) => at >= 0) ?? 0);
  });
}
