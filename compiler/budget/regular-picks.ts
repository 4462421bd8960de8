/**
 * Picks in which neighbours mostly have the same scheme, so that they share what stands between them: kernels, of which a
 * small package has few bytes to spare for, and integers, which a mixture turns into floats and back.
 */
import { schemeName } from "../quantize/scheme.ts";
import type { ChoiceProblem } from "./choice-problem.ts";
import type { Layer } from "./layers.ts";
import type { Picks } from "./picks.ts";
import { indexOf } from "./quantities.ts";

/** Families that may differ in scheme; with more of them all have the same one. */
const mostFamilies = 3;
/** Layers in front or behind that stay as they are while all others are integers. */
const frames = [0, 1, 2, 4, 8, 16];

/** Names of all schemes that some layer can have. */
export const schemesOf = (layers: readonly Layer[]): readonly string[] => [
  ...new Set(layers.flatMap(({ options }) => options.map(({ scheme }) => schemeName(scheme)))),
];

/** One scheme for all layers that can have it; the others stay as the model has them. */
export const picksNamed = (layers: readonly Layer[], name: string): Picks =>
  layers.map((layer) => optionNamed(layer, name));

export const singlePicks = (layers: readonly Layer[]): readonly Picks[] =>
  schemesOf(layers).map((name) => picksNamed(layers, name));

/** One scheme per family of readers, in every combination. */
export function uniformPicks(layers: readonly Layer[]): readonly Picks[] {
  const families = [...new Set(layers.map(({ reader }) => reader))].sort();
  if (families.length > mostFamilies) return singlePicks(layers);
  const names = schemesOf(layers);
  let assignments: readonly (readonly string[])[] = [[]];
  for (const _ of families) assignments = assignments.flatMap((known) => names.map((name) => [...known, name]));
  return assignments.map((assignment) =>
    layers.map((layer) => optionNamed(layer, assignment[families.indexOf(layer.reader)] ?? "")),
  );
}

/**
 * int8 activations everywhere but in the first and last layers, which outputs mind most: those stay as the model has them,
 * or take int8 weights.
 */
export function framedPicks(layers: readonly Layer[], items: ChoiceProblem["items"]): readonly Picks[] {
  const integers = layers.map(({ options }, layer) => fastestInteger(options, items[layer] ?? []));
  const framed = (outer: (layer: Layer) => number) =>
    frames.flatMap((first) =>
      frames.flatMap((last): readonly Picks[] =>
        first + last === 0 || first + last >= layers.length
          ? []
          : [
              layers.map((layer, at) =>
                at < first || at >= layers.length - last ? outer(layer) : (integers[at] ?? outer(layer)),
              ),
            ],
      ),
    );
  if (integers.every((option) => option === undefined)) return [];
  return [...framed(() => 0), ...framed((layer) => optionNamed(layer, "int8-weights"))];
}

function fastestInteger(options: Layer["options"], row: ChoiceProblem["items"][number]): number | undefined {
  let best: number | undefined;
  const time = (option: number): number => row[option]?.[indexOf.latency] ?? 0;
  for (const [option, { scheme }] of options.entries())
    if (scheme.kind === "int8" && (best === undefined || time(option) < time(best))) best = option;
  return best;
}

const optionNamed = ({ options }: Layer, name: string): number =>
  Math.max(
    0,
    options.findIndex(({ scheme }) => schemeName(scheme) === name),
  );
