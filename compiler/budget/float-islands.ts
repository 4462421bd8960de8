/**
 * Layers that stay in float although all were to be int8: those few that would bring most of the noise and cost little time. First
 * layers of networks that see are such: edges of smooth pictures are small differences of large numbers.
 */
import type { ChoiceProblem } from "./choice-problem.ts";
import type { Layer } from "./layers.ts";
import type { Picks } from "./picks.ts";
import { indexOf } from "./quantities.ts";

/** Relative squared error of the outputs that needs no island: 34 dB. */
const quiet = 4e-4;
/** Share of the whole noise from which a layer is worth it. */
const leastShare = 0.06;
/** Share of the time of all layers that islands may cost together. */
const mostTime = 0.03;

/** `picks` with option 0 (as the model has it) for the islands. `items`: amounts of [layer][option]. */
export function withFloatIslands(layers: readonly Layer[], picks: Picks, items: ChoiceProblem["items"]): Picks {
  const lossOf = (layer: number): number => items[layer]?.[picks[layer] ?? 0]?.[indexOf.loss] ?? 0;
  const timeOf = (layer: number, option: number): number => items[layer]?.[option]?.[indexOf.latency] ?? 0;
  const isInteger = (layer: number): boolean => layers[layer]?.options[picks[layer] ?? 0]?.scheme.kind === "int8";
  let room = mostTime * picks.reduce((sum, pick, layer) => sum + timeOf(layer, pick), 0);
  let noise = picks.reduce((sum, _, layer) => sum + lossOf(layer), 0);
  const result = [...picks];
  const noisiest = [...picks.keys()].filter(isInteger).sort((left, right) => lossOf(right) - lossOf(left));
  for (const layer of noisiest) {
    if (noise <= quiet || lossOf(layer) < leastShare * noise) break;
    const time = Math.max(0, timeOf(layer, 0) - timeOf(layer, picks[layer] ?? 0));
    if (time > room) continue;
    result[layer] = 0;
    room -= time;
    noise -= lossOf(layer);
  }
  return result;
}
