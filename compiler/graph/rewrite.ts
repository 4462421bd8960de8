/**
 * The one rewrite driver. A rewrite looks at one node at a time, in topological order, and answers with the values
 * that take the place of its outputs; the driver repeats until nothing changes.
 *
 * - New nodes stand where the visited node stood, so the order stays topological: match a pattern at its last node.
 * - A new node whose type equals that of the output it replaces takes over the Value itself, hence its name.
 * - Nodes that are no longer needed disappear at once; their sources go to the node that replaced them.
 * - Near linear: a node is visited again only when its surroundings changed, plus one sweep to confirm the end.
 */
import { LeafcutterError } from "../../runtime/format/diagnostic.ts";
import type { SymbolBound } from "../../runtime/format/extent.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import { type Dim, sameShape } from "./dimension.ts";
import { elementsOfTensor, type Facts, longestShape, type TypeRule } from "./facts.ts";
import type { Attributes, Graph, Node, Storage, TensorType, Value } from "./graph.ts";

export interface EmitOptions {
  /** Wish for the node's name; that of the visited node unless given. */
  readonly name?: string;
  /** Operator set version; that of the visited node unless given. */
  readonly version?: number;
  /** For operators whose number of outputs is the node's choice (Split). */
  readonly outputCount?: number;
}

/** What a rewrite may ask and do. Answers are those of the moment: replaced nodes are gone. */
export interface RewriteContext extends Facts {
  readonly symbols: ReadonlyMap<string, SymbolBound>;
  producer(value: Value): Node | undefined;
  consumers(value: Value): readonly Node[];
  isOutput(value: Value): boolean;
  /** Whether `value` has no other use than `consumer`. */
  isOnlyUse(value: Value, consumer: Node): boolean;
  /** A new node with one output. Types are inferred. */
  emit(op: string, inputs: readonly (Value | undefined)[], attributes?: Attributes, options?: EmitOptions): Value;
  /** A new node with any number of outputs. */
  emitNode(
    op: string,
    inputs: readonly (Value | undefined)[],
    attributes?: Attributes,
    options?: EmitOptions,
  ): readonly Value[];
  /** A new constant. */
  addConstant(name: string, tensor: Tensor, storage?: Storage): Value;
}

/** One value per output of `node` (undefined for one that nobody uses), or undefined to leave the node alone. */
export type Rewrite = (node: Node, context: RewriteContext) => readonly (Value | undefined)[] | Value | undefined;

interface Cell {
  node: Node;
  previous: Cell | undefined;
  next: Cell | undefined;
  dirty: boolean;
  removed: boolean;
}

/** Applies `rewrite` until nothing changes. Returns `graph` itself when it never applied and nothing was dead. */
export function rewriteNodes(graph: Graph, rule: TypeRule, rewrite: Rewrite, passName = "rewrite"): Graph {
  return new Rewriter(graph, rule, passName).run(rewrite);
}

/** The graph without nodes and constants that no output needs. */
export const removeDead = (graph: Graph, rule: TypeRule): Graph => rewriteNodes(graph, rule, () => undefined);

const sameType = (left: TensorType, right: TensorType): boolean =>
  left.dtype === right.dtype && sameShape(left.shape, right.shape) && left.storage === right.storage;

class Rewriter implements RewriteContext {
  readonly symbols: ReadonlyMap<string, SymbolBound>;
  readonly #graph: Graph;
  readonly #rule: TypeRule;
  readonly #passName: string;
  readonly #producers = new Map<Value, Cell>();
  readonly #consumers = new Map<Value, Set<Cell>>();
  readonly #constants: Map<Value, Tensor>;
  readonly #elements = new Map<Value, readonly Dim[]>();
  readonly #valueNames = new Set<string>();
  readonly #nodeNames = new Set<string>();
  #outputs: Graph["outputs"];
  #outputValues: Set<Value>;
  /** A sentinel before the first node. */
  readonly #head: Cell;
  /** What the running rewrite has emitted, in order. */
  #emitted: Node[] = [];
  /** Names of emitted nodes -> the names they were to have, for when those become free. */
  readonly #wishes = new Map<string, string>();
  #visited: Node | undefined;
  #changed = false;
  #rewrites = 0;
  #nodeCount: number;

