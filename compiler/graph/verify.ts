/**
 * Checks what every pass may rely on and must keep:
 * - every value has one producer: a graph input, a constant or one output of one node;
 * - nodes stand in topological order: an operand is produced earlier;
 * - names of values are unique, and so are names of nodes;
 * - a constant's tensor has the element type, shape and number of elements of its type; storage has one scale an index or block;
 * - the type of every node output is the one that inference gives;
 * - every symbol that occurs in a shape or a "dims" attribute has bounds;
 * - outputs of the graph are produced, and their names differ.
 */
import { LeafcutterError } from "../../runtime/format/diagnostic.ts";
import { elementCount, type Tensor } from "../../runtime/format/tensor.ts";
import { blockShape, isBlockStorage } from "./blocks.ts";
import { type Dim, formatDim, symbolsOf } from "./dimension.ts";
import { FactStore, type TypeRule } from "./facts.ts";
import type { Graph, Node, TensorType, Value } from "./graph.ts";

/** Throws an internal error that names `stage` and the value or node at fault. */
export function verifyGraph(graph: Graph, rule: TypeRule, stage: string): void {
  const fail = (where: string, message: string, expected?: string, received?: string): never => {
    throw new LeafcutterError({
      code: "internal",
      where: `after ${stage}: ${where}`,
      message,
      ...(expected === undefined ? {} : { expected }),
      ...(received === undefined ? {} : { received }),
    });
  };
  const produced = new Set<Value>();
  const valueNames = new Set<string>();
  const nodeNames = new Set<string>();
  const facts = new FactStore(graph.constants);

  const declare = (value: Value, by: string): void => {
    if (produced.has(value)) fail(by, `value ${value.name} is produced twice`);
    if (valueNames.has(value.name)) fail(by, `the name ${value.name} belongs to two values`);
    produced.add(value);
    valueNames.add(value.name);
    checkSymbols(value.type.shape, `value ${value.name}`);
  };
  const checkSymbols = (dims: readonly Dim[], where: string): void => {
    for (const symbol of dims.flatMap(symbolsOf))
      if (!graph.symbols.has(symbol)) fail(where, `symbol ${symbol} has no bounds`);
  };

  for (const input of graph.inputs) declare(input, "inputs");
  for (const [value, tensor] of graph.constants) {
    declare(value, "constants");
    const problem = constantProblem(value, tensor);
    if (problem) fail(`constant ${value.name}`, problem, formatType(value.type), formatType(tensor));
  }
  for (const node of graph.nodes) {
    const where = `node ${node.name} (${node.op})`;
    if (nodeNames.has(node.name)) fail(where, "the name belongs to two nodes");
    nodeNames.add(node.name);
    for (const value of node.inputs)
      if (value && !produced.has(value)) fail(where, `operand ${value.name} is not produced earlier`);
    for (const attribute of Object.values(node.attributes))
      if (attribute.kind === "dims") checkSymbols(attribute.value, where);
    checkTypes(node, where);
    for (const output of node.outputs) declare(output, where);
  }
  const outputNames = new Set<string>();
  for (const { name, value } of graph.outputs) {
    if (!produced.has(value)) fail(`output ${name}`, `value ${value.name} is not produced`);
    if (outputNames.has(name)) fail(`output ${name}`, "two outputs have this name");
    outputNames.add(name);
  }

  function checkTypes(node: Node, where: string): void {
    const { types, elements } = rule(node, facts);
    node.outputs.forEach((output, index) => {
      const inferred = types[index];
      if (!inferred) fail(where, `inference gives no type for output ${index}`);
      else if (formatType(inferred) !== formatType(output.type))
        fail(
          where,
          `output ${index} has another type than inference gives`,
          formatType(inferred),
          formatType(output.type),
        );
    });
    const [first] = node.outputs;
    if (first && elements) facts.setElements(first, elements);
  }
}

function constantProblem(value: Value, tensor: Tensor): string | undefined {
  const { dtype, shape, storage } = value.type;
  if (dtype !== tensor.dtype || shape.join() !== tensor.shape.join())
    return "the tensor has another type than the value";
  if (tensor.data.length !== elementCount(tensor.shape)) return `the tensor has ${tensor.data.length} elements`;
  if (!storage || storage.kind === "float16") return undefined;
  const blocks = isBlockStorage(storage);
  const scales = blocks ? elementCount(blockShape(tensor.shape, storage)) : tensor.shape[storage.axis];
  if (storage.scales.length !== scales) return `the storage has ${storage.scales.length} scales`;
  if (blocks && storage.zeros && (storage.kind === "nf4" || storage.zeros.length !== scales))
    return `the storage has ${storage.zeros.length} zeros`;
  return undefined;
}

const formatType = ({ dtype, shape }: Pick<TensorType, "dtype" | "shape">): string =>
  `${dtype}[${shape.map(formatDim).join(", ")}]`;
