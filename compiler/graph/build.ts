/**
 * Builds a graph node by node: types come from the type rule, names are made unique, integer content is tracked
 * for shape arithmetic. Used by import and by tests.
 */
import type { DType } from "../../runtime/format/dtype.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import type { Dim } from "./dimension.ts";
import { FactStore, type TypeRule } from "./facts.ts";
import type { Attributes, Graph, Node, Storage, Value } from "./graph.ts";

export interface NodeOptions {
  /** `<op>_<number>` unless given. */
  readonly name?: string;
  readonly version?: number;
  /** Names of the outputs; for operators whose number of outputs is the node's choice (Split), how many. */
  readonly outputs?: readonly string[];
}

/** The default operator set version of built nodes. */
const latestVersion = 21;

export class GraphBuilder {
  readonly facts = new FactStore();
  readonly #name: string;
  readonly #rule: TypeRule;
  readonly #symbols = new Map<string, { readonly name: string; readonly lower: number; readonly upper: number }>();
  readonly #inputs: Value[] = [];
  readonly #outputs: { readonly name: string; readonly value: Value }[] = [];
  readonly #constants = new Map<Value, Tensor>();
  readonly #nodes: Node[] = [];
  readonly #names = new Set<string>();
  readonly #nodeNames = new Set<string>();

  constructor(name: string, rule: TypeRule) {
    this.#name = name;
    this.#rule = rule;
  }

  symbol(name: string, lower: number, upper: number): Dim {
    this.#symbols.set(name, { name, lower, upper });
    return name;
  }

  input(name: string, dtype: DType, shape: readonly Dim[]): Value {
    const value: Value = { name: this.#unique(name, this.#names), type: { dtype, shape } };
    this.#inputs.push(value);
    return value;
  }

  constant(name: string, tensor: Tensor, storage?: Storage): Value {
    const type = { dtype: tensor.dtype, shape: tensor.shape, ...(storage ? { storage } : {}) };
    const value: Value = { name: this.#unique(name, this.#names), type };
    this.#constants.set(value, tensor);
    this.facts.setConstant(value, tensor);
    return value;
  }

  /** A node with one output. */
  add(
    op: string,
    inputs: readonly (Value | undefined)[],
    attributes: Attributes = {},
    options: NodeOptions = {},
  ): Value {
    return this.addNode(op, inputs, attributes, options)[0] as Value;
  }

  /** A node with any number of outputs. */
  addNode(
    op: string,
    inputs: readonly (Value | undefined)[],
    attributes: Attributes = {},
    options: NodeOptions = {},
  ): readonly Value[] {
    const name = this.#unique(options.name ?? `${op}_${this.#nodes.length}`, this.#nodeNames);
    const placeholders = (options.outputs ?? []).map(
      (output): Value => ({ name: output, type: { dtype: "float32", shape: [] } }),
    );
    const untyped: Node = {
      op,
      version: options.version ?? latestVersion,
      name,
      sources: [name],
      inputs: inputs.slice(0, inputs.findLastIndex((value) => value !== undefined) + 1),
      outputs: placeholders,
      attributes,
    };
    const { types, elements } = this.#rule(untyped, this.facts);
    const outputs = types.map((type, index): Value => {
      const wish = options.outputs?.[index] ?? (index === 0 ? `${name}:out` : `${name}:out${index}`);
      return { name: this.#unique(wish, this.#names), type };
    });
    const [first] = outputs;
    if (first && elements) this.facts.setElements(first, elements);
    this.#nodes.push({ ...untyped, outputs });
    return outputs;
  }

  output(name: string, value: Value): void {
    this.#outputs.push({ name, value });
  }

  finish(): Graph {
    return {
      name: this.#name,
      symbols: this.#symbols,
      inputs: this.#inputs,
      outputs: this.#outputs,
      constants: this.#constants,
      nodes: this.#nodes,
    };
  }

  #unique(wish: string, taken: Set<string>): string {
    let name = wish;
    for (let number = 2; taken.has(name); number++) name = `${wish}.${number}`;
    taken.add(name);
    return name;
  }
}
