/**
 * What is known about values besides their type, and the shape of the type rule. The graph layer takes the rule
 * as an argument (it is `inferNode` of ops/infer.ts), so that it need not know any operator.
 */
import type { Tensor } from "../../runtime/format/tensor.ts";
import type { Dim } from "./dimension.ts";
import type { Node, TensorType, Value } from "./graph.ts";

/** Tensors longer than this are data, not shapes: their content is not tracked. */
export const longestShape = 64;

/** What is known about values besides their type. */
export interface Facts {
  constant(value: Value): Tensor | undefined;
  /** Integer content, flattened. */
  elements(value: Value): readonly Dim[] | undefined;
}

export interface Inferred {
  readonly types: readonly TensorType[];
  /** Integer content of output 0, when known. */
  readonly elements: readonly Dim[] | undefined;
}

/** Types of a node's outputs from its inputs; of the node's own outputs only the number counts. */
export type TypeRule = (node: Node, facts: Facts) => Inferred;

/** The integers in a constant, when it is short enough to be a shape. */
export function elementsOfTensor(tensor: Tensor): readonly Dim[] | undefined {
  if (tensor.data.length > longestShape || !/^u?int/.test(tensor.dtype)) return undefined;
  return Array.from(tensor.data as ArrayLike<number | bigint>, Number);
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
    return tensor && elementsOfTensor(tensor);
  }

  setConstant(value: Value, tensor: Tensor): void {
    this.#constants.set(value, tensor);
  }

  setElements(value: Value, elements: readonly Dim[]): void {
    if (elements.length <= longestShape) this.#elements.set(value, elements);
  }
}
