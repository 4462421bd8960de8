/**
 * Layers that stay in float although all were to be int8: those few that would bring most of the noise. First layers of networks that
 * see are such: edges of smooth pictures are small differences of large numbers.
 */
import type { ChoiceProblem } from "./choice-problem.ts";
import type { Layer } from "./layers.ts";
import type { Picks } from "./picks.ts";
import { indexOf } from "./quantities.ts";

/** Relative squared error of the outputs that needs no island: 34 dB. */
const quiet = 4e-4;
/** Share of the noise that is left from which a layer is worth it. */
const leastShare = 0.02;
/** Share of the time that int8 saves which islands may give back together. */
const mostTime = 0.45;

/** The layers that deserve to be islands, the noisiest first. `items`: amounts of [layer][option]. */
export function islandsOf(layers: readonly Layer[], picks: Picks, items: ChoiceProblem["items"]): readonly number[] {
  const lossOf = (layer: number): number => items[layer]?.[picks[layer] ?? 0]?.[indexOf.loss] ?? 0;
  const isInteger = (layer: number): boolean => layers[layer]?.options[picks[layer] ?? 0]?.scheme.kind === "int8";
  let noise = picks.reduce((sum, _, layer) => sum + lossOf(layer), 0);
  const islands: number[] = [];
  for (const layer of [...picks.keys()].filter(isInteger).sort((left, right) => lossOf(right) - lossOf(left))) {
    if (noise <= quiet || lossOf(layer) < leastShare * noise) break;
    islands.push(layer);
    noise -= lossOf(layer);
  }
  return islands;
}

/**
 * `picks` with option 0 (as the model has it) for as many of `islands` as time allows. `timeOf`: milliseconds of a plan, which knows
 * what integers and floats next to one another cost.
 */
export async function withIslands(
  picks: Picks,
  islands: readonly number[],
  timeOf: (picks: Picks) => Promise<number>,
): Promise<Picks> {
  const upTo = (count: number): Picks =>
    islands.slice(0, count).reduce<Picks>((all, layer) => all.with(layer, 0), picks);
  if (islands.length === 0) return picks;
  const integers = await timeOf(picks);
  const floats = await timeOf(picks.map(() => 0));
  const limit = integers + mostTime * (floats - integers);
  let [low, high] = [0, islands.length];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if ((await timeOf(upTo(middle))) <= limit) low = middle;
    else high = middle - 1;
  }
  return upTo(low);
}
