/**
 * Replaces calls of functions that the model itself defines by their bodies, and gives every node the version of its
 * operator set. Throws model-invalid for a function that calls itself and for a body that grows without end.
 */
import { FreshNames } from "./fresh-name.ts";
import { malformed } from "./message.ts";
import type {
  OnnxAttributes,
  OnnxAttributeValue,
  OnnxFunction,
  OnnxGraph,
  OnnxModel,
  OnnxNode,
  OpsetVersions,
} from "./model.ts";
import { namesDefined } from "./order.ts";

/** A node of the flat model. */
export interface PlacedNode extends OnnxNode {
  /** Version of the operator set that the node follows. */
  readonly version: number;
}

/** What a node is called in errors and in the graph. */
export const labelOf = (node: PlacedNode): string =>
  node.name || node.outputs.find((name) => name !== "") || node.opType;

/** A few small functions that call each other twice can spell any number of nodes. */
const mostNodes = 200_000;

const functionKey = ({ domain, overload }: OnnxNode | OnnxFunction, name: string): string =>
  JSON.stringify([domain, name, overload]);

/** The nodes of the model's graph, functions inlined; `names` knows every name that is taken. */
export function inlineFunctions(
  model: OnnxModel,
  names: FreshNames = new FreshNames(namesDefined(model.graph)),
): readonly PlacedNode[] {
  const functions = new Map(
    model.functions.map((definition) => [functionKey(definition, definition.name), definition]),
  );
  const placed: PlacedNode[] = [];

  const place = (node: OnnxNode, opsets: OpsetVersions, callers: readonly string[]): void => {
    const key = functionKey(node, node.opType);
    const definition = functions.get(key);
    if (!definition) {
      if (placed.length >= mostNodes)
        throw malformed("graph", "the functions of the model expand to too many nodes", `at most ${mostNodes}`);
      placed.push({ ...node, version: opsets.get(node.domain) ?? 1 });
      return;
    }
    if (callers.includes(key)) throw malformed(`function ${definition.name}`, "the function calls itself");
    const rename = callNames(definition, node, names);
    for (const inner of definition.nodes)
      place(instantiate(inner, rename, attributesOfCall(definition, node)), definition.opsets, [...callers, key]);
    for (const identity of passedThrough(definition, node)) place(identity, model.opsets, callers);
  };
  for (const node of model.graph.nodes) place(node, model.opsets, []);
  return placed;
}

/** What each name inside the function is called at this call. */
function callNames(definition: OnnxFunction, call: OnnxNode, fresh: FreshNames): (name: string) => string {
  const names = new Map<string, string>([["", ""]]);
  definition.outputs.forEach((name, index) => {
    const outside = call.outputs[index];
    if (outside) names.set(name, outside);
  });
  definition.inputs.forEach((name, index) => {
    names.set(name, call.inputs[index] ?? "");
  });
  const prefix = call.outputs.find((name) => name !== "") ?? call.name;
  return (name) => {
    const known = names.get(name);
    if (known !== undefined) return known;
    const inner = fresh.take(`${prefix}/${name}`);
    names.set(name, inner);
    return inner;
  };
}

function attributesOfCall(definition: OnnxFunction, call: OnnxNode): OnnxAttributes {
  const declared = new Set([...definition.parameters, ...definition.defaults.keys()]);
  return new Map([...definition.defaults, ...[...call.attributes].filter(([name]) => declared.has(name))]);
}

/** Outputs of the function that are its inputs become Identity nodes. */
function passedThrough(definition: OnnxFunction, call: OnnxNode): readonly OnnxNode[] {
  return definition.outputs.flatMap((name, index) => {
    const source = call.inputs[definition.inputs.indexOf(name)];
    const target = call.outputs[index];
    if (!definition.inputs.includes(name) || !source || !target) return [];
    return [
      {
        ...call,
        opType: "Identity",
        domain: "",
        overload: "",
        inputs: [source],
        outputs: [target],
        attributes: new Map(),
      },
    ];
  });
}

/** A node of the body with the call's names and attribute values. */
function instantiate(node: OnnxNode, rename: (name: string) => string, values: OnnxAttributes): OnnxNode {
  const attributes = new Map<string, OnnxAttributeValue>();
  for (const [name, attribute] of node.attributes) {
    const value = attribute.kind === "reference" ? values.get(attribute.value) : attribute;
    // A parameter that neither the call nor the function gives a value: the attribute is absent.
    if (value)
      attributes.set(
        name,
        value.kind === "graph" ? { kind: "graph", value: instantiateGraph(value.value, rename, values) } : value,
      );
  }
  return {
    ...node,
    name: node.name && rename(node.name),
    inputs: node.inputs.map(rename),
    outputs: node.outputs.map(rename),
    attributes,
  };
}

function instantiateGraph(graph: OnnxGraph, rename: (name: string) => string, values: OnnxAttributes): OnnxGraph {
  const own = namesDefined(graph);
  const inside = (name: string): string => (own.has(name) ? name : rename(name));
  return {
    ...graph,
    nodes: graph.nodes.map((node) => instantiate(node, inside, values)),
    outputs: graph.outputs.map((output) => ({ ...output, name: inside(output.name) })),
  };
}

/** The graph with fresh names for all that it defines, so that its nodes can stand in the graph around it. */
export function withFreshNames(graph: OnnxGraph, prefix: string, names: FreshNames): OnnxGraph {
  const fresh = new Map([...namesDefined(graph)].map((name) => [name, names.take(`${prefix}/${name}`)]));
  const rename = (name: string): string => fresh.get(name) ?? name;
  return {
    ...graph,
    nodes: graph.nodes.map((node) => instantiate(node, rename, new Map())),
    initializers: graph.initializers.map((tensor) => ({ ...tensor, name: rename(tensor.name) })),
    inputs: graph.inputs.map((input) => ({ ...input, name: rename(input.name) })),
    outputs: graph.outputs.map((output) => ({ ...output, name: rename(output.name) })),
  };
}
