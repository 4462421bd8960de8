/** The same graph with other tensors and storages for some of its constants. Names stay. */
import type { Tensor } from "../../runtime/format/tensor.ts";
import type { Graph, Storage, Value } from "../graph/graph.ts";

export interface StoredTensor {
  readonly tensor: Tensor;
  /** Stored as its element type when undefined. */
  readonly storage: Storage | undefined;
}

/** `replacements` are by constant; a constant without one stays as it is. */
export function replaceConstants(graph: Graph, replacements: ReadonlyMap<Value, StoredTensor>): Graph {
  const values = new Map<Value, Value>();
  const constants = new Map<Value, Tensor>();
  for (const [value, tensor] of graph.constants) {
    const replacement = replacements.get(value);
    if (!replacement) {
      constants.set(value, tensor);
      continue;
    }
    const { dtype, shape } = value.type;
    const { storage } = replacement;
    const replaced: Value = { name: value.name, type: { dtype, shape, ...(storage ? { storage } : {}) } };
    values.set(value, replaced);
    constants.set(replaced, replacement.tensor);
  }
  const nodes = graph.nodes.map((node) =>
    node.inputs.some((value) => value && values.has(value))
      ? { ...node, inputs: node.inputs.map((value) => value && (values.get(value) ?? value)) }
      : node,
  );
  const outputs = graph.outputs.map(({ name, value }) => ({ name, value: values.get(value) ?? value }));
  return { ...graph, constants, nodes, outputs };
}
