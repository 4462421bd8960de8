/** Executes a graph by the reference functions of its operators: what a graph means, whatever passes made of it. */
import { evaluateDim } from "../../compiler/graph/dimension.ts";
import type { Attribute, Graph, Node, Value } from "../../compiler/graph/graph.ts";
import { referenceAttributes } from "../../compiler/ops/attributes.ts";
import { operatorOf } from "../../compiler/ops/index.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";

/** Outputs by name. Every symbol must have a value in `bindings`. */
export function evaluateGraph(
  graph: Graph,
  inputs: Readonly<Record<string, Tensor>>,
  bindings: ReadonlyMap<string, number> = new Map(),
): Readonly<Record<string, Tensor>> {
  const tensors = new Map<Value, Tensor>(graph.constants);
  for (const input of graph.inputs) {
    const tensor = inputs[input.name];
    if (!tensor) throw new Error(`input ${input.name} is missing`);
    tensors.set(input, tensor);
  }
  for (const node of graph.nodes) {
    const results = operatorOf(node).reference({
      inputs: node.inputs.map((value) => (value ? tensors.get(value) : undefined)),
      attributes: referenceAttributes(bound(node, bindings)),
      version: node.version,
      outputCount: node.outputs.length,
    });
    node.outputs.forEach((output, index) => {
      const tensor = results[index];
      if (!tensor) throw new Error(`node ${node.name} (${node.op}) gives no output ${index}`);
      const shape = output.type.shape.map((dim) => evaluateDim(dim, bindings));
      if (tensor.dtype !== output.type.dtype || tensor.shape.join() !== shape.join())
        throw new Error(
          `node ${node.name} (${node.op}) gives ${tensor.dtype}[${tensor.shape}], inferred ${output.type.dtype}[${shape}]`,
        );
      tensors.set(output, tensor);
    });
  }
  return Object.fromEntries(graph.outputs.map(({ name, value }) => [name, tensors.get(value) as Tensor]));
}

function bound(node: Node, bindings: ReadonlyMap<string, number>): Node {
  const attributes = Object.entries(node.attributes).map(([name, attribute]): [string, Attribute] =>
    attribute.kind === "dims"
      ? [name, { kind: "dims", value: attribute.value.map((dim) => evaluateDim(dim, bindings)) }]
      : [name, attribute],
  );
  return { ...node, attributes: Object.fromEntries(attributes) };
}
