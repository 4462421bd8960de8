/**
 * Makes equal computations one: nodes with the same operator, attributes and operands, and constants with the same
 * content. Profits: exporters that repeat shape arithmetic, positional encodings, slices and shared weights.
 */
import type { Tensor } from "../../runtime/format/tensor.ts";
import type { Attribute, Graph, Node, Storage, Value } from "../graph/graph.ts";
import { removeDead } from "../graph/rewrite.ts";
import { inferNode } from "../ops/infer.ts";
import type { Pass } from "./pass.ts";

export const mergeDuplicates: Pass = {
  name: "merge-duplicates",
  reason: "equal computations and equal constants exist once",
  run: merge,
};

const random = /^(Random|Bernoulli|Multinomial)/;

function merge(graph: Graph): Graph {
  const substitutes = equalConstants(graph);
  const standFor = (value: Value): Value => substitutes.get(value) ?? value;
  const numbers = new Map<Value, number>();
  const numberOf = (value: Value | undefined): number => {
    if (!value) return -1;
    const number = numbers.get(value) ?? numbers.size;
    numbers.set(value, number);
    return number;
  };
  const seen = new Map<string, Node>();
  const nodes: Node[] = [];
  for (const original of graph.nodes) {
    const node = original.inputs.some((value) => value && substitutes.has(value))
      ? { ...original, inputs: original.inputs.map((value) => value && standFor(value)) }
      : original;
    const key = random.test(node.op)
      ? undefined
      : `${node.op} ${node.version} ${node.outputs.length} ${node.inputs.map(numberOf).join()} ${attributesKey(node, numberOf)}`;
    const first = key === undefined ? undefined : seen.get(key);
    if (first)
      for (const [index, output] of node.outputs.entries()) substitutes.set(output, first.outputs[index] as Value);
    else {
      if (key !== undefined) seen.set(key, node);
      nodes.push(node);
    }
  }
  if (substitutes.size === 0) return graph;
  const outputs = graph.outputs.map(({ name, value }) => ({ name, value: standFor(value) }));
  return removeDead({ ...graph, nodes, outputs }, inferNode);
}

/** Tensors inside attributes count by identity: equal ones are rare and never large. */
function attributesKey(node: Node, numberOf: (value: Value) => number): string {
  const entries = Object.entries(node.attributes).sort(([a], [b]) => (a < b ? -1 : 1));
  return entries
    .map(
      ([name, attribute]) =>
        `${name}=${attribute.kind}:${isOpaque(attribute) ? numberOf(attribute.value as unknown as Value) : JSON.stringify(attribute.value)}`,
    )
    .join(";");
}

const isOpaque = (attribute: Attribute): boolean => attribute.kind === "tensor" || attribute.kind === "graph";

/** Later constants with the content of an earlier one. */
function equalConstants(graph: Graph): Map<Value, Value> {
  const groups = new Map<string, Value[]>();
  const substitutes = new Map<Value, Value>();
  const bytes = (tensor: Tensor): Uint8Array =>
    new Uint8Array(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength);
  for (const [value, tensor] of graph.constants) {
    const content = bytes(tensor);
    const key = `${tensor.dtype} ${tensor.shape.join()} ${value.type.storage?.kind ?? ""} ${fingerprint(content)}`;
    const group = groups.get(key);
    if (!group) {
      groups.set(key, [value]);
      continue;
    }
    const equal = group.find(
      (other) =>
        sameBytes(bytes(graph.constants.get(other) as Tensor), content) &&
        sameStorage(value.type.storage, other.type.storage),
    );
    if (equal) substitutes.set(value, equal);
    else group.push(value);
  }
  return substitutes;
}

const sameStorage = (left: Storage | undefined, right: Storage | undefined): boolean =>
  left === right || JSON.stringify(left) === JSON.stringify(right);

/** FNV-1a over at most 4096 bytes, spread over the content. */
function fingerprint(content: Uint8Array): number {
  const step = Math.max(1, Math.floor(content.length / 4096));
  let hash = 0x811c9dc5;
  for (let index = 0; index < content.length; index += step)
    hash = Math.imul(hash ^ (content[index] as number), 0x01000193);
  return hash >>> 0;
}

function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  if (left.length !== right.length) return false;
  for (let index = 0; index < left.length; index++) if (left[index] !== right[index]) return false;
  return true;
}
