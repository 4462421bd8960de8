/**
 * Nested graphs in passes: nodes that hold graphs are opaque to every other pass, and their graphs are optimised on
 * their own. Here is what stands between: constants go inside, what no nested graph reads is no longer taken inside.
 */
import type { Tensor } from "../../runtime/format/tensor.ts";
import type { Attribute, Graph, Node, Value } from "../graph/graph.ts";
import { loopInputs } from "../ops/control/loop.ts";

/** Whether the node holds graphs. */
export const isRegion = (node: Node): boolean => Object.values(node.attributes).some(({ kind }) => kind === "graph");

/** How many inputs of the node are its own; the others are what its graphs take from outside. */
const ownInputs = (node: Node): number => (node.op === "If" ? 1 : 2 + loopInputs(node).carried);

/** `graph` with each nested graph replaced by what `optimise` makes of it, constants of `graph` included. */
export function mapRegions(graph: Graph, optimise: (nested: Graph) => Graph): Graph {
  if (!graph.nodes.some(isRegion)) return graph;
  return { ...graph, nodes: graph.nodes.map((node) => (isRegion(node) ? mapRegion(node, graph, optimise) : node)) };
}

function mapRegion(node: Node, graph: Graph, optimise: (nested: Graph) => Graph): Node {
  const own = ownInputs(node);
  const captured = node.inputs.slice(own);
  const tensors = captured.map((value) => value && graph.constants.get(value));
  const optimised = mapGraphs(node, (nested) => optimise(withConstants(nested, captured, tensors)));
  const isRead = captured.map((_, index) => {
    if (tensors[index]) return false;
    return graphsOf(optimised).some((nested) => {
      const input = nested.inputs[nested.inputs.length - captured.length + index];
      return input !== undefined && reads(nested, input);
    });
  });
  const kept = mapGraphs(optimised, (nested) => {
    const declared = nested.inputs.length - captured.length;
    return { ...nested, inputs: nested.inputs.filter((_, index) => index < declared || isRead[index - declared]) };
  });
  return { ...kept, inputs: [...node.inputs.slice(0, own), ...captured.filter((_, index) => isRead[index])] };
}

const graphsOf = (node: Node): readonly Graph[] =>
  Object.values(node.attributes).flatMap((attribute) => (attribute.kind === "graph" ? [attribute.value] : []));

function mapGraphs(node: Node, change: (graph: Graph) => Graph): Node {
  const attributes = Object.entries(node.attributes).map(([name, attribute]): [string, Attribute] => [
    name,
    attribute.kind === "graph" ? { kind: "graph", value: change(attribute.value) } : attribute,
  ]);
  return { ...node, attributes: Object.fromEntries(attributes) };
}

const reads = (graph: Graph, value: Value): boolean =>
  graph.nodes.some(({ inputs }) => inputs.includes(value)) || graph.outputs.some((output) => output.value === value);

/** Inputs whose value is constant outside are constants inside too; the input itself stays, unread. */
function withConstants(
  graph: Graph,
  captured: readonly (Value | undefined)[],
  tensors: readonly (Tensor | undefined)[],
): Graph {
  const declared = graph.inputs.length - captured.length;
  const constants = new Map(graph.constants);
  const stands = new Map<Value, Value>();
  tensors.forEach((tensor, index) => {
    const outer = captured[index];
    const input = graph.inputs[declared + index];
    if (!tensor || !outer || !input) return;
    constants.set(outer, tensor);
    stands.set(input, outer);
  });
  if (stands.size === 0) return graph;
  const here = (value: Value): Value => stands.get(value) ?? value;
  const inputs = graph.inputs.map((input) =>
    stands.has(input) ? { name: `${input.name} unread`, type: input.type } : input,
  );
  const nodes = graph.nodes.map((node) => ({ ...node, inputs: node.inputs.map((value) => value && here(value)) }));
  const outputs = graph.outputs.map(({ name, value }) => ({ name, value: here(value) }));
  return { ...graph, inputs, constants, nodes, outputs };
}