  constructor(graph: Graph, rule: TypeRule, passName: string) {
    this.#graph = graph;
    this.#rule = rule;
    this.#passName = passName;
    this.symbols = graph.symbols;
    this.#constants = new Map(graph.constants);
    this.#outputs = graph.outputs;
    this.#outputValues = new Set(graph.outputs.map(({ value }) => value));
    this.#nodeCount = graph.nodes.length;
    for (const value of [...graph.inputs, ...graph.constants.keys()]) this.#valueNames.add(value.name);
    this.#head = {
      node: { op: "", version: 0, name: "", sources: [], inputs: [], outputs: [], attributes: {} },
      previous: undefined,
      next: undefined,
      dirty: false,
      removed: false,
    };
    let last = this.#head;
    for (const node of graph.nodes) {
      last = this.#insertAfter(last, node);
      for (const output of node.outputs) this.#valueNames.add(output.name);
      this.#nodeNames.add(node.name);
    }
    for (let cell: Cell | undefined = last; cell && cell !== this.#head; ) {
      const { previous }: Cell = cell;
      this.#removeIfDead(cell, []);
      cell = previous;
    }
  }

  run(rewrite: Rewrite): Graph {
    for (let confirmed = false; !confirmed; ) {
      confirmed = !this.#sweep(rewrite);
      if (confirmed) continue;
      while (this.#sweep(rewrite));
      for (let cell = this.#head.next; cell; cell = cell.next) cell.dirty = true;
    }
    return this.#finish();
  }

  #sweep(rewrite: Rewrite): boolean {
    let applied = false;
    for (let cell = this.#head.next; cell; ) {
      if (!cell.dirty) {
        cell = cell.next;
        continue;
      }
      cell.dirty = false;
      this.#visited = cell.node;
      this.#emitted = [];
      this.#nodeNames.delete(cell.node.name);
      const answer = rewrite(cell.node, this);
      const { node } = cell;
      if (answer === undefined) {
        for (const discarded of this.#emitted) this.#forget(discarded);
        this.#wishes.clear();
        this.#nodeNames.add(node.name);
        cell = cell.next;
        continue;
      }
      applied = true;
      this.#countRewrite();
      cell = this.#replace(
        cell,
        Array.isArray(answer) ? (answer as readonly (Value | undefined)[]) : [answer as Value],
      );
    }
    return applied;
  }

  #countRewrite(): void {
    this.#changed = true;
    this.#rewrites++;
    if (this.#rewrites <= 100 * this.#nodeCount + 1000) return;
    throw new LeafcutterError({
      code: "internal",
      where: `pass ${this.#passName}, node ${this.#visited?.name ?? ""}`,
      message: "the rewrite does not come to an end",
      advice: "Report this with the model: two rules of the pass undo each other.",
    });
  }

  #forget(node: Node): void {
    this.#nodeNames.delete(node.name);
    for (const output of node.outputs) {
      this.#valueNames.delete(output.name);
      this.#elements.delete(output);
    }
  }

  /** Puts the emitted nodes in the place of `cell`; returns the first cell to visit next. */
  #replace(cell: Cell, answer: readonly (Value | undefined)[]): Cell | undefined {
    const { node } = cell;
    const before = cell.previous as Cell;
    // Old values live on as outputs of the new nodes where the type allows it.
    const heirs = new Map<Value, Value>();
    const fresh = new Set(this.#emitted.flatMap(({ outputs }) => outputs));
    node.outputs.forEach((old, index) => {
      const value = answer[index];
      if (value && fresh.has(value) && !heirs.has(value) && sameType(old.type, value.type)) heirs.set(value, old);
    });
    const inherit = (value: Value | undefined): Value | undefined => (value ? (heirs.get(value) ?? value) : undefined);
    for (const output of node.outputs) {
      this.#producers.delete(output);
      this.#elements.delete(output);
    }
    this.#unlink(cell);
    let last = before;
    const cells: Cell[] = [];
    for (const emitted of this.#emitted) {
      const outputs = emitted.outputs.map((output) => {
        const heir = heirs.get(output);
        if (heir) this.#valueNames.delete(output.name);
        return heir ?? output;
      });
      last = this.#insertAfter(last, { ...emitted, inputs: emitted.inputs.map(inherit), outputs });
      cells.push(last);
    }
    node.outputs.forEach((old, index) => {
      const value = inherit(answer[index]);
      if (value === old) this.#dirtyConsumers(old);
      else if (value) this.#substitute(old, value);
      else if (this.#consumers.get(old)?.size) this.#refuseMissing(node, old);
    });
    const sources: string[] = [];
    for (const value of new Set(node.inputs)) if (value) this.#release(value, cell, sources);
    this.#inherit(last === before ? undefined : last, sources);
    // A rewrite may prepare more than it needs.
    for (const emitted of [...cells].reverse()) this.#removeIfDead(emitted, []);
    for (const emitted of cells) this.#grantWish(emitted);
    this.#wishes.clear();
    let start = before;
    while (start.removed) start = start.previous as Cell;
    return start.next;
  }

  /** A node that was to be called like one that it replaced. */
  #grantWish(cell: Cell): void {
    const { node } = cell;
    const wish = this.#wishes.get(node.name);
    if (cell.removed || wish === undefined || wish === node.name || this.#nodeNames.has(wish)) return;
    this.#nodeNames.delete(node.name);
    this.#nodeNames.add(wish);
    cell.node = { ...node, name: wish };
  }

  #refuseMissing(node: Node, value: Value): never {
    throw new LeafcutterError({
      code: "internal",
      where: `pass ${this.#passName}, node ${node.name} (${node.op})`,
      message: `the rewrite gives no value for output ${value.name}, which is used`,
    });
  }

  #inherit(cell: Cell | undefined, sources: readonly string[]): void {
    if (cell && sources.length > 0)
      cell.node = { ...cell.node, sources: [...new Set([...sources, ...cell.node.sources])] };
  }

  #insertAfter(previous: Cell, node: Node): Cell {
    const cell: Cell = { node, previous, next: previous.next, dirty: true, removed: false };
    if (previous.next) previous.next.previous = cell;
    previous.next = cell;
    for (const output of node.outputs) this.#producers.set(output, cell);
    for (const value of node.inputs) if (value) this.#consumersOf(value).add(cell);
    return cell;
  }

  #consumersOf(value: Value): Set<Cell> {
    let set = this.#consumers.get(value);
    if (!set) {
      set = new Set();
      this.#consumers.set(value, set);
    }
    return set;
  }

  #unlink(cell: Cell): void {
    cell.removed = true;
    if (cell.previous) cell.previous.next = cell.next;
    if (cell.next) cell.next.previous = cell.previous;
  }

  #dirtyConsumers(value: Value): void {
    for (const consumer of this.#consumers.get(value) ?? []) consumer.dirty = true;
  }

  #substitute(old: Value, value: Value): void {
    const consumers = this.#consumers.get(old) ?? new Set();
    this.#consumers.delete(old);
    for (const consumer of consumers) {
      const { node } = consumer;
      consumer.node = { ...node, inputs: node.inputs.map((input) => (input === old ? value : input)) };
      consumer.dirty = true;
      this.#consumersOf(value).add(consumer);
    }
    if (this.#outputValues.has(old)) {
      this.#outputs = this.#outputs.map((output) => (output.value === old ? { ...output, value } : output));
      this.#outputValues = new Set(this.#outputs.map((output) => output.value));
    }
    const producer = this.#producers.get(value);
    if (producer) producer.dirty = true;
  }

  /** `cell` no longer reads `value`; what only it needed goes. */
  #release(value: Value, cell: Cell, sources: string[]): void {
    this.#consumers.get(value)?.delete(cell);
    this.#dirtyConsumers(value);
    const producer = this.#producers.get(value);
    if (!producer) return;
    producer.dirty = true;
    this.#removeIfDead(producer, sources);
  }

  #removeIfDead(cell: Cell, sources: string[]): void {
    const pending = [cell];
    for (let next = pending.pop(); next; next = pending.pop()) {
      const { node } = next;
      if (
        next.removed ||
        node.outputs.some((output) => this.#outputValues.has(output) || this.#consumers.get(output)?.size)
      )
        continue;
      this.#unlink(next);
      this.#changed = true;
      sources.push(...node.sources);
      this.#forget(node);
      for (const output of node.outputs) this.#producers.delete(output);
      for (const value of new Set(node.inputs)) {
        if (!value) continue;
        this.#consumers.get(value)?.delete(next);
        this.#dirtyConsumers(value);
        const producer = this.#producers.get(value);
        if (producer) {
          producer.dirty = true;
          pending.push(producer);
        }
      }
    }
  }

  #finish(): Graph {
    const nodes: Node[] = [];
    for (let cell = this.#head.next; cell; cell = cell.next) nodes.push(cell.node);
    const used = new Set<Value>(this.#outputValues);
    for (const node of nodes) for (const value of node.inputs) if (value) used.add(value);
    const constants = new Map([...this.#constants].filter(([value]) => used.has(value)));
    if (!this.#changed && constants.size === this.#graph.constants.size) return this.#graph;
    return { ...this.#graph, outputs: this.#outputs, nodes, constants };
  }

  constant(value: Value): Tensor | undefined {
    return this.#constants.get(value);
  }

  elements(value: Value): readonly Dim[] | undefined {
    const known = this.#elements.get(value);
    if (known) return known;
    const elements = this.#findElements(value);
    if (elements) this.#elements.set(value, elements);
    return elements;
  }

  #findElements(value: Value): readonly Dim[] | undefined {
    const tensor = this.#constants.get(value);
    if (tensor) return elementsOfTensor(tensor);
    const { dtype, shape } = value.type;
    const count = shape.reduce<number>(
      (product, dim) => product * (typeof dim === "number" ? dim : longestShape + 1),
      1,
    );
    if (count > longestShape || !/^(u?int|bool)/.test(dtype)) return undefined;
    const producer = this.#producers.get(value)?.node ?? this.#emitted.find(({ outputs }) => outputs.includes(value));
    return producer?.outputs[0] === value ? this.#rule(producer, this).elements : undefined;
  }

  producer(value: Value): Node | undefined {
    return this.#producers.get(value)?.node ?? this.#emitted.find(({ outputs }) => outputs.includes(value));
  }

  consumers(value: Value): readonly Node[] {
    return Array.from(this.#consumers.get(value) ?? [], ({ node }) => node);
  }

  isOutput(value: Value): boolean {
    return this.#outputValues.has(value);
  }

  isOnlyUse(value: Value, consumer: Node): boolean {
    const consumers = this.#consumers.get(value);
    if (this.#outputValues.has(value) || consumers?.size !== 1) return false;
    const [only] = consumers;
    return only?.node === consumer;
  }

  emit(
    op: string,
    inputs: readonly (Value | undefined)[],
    attributes: Attributes = {},
    options: EmitOptions = {},
  ): Value {
    return this.emitNode(op, inputs, attributes, options)[0] as Value;
  }

  emitNode(
    op: string,
    inputs: readonly (Value | undefined)[],
    attributes: Attributes = {},
    options: EmitOptions = {},
  ): readonly Value[] {
    const visited = this.#visited as Node;
    const name = unique(options.name ?? visited.name, this.#nodeNames);
    const trimmed = [...inputs];
    while (trimmed.length > 0 && trimmed[trimmed.length - 1] === undefined) trimmed.pop();
    const placeholders = Array.from(
      { length: options.outputCount ?? 0 },
      (): Value => ({ name: "", type: { dtype: "float32", shape: [] } }),
    );
    const untyped: Node = {
      op,
      version: options.version ?? visited.version,
      name,
      sources: visited.sources,
      inputs: trimmed,
      outputs: placeholders,
      attributes,
    };
    const { types } = this.#rule(untyped, this);
    const outputs = types.map(
      (type, index): Value => ({
        name: unique(index === 0 ? `${name}:out` : `${name}:out${index}`, this.#valueNames),
        type,
      }),
    );
    this.#emitted.push({ ...untyped, outputs });
    if (options.name !== undefined) this.#wishes.set(name, options.name);
    return outputs;
  }

  addConstant(name: string, tensor: Tensor, storage?: Storage): Value {
    const type: TensorType = { dtype: tensor.dtype, shape: tensor.shape, ...(storage ? { storage } : {}) };
    const value: Value = { name: unique(name, this.#valueNames), type };
    this.#constants.set(value, tensor);
    return value;
  }
}

/** `wish`, or `wish` with the first free number behind it (in place of its own); added to `taken`. */
function unique(wish: string, taken: Set<string>): string {
  let name = wish;
  const stem = wish.replace(/\.\d+$/, "");
  for (let number = 2; taken.has(name); number++) name = `${stem}.${number}`;
  taken.add(name);
  return name;
}
