/**
 * The nodes and constants of a graph while it grows, and what follows from them: types of outputs by the operators' rules,
 * values where they come from constants and shapes. What a rule asks for and is not known is remembered, because a fixed
 * input could decide it.
 */
import { LeafcutterError } from "../../../runtime/format/diagnostic.ts";
import { type Tensor, tensorOf } from "../../../runtime/format/tensor.ts";
import type { Dim } from "../../graph/dimension.ts";
import { FactStore, type Facts, type Inferred } from "../../graph/facts.ts";
import type { Node, Value } from "../../graph/graph.ts";
import { inferNode } from "../../ops/infer.ts";
import { computeKnown } from "./known-value.ts";

export class GrowingGraph implements Facts {
  readonly #constants = new Map<Value, Tensor>();
  readonly #facts = new FactStore();
  #nodes: Node[] = [];
  #askedFor: ReadonlySet<Value> = new Set();

  get constants(): ReadonlyMap<Value, Tensor> {
    return this.#constants;
  }

  get nodes(): readonly Node[] {
    return this.#nodes;
  }

  /** Behind its producers. `elements`: integer content of its first output, when known. */
  add(node: Node, elements?: readonly Dim[]): void {
    this.#nodes.push(node);
    if (node.outputs[0] && elements) this.#facts.setElements(node.outputs[0], elements);
  }

  setConstant(value: Value, tensor: Tensor): void {
    this.#constants.set(value, tensor);
    this.#facts.setConstant(value, tensor);
  }

  constant(value: Value): Tensor | undefined {
    return this.#facts.constant(value);
  }

  elements(value: Value): readonly Dim[] | undefined {
    return this.#facts.elements(value);
  }

  producers(): ReadonlyMap<Value, Node> {
    return new Map(this.#nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)));
  }

  /** What `value` comes to, when that follows from constants and shapes; it is then a constant. */
  known(value: Value): Tensor | undefined {
    const constant = this.constant(value);
    if (constant) return constant;
    const { dtype, shape } = value.type;
    const elements = this.elements(value);
    if (elements?.every((element) => typeof element === "number") && shape.every((dim) => typeof dim === "number"))
      return tensorOf(dtype, shape, elements);
    return this.#compute(value) ? this.constant(value) : undefined;
  }

  /** Values that the latest type rule asked for and that are not known. */
  get askedFor(): ReadonlySet<Value> {
    return this.#askedFor;
  }

  /** A rule of a graph inside this one asked for these values. */
  ask(values: Iterable<Value>): void {
    this.#askedFor = new Set(values);
  }

  /** What is not known of all that `askedFor` comes from. */
  get unknown(): ReadonlySet<Value> {
    const producers = this.producers();
    const seen = new Set<Value>();
    const visit = (value: Value): void => {
      if (seen.has(value) || this.constant(value) || this.elements(value)) return;
      seen.add(value);
      for (const input of producers.get(value)?.inputs ?? []) if (input) visit(input);
    };
    for (const value of this.#askedFor) visit(value);
    return seen;
  }

  /** Throws operator-invalid or what the operator's rule throws. */
  infer(head: Omit<Node, "outputs">, outputNames: readonly string[], where: string): Inferred {
    // Rules may ask how many outputs there are, not what they are.
    const outputs = outputNames.map((name): Value => ({ name, type: { dtype: "float32", shape: [] } }));
    const askedFor = new Set<Value>();
    this.#askedFor = askedFor;
    const noting = <T>(value: Value, fact: T | undefined): T | undefined => {
      if (fact === undefined) askedFor.add(value);
      return fact;
    };
    const facts: Facts = {
      constant: (value) => noting(value, this.constant(value)),
      elements: (value) => noting(value, this.elements(value)),
    };
    try {
      return inferNode({ ...head, outputs }, facts);
    } catch (cause) {
      if ([...askedFor].map((value) => this.#compute(value)).includes(true))
        return this.infer(head, outputNames, where);
      if (cause instanceof LeafcutterError) throw cause;
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new LeafcutterError(
        {
          code: "operator-invalid",
          where,
          message: `the types of the node do not work out (${reason})`,
          advice: "The model file is inconsistent here.",
        },
        { cause },
      );
    }
  }

  /** Replaces the nodes behind `value` by their results, when they follow from what is known. */
  #compute(value: Value): boolean {
    const computed = computeKnown(value, this.producers(), this);
    if (!computed || computed.size === 0) return false;
    for (const [node, results] of computed)
      node.outputs.forEach((output, index) => {
        const tensor = results[index];
        if (tensor) this.setConstant(output, tensor);
      });
    this.#nodes = this.#nodes.filter((node) => !computed.has(node));
    return true;
  }
}
