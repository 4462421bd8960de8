/**
 * Shape and type inference, one node at a time, with the integer content of small tensors carried along as
 * (possibly symbolic) dims. Used by import while a graph grows and by the rewrite driver for new nodes.
 */
import { LeafcutterError } from "../../runtime/format/diagnostic.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import type { Dim } from "../graph/dimension.ts";
import type { Node, TensorType, Value } from "../graph/graph.ts";
import { operatorOf } from "./index.ts";
import type { OperatorContext } from "./operator.ts";

/** Tensors longer than this are data, not shapes: their content is not tracked. */
const longestShape = 64;

/** What is known about values besides their type. */
export interface Facts {
  constant(value: Value): Tensor | undefined;
  /** Integer content, flattened. */
  elements(value: Value): readonly Dim[] | undefined;
}

/** A growing store of facts. */
export class FactStore implements Facts {
  readonly #constants: Map<Value, Tensor>;
  readonly #elements = new Map<Value, readonly Dim[]>();

  constructor(constants: Iterable<readonly [Value, Tensor]> = []) {
    this.#constants = new Map(constants);
  }

  constant(value: Value): Tensor | undefined {
    return this.#constants.get(value);
  }

  elements(value: Value): readonly Dim[] | undefined {
    const known = this.#elements.get(value);
    if (known) return known;
    const tensor = this.#constants.get(value);
    if (!tensor || tensor.data.length > longestShape || !/^u?int/.test(tensor.dtype)) return undefined;
    return Array.from(tensor.data as ArrayLike<number | bigint>, Number);
  }

  setConstant(value: Value, tensor: Tensor): void {
    this.#constants.set(value, tensor);
  }

  setElements(value: Value, elements: readonly Dim[]): void {
    if (elements.length <= longestShape) this.#elements.set(value, elements);
  }
}

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

export interface Inferred {
  readonly types: readonly TensorType[];
  /** Integer content of output 0, when known. */
  readonly elements: readonly Dim[] | undefined;
}

/** Types of a node's outputs (and the integers in output 0 where they follow). The node's own outputs are not looked at. */
export function inferNode(node: Node, facts: Facts): Inferred {
  const operator = operatorOf(node);
  const context = operatorContext(node, facts);
  return { types: operator.infer(context), elements: operator.elements?.(context) };
}
