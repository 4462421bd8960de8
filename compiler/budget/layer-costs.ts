/**
 * What each option of each layer costs: the graph is planned with one option everywhere at a time, and steps are charged
 * to the layers whose constants they read.
 */
import type { Graph } from "../graph/graph.ts";
import type { Layer } from "./layers.ts";
import { applyPicks } from "./picks.ts";
import type { BudgetTools } from "./tools.ts";

export interface OptionCosts {
  /** Bytes of the weights as they are packed. */
  readonly bytes: number;
  readonly milliseconds: number;
  readonly millijoules: number;
}

/** [layer][option] */
export function layerCosts(
  graph: Graph,
  layers: readonly Layer[],
  { costOf }: Pick<BudgetTools, "costOf">,
): readonly (readonly OptionCosts[])[] {
  const most = Math.max(0, ...layers.map(({ options }) => options.length));
  const names = new Set(layers.map(({ constant }) => constant.name));
  const tables = Array.from({ length: most }, (_, option) => {
    const picks = layers.map(({ options }) => Math.min(option, options.length - 1));
    const costs = costOf(applyPicks(graph, layers, picks));
    const charged = new Map<string, { milliseconds: number; millijoules: number }>();
    for (const step of costs.steps) {
      const readers = new Set(step.constants.filter((name) => names.has(name)));
      for (const name of readers) {
        const sums = charged.get(name) ?? { milliseconds: 0, millijoules: 0 };
        sums.milliseconds += (step.nanoseconds * 1e-6) / readers.size;
        sums.millijoules += (step.joules * 1e3) / readers.size;
        charged.set(name, sums);
      }
    }
    return { bytes: costs.weightBytes, charged };
  });
  return layers.map(({ constant: { name }, options }) =>
    options.map((_, option) => ({
      bytes: tables[option]?.bytes.get(name) ?? 0,
      milliseconds: tables[option]?.charged.get(name)?.milliseconds ?? 0,
      millijoules: tables[option]?.charged.get(name)?.millijoules ?? 0,
    })),
  );
}
