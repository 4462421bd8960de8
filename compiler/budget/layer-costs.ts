/**
 * What each option of each layer costs: the graph is planned with one scheme everywhere at a time, and steps are charged
 * to the layers whose constants they read or whose nodes they stand for. What is between integer layers instead of
 * between float ones (quantisation, narrower activations) is charged to them by their time.
 */
import type { Graph } from "../graph/graph.ts";
import { schemeName } from "../quantize/scheme.ts";
import type { Layer } from "./layers.ts";
import { applyPicks, type Choices, type Picks } from "./picks.ts";
import type { PlanCosts } from "./plan-costs.ts";
import { picksNamed, schemesOf } from "./regular-picks.ts";
import type { BudgetTools } from "./tools.ts";

export interface OptionCosts {
  /** Bytes of the weights as they are packed. */
  readonly bytes: number;
  /** Bytes of memory: those of the weights, and what the option saves of the arena. */
  readonly memoryBytes: number;
  readonly milliseconds: number;
  readonly millijoules: number;
}

interface Charged {
  milliseconds: number;
  millijoules: number;
}

/** What a plan with one scheme everywhere says of the layers, by the name of the constant. */
interface Table {
  readonly costs: PlanCosts;
  readonly bytes: ReadonlyMap<string, number>;
  readonly charged: ReadonlyMap<string, Charged>;
  /** What no layer is charged with. */
  readonly rest: Charged;
}

/** [layer][option] */
export function layerCosts(
  choices: Choices,
  { costOf }: Pick<BudgetTools, "costOf">,
): readonly (readonly OptionCosts[])[] {
  const { layers } = choices;
  const planned = (picks: Picks): Table => {
    const graph = applyPicks(choices, picks);
    return tableOf(graph, layers, costOf(graph));
  };
  const own = planned(layers.map(() => 0));
  const tables = new Map(schemesOf(layers).map((name) => [name, planned(picksNamed(layers, name))]));
  return layers.map((layer) =>
    layer.options.map(({ scheme }, option) => {
      const name = schemeName(scheme);
      return costsOfOption({ own, table: option === 0 ? own : (tables.get(name) ?? own), layers, name }, layer, option);
    }),
  );
}

interface Tables {
  readonly own: Table;
  /** Of the plan in which all layers that can have it have the scheme of this name. */
  readonly table: Table;
  readonly layers: readonly Layer[];
  readonly name: string;
}

function costsOfOption(
  { own, table, layers, name: scheme }: Tables,
  { constant: { name }, options }: Layer,
  option: number,
): OptionCosts {
  const charged = table.charged.get(name);
  const bytes = table.bytes.get(name) ?? own.bytes.get(name) ?? 0;
  if (!charged) return { bytes, memoryBytes: bytes, milliseconds: 0, millijoules: 0 };
  if (options[option]?.scheme.kind !== "int8") return { bytes, memoryBytes: bytes, ...charged };
  const integers = layers.filter((layer) => layer.options.some((other) => schemeName(other.scheme) === scheme));
  const time = integers.reduce((sum, layer) => sum + (table.charged.get(layer.constant.name)?.milliseconds ?? 0), 0);
  const share = time === 0 ? 0 : charged.milliseconds / time;
  const arenaOf = ({ costs }: Table): number =>
    costs.memoryBytes - costs.weights.reduce((sum, { bytes }) => sum + bytes, 0);
  return {
    bytes,
    memoryBytes: bytes + share * (arenaOf(table) - arenaOf(own)),
    milliseconds: charged.milliseconds + share * (table.rest.milliseconds - own.rest.milliseconds),
    millijoules: charged.millijoules + share * (table.rest.millijoules - own.rest.millijoules),
  };
}

function tableOf(graph: Graph, layers: readonly Layer[], costs: PlanCosts): Table {
  const names = new Set(layers.map(({ constant }) => constant.name));
  const owners = ownersOf(graph, layers);
  const charged = new Map<string, Charged>([...names].map((name) => [name, { milliseconds: 0, millijoules: 0 }]));
  const rest: Charged = { milliseconds: 0, millijoules: 0 };
  for (const step of costs.steps) {
    const read = step.constants.filter((name) => names.has(name));
    const readers = new Set(read.length > 0 ? read : (owners.get(step.name) ?? []));
    const to = readers.size === 0 ? [rest] : [...readers].map((name) => charged.get(name) ?? rest);
    for (const sums of to) {
      sums.milliseconds += (step.nanoseconds * 1e-6) / to.length;
      sums.millijoules += (step.joules * 1e3) / to.length;
    }
  }
  return { costs, bytes: bytesOf(graph, layers, owners, costs), charged, rest };
}

/**
 * A piece in which several layers are packed together is theirs by their numbers of elements. What an integer product reads has
 * names of its own and belongs to the layers that the product stands for.
 */
function bytesOf(
  graph: Graph,
  layers: readonly Layer[],
  owners: ReadonlyMap<string, readonly string[]>,
  { weights }: PlanCosts,
): ReadonlyMap<string, number> {
  const renamed = new Map<string, readonly string[]>();
  for (const { name, inputs } of graph.nodes)
    for (const value of inputs)
      if (value && graph.constants.has(value) && owners.has(name)) renamed.set(value.name, owners.get(name) ?? []);
  const elements = new Map(layers.map(({ constant, options }) => [constant.name, options[0]?.tensor.data.length ?? 0]));
  const sums = new Map<string, number>();
  for (const { constants, bytes } of weights) {
    const own = [...new Set(constants.flatMap((name) => renamed.get(name) ?? [name]))].filter((name) =>
      elements.has(name),
    );
    const all = own.reduce((sum, name) => sum + (elements.get(name) ?? 0), 0);
    for (const name of own)
      sums.set(name, (sums.get(name) ?? 0) + (bytes * (elements.get(name) ?? 0)) / Math.max(1, all));
  }
  return sums;
}

/** Name of an integer product -> the constants of the layers that it stands for. */
function ownersOf(graph: Graph, layers: readonly Layer[]): ReadonlyMap<string, readonly string[]> {
  const owners = new Map<string, readonly string[]>();
  for (const { op, name, sources } of graph.nodes) {
    if (!op.startsWith("leafcutter.Integer")) continue;
    const named = (names: readonly string[]): readonly Layer[] =>
      layers.filter(({ nodes }) => nodes.some((node) => names.includes(node.name)));
    // Its sources are also those of the quantisation in front of it, which may be another layer's.
    const exact = named([name]);
    const own = exact.length > 0 ? exact : named(sources);
    owners.set(
      name,
      own.map(({ constant }) => constant.name),
    );
  }
  return owners;
}
