/** Nodes in topological order: each after the producers of what it reads. Throws model-invalid for a cycle. */
import { malformed } from "./message.ts";
import type { OnnxGraph, OnnxNode } from "./model.ts";

/** Every name that a node reads, those that graphs in its attributes take from outside included. */
export function namesRead(node: OnnxNode): readonly string[] {
  const names = node.inputs.filter((name) => name !== "");
  for (const attribute of node.attributes.values())
    if (attribute.kind === "graph") names.push(...namesCaptured(attribute.value));
  return names;
}

function namesCaptured(graph: OnnxGraph): readonly string[] {
  const own = namesDefined(graph);
  return [...graph.nodes.flatMap(namesRead), ...graph.outputs.map(({ name }) => name)].filter((name) => !own.has(name));
}

/** Names of the inputs, initialisers and node outputs of a graph. */
export function namesDefined(graph: OnnxGraph): ReadonlySet<string> {
  const own = new Set([...graph.inputs.map(({ name }) => name), ...graph.initializers.map(({ name }) => name)]);
  for (const node of graph.nodes) for (const name of node.outputs) if (name !== "") own.add(name);
  return own;
}

/** The nodes in order; the file's own order is kept where it is one. `describe` names a node in the error. */
export function inTopologicalOrder<N extends OnnxNode>(
  nodes: readonly N[],
  describe: (node: N) => string,
): readonly N[] {
  const producer = new Map<string, number>();
  nodes.forEach((node, index) => {
    for (const name of node.outputs) if (name !== "") producer.set(name, index);
  });
  const waitingFor = nodes.map((node) => new Set(namesRead(node).flatMap((name) => producer.get(name) ?? [])));
  if (waitingFor.every((producers, index) => [...producers].every((other) => other < index))) return nodes;

  const consumers = nodes.map((): number[] => []);
  waitingFor.forEach((producers, index) => {
    for (const other of producers) consumers[other]?.push(index);
  });
  const ready = waitingFor.flatMap((producers, index) => (producers.size === 0 ? [index] : []));
  const order: N[] = [];
  for (const index of ready) {
    const node = nodes[index];
    if (node) order.push(node);
    for (const consumer of consumers[index] ?? []) {
      const producers = waitingFor[consumer];
      producers?.delete(index);
      if (producers?.size === 0) ready.push(consumer);
    }
  }
  if (order.length === nodes.length) return order;
  const stuck = nodes.find((_, index) => (waitingFor[index]?.size ?? 0) > 0);
  throw malformed(stuck ? describe(stuck) : "graph", "the nodes read each other in a cycle", "an acyclic graph");
}
