/**
 * Shape and type inference, one node at a time, with the integer content of small tensors carried along as
 * (possibly symbolic) dims. Used by import while a graph grows and by the rewrite driver for new nodes.
 */
import { LeafcutterError } from "../../runtime/format/diagnostic.ts";
import type { Facts, Inferred } from "../graph/facts.ts";
import type { Node } from "../graph/graph.ts";
import { operatorOf } from "./index.ts";
import type { OperatorContext } from "./operator.ts";

/** What a record may ask about `node`. */
export function operatorContext(node: Node, facts: Facts): OperatorContext {
  const fail = (message: string, expected?: string, received?: string): never => {
    throw new LeafcutterError({
      code: "operator-invalid",
      where: `node ${node.name} (${node.op})`,
      message,
      ...(expected === undefined ? {} : { expected }),
      ...(received === undefined ? {} : { received }),
      advice: "The model file is inconsistent here, or uses a form that Leafcutter does not know.",
    });
  };
  const inputs = node.inputs;
  const context: OperatorContext = {
    node,
    fail,
    type: (index) => inputs[index]?.type ?? fail(`input ${index} is missing`),
    has: (index) => inputs[index] !== undefined,
    constant: (index) => (inputs[index] ? facts.constant(inputs[index]) : undefined),
    elements: (index) => (inputs[index] ? facts.elements(inputs[index]) : undefined),
    integers: (name, index) => {
      if (inputs[index]) return facts.elements(inputs[index]);
      const attribute = node.attributes[name];
      if (attribute?.kind === "integers" || attribute?.kind === "dims") return attribute.value;
      return attribute?.kind === "integer" ? [attribute.value] : undefined;
    },
  };
  return context;
}

/** Types of a node's outputs (and the integers in output 0 where they follow). Of the node's own outputs only the number counts. */
export function inferNode(node: Node, facts: Facts): Inferred {
  const operator = operatorOf(node);
  const context = operatorContext(node, facts);
  return { types: operator.infer(context), elements: operator.elements?.(context) };
}
