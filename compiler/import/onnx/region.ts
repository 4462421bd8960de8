/** Nested graphs of control flow, each built by a builder inside another. */
import type { Value } from "../../graph/graph.ts";
import type { GraphBuilder } from "./graph-builder.ts";
import { labelOf, type PlacedNode, withFreshNames } from "./inline.ts";
import { malformed } from "./message.ts";
import type { OnnxGraph, OpsetVersions } from "./model.ts";

/** A nested graph that has been built. */
export interface Region {
  readonly builder: GraphBuilder;
  readonly name: string;
  readonly outputs: readonly Value[];
}

/** The nested graph that attribute `name` holds. Throws model-invalid when there is none. */
export function nestedGraph(placed: PlacedNode, name: string, where: string): OnnxGraph {
  const attribute = placed.attributes.get(name);
  if (attribute?.kind === "graph") return attribute.value;
  throw malformed(where, `attribute ${name} is missing`, "a graph");
}

/** The operator sets that the nodes of a nested graph follow. */
export const opsetsOf = (builder: GraphBuilder, placed: PlacedNode): OpsetVersions =>
  new Map([...builder.setting.model.opsets, ["", placed.version]]);

/** Builds a nested graph, after `declare` has given its inputs (by their names there) what they are. */
export async function buildRegion(
  around: GraphBuilder,
  placed: PlacedNode,
  graph: OnnxGraph,
  where: string,
  declare: (region: GraphBuilder, inputs: readonly string[]) => void = () => {},
): Promise<Region> {
  const builder = around.region(where);
  try {
    const fresh = withFreshNames(graph, labelOf(placed), around.valueNames);
    declare(
      builder,
      fresh.inputs.map(({ name }) => name),
    );
    await builder.addGraph(fresh, opsetsOf(around, placed));
    return { builder, name: graph.name, outputs: fresh.outputs.map(({ name }) => builder.read(name, where)) };
  } catch (error) {
    around.ask(builder.outerAskedFor);
    throw error;
  }
}
