/** One option for every layer: picks, as the graph that they make, and those where every family has one scheme. */
import type { Graph, Value } from "../graph/graph.ts";
import type { Scheme } from "../quantize/scheme.ts";
import type { Layer, LayerOption } from "./layers.ts";
import { replaceConstants, type StoredTensor } from "./replace-constants.ts";

/** Index of the chosen option of each layer. */
export type Picks = readonly number[];

/** The graph with option `picks[i]` for layer i. */
export function applyPicks(graph: Graph, layers: readonly Layer[], picks: Picks): Graph {
  const replacements = new Map<Value, StoredTensor>();
  layers.forEach(({ constant, options }, i) => {
    const pick = picks[i] ?? 0;
    if (pick > 0) replacements.set(constant, options[pick] as LayerOption);
  });
  return replaceConstants(graph, replacements);
}

/** The option that is `scheme`; where a layer has none, the model's own. */
export function picksOfScheme(layers: readonly Layer[], isScheme: (scheme: Scheme) => boolean): Picks {
  return layers.map(({ options }) =>
    Math.max(
      0,
      options.findIndex(({ scheme }) => isScheme(scheme)),
    ),
  );
}

/** Families that may differ in scheme among uniform picks; with more of them all have the same one. */
const mostFamilies = 3;

/**
 * One scheme per family of readers, in every combination: fewer kernels than a choice per layer, which
 * in a small package can be more bytes than the weights save.
 */
export function uniformPicks(layers: readonly Layer[]): readonly Picks[] {
  const kinds = [...new Set(layers.flatMap(({ options }) => options.map(({ scheme }) => scheme.kind)))];
  const families = [...new Set(layers.map(({ reader }) => reader))].sort();
  type Kind = Scheme["kind"];
  let assignments: readonly (readonly Kind[])[] = [[]];
  if (families.length > mostFamilies) assignments = kinds.map((kind) => families.map(() => kind));
  else for (const _ of families) assignments = assignments.flatMap((known) => kinds.map((kind) => [...known, kind]));
  return assignments.map((assignment) =>
    layers.map(({ reader, options }) => {
      const wanted = assignment[families.indexOf(reader)];
      return Math.max(
        0,
        options.findIndex(({ scheme }) => scheme.kind === wanted),
      );
    }),
  );
}
