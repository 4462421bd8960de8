/**
 * Control flow as a straight list: the nodes of nested graphs in place, with jumps around the branch that is not taken
 * and a repetition behind a loop's body. Outputs of an If and what a loop carries are variables: values that are
 * written at more than one place and therefore keep bytes of their own.
 *
 *   If:   jump to E unless condition; then…, results to outputs; jump to end; E: else…, results to outputs; end:
 *   Loop: initial values to outputs; jump to end unless condition; B: body…; results to outputs; repeat from B; end:
 */
import { type Tensor, tensorOf } from "../../runtime/format/tensor.ts";
import { graphOf } from "../graph/attribute.ts";
import type { Dim } from "../graph/dimension.ts";
import { elementsOfTensor, type Facts } from "../graph/facts.ts";
import type { Graph, Node, Value } from "../graph/graph.ts";
import { loopInputs, tripsOf } from "../ops/control/loop.ts";
import { copyNode, placeNode } from "./region-copies.ts";
import type { SelectedNode } from "./select.ts";

/** A place in the list. Identity is the object. */
export interface Label {
  readonly name: string;
}

export type ControlItem =
  | { readonly kind: "label"; readonly label: Label }
  /** To `label` when `condition` is false, or always. */
  | { readonly kind: "jump"; readonly node: Node; readonly label: Label; readonly condition: Value | undefined }
  | {
      readonly kind: "repeat";
      readonly node: Node;
      readonly label: Label;
      readonly count: Dim;
      readonly condition: Value | undefined;
      readonly iteration: Value | undefined;
    }
  /** What is copied or filled between the two may not have been when the run comes to what follows. */
  | { readonly kind: "enter" }
  | { readonly kind: "leave" };

export type PlanItem = SelectedNode | ControlItem;

export interface FlatGraph {
  /** Nodes and constants of all nested graphs; none of the nodes holds a graph. */
  readonly graph: Graph;
  readonly items: readonly PlanItem[];
  readonly variables: Variables;
}

/** Values that several nodes write. */
export class Variables {
  readonly #values = new Set<Value>();
  /** The nested graph that a node stands in, and that a value is made in. */
  readonly #nodes = new Map<Node, object>();
  readonly #makers = new Map<Value, object>();

  add(variable: Value): void {
    this.#values.add(variable);
  }

  place(node: Node, region: object): void {
    this.#nodes.set(node, region);
    for (const output of node.outputs) this.#makers.set(output, region);
  }

  has(value: Value): boolean {
    return this.#values.has(value);
  }

  get all(): Iterable<Value> {
    return this.#values;
  }

  /** Whether `value` may take bytes of `variable`, which `node` writes: what comes from elsewhere may be read where others write there. */
  mayHold(variable: Value, node: Node, value: Value): boolean {
    return !this.has(variable) || this.#makers.get(value) === this.#nodes.get(node);
  }
}

export const isSelected = (item: PlanItem): item is SelectedNode =>
  item.kind === "view" || item.kind === "host" || item.kind === "steps";

type Select = (node: Node, facts: Facts) => SelectedNode;

/** `select` lowers one node. */
export function flattenRegions(graph: Graph, select: Select): FlatGraph {
  const flattener = new Flattener(graph, select);
  flattener.add(graph, new Map());
  const { items, constants, variables } = flattener;
  const nodes = items.filter(isSelected).map(({ node }) => node);
  return { graph: { ...graph, nodes, constants }, items, variables };
}

type Substitution = Map<Value, Value>;

class Flattener {
  readonly items: PlanItem[] = [];
  readonly constants: Map<Value, Tensor>;
  readonly variables = new Variables();
  readonly #select: Select;
  readonly #facts: Facts;
  /** What each view shows. */
  readonly #views = new Map<Value, Value>();

  constructor(graph: Graph, select: Select) {
    const constants = new Map(graph.constants);
    this.constants = constants;
    this.#select = select;
    this.#facts = {
      constant: (value) => constants.get(value),
      elements: (value) => {
        const tensor = constants.get(value);
        return tensor && elementsOfTensor(tensor);
      },
    };
  }

  /** The nodes of `graph`; `values` says what its inputs, and outputs that have a place already, are here. */
  add(graph: Graph, values: Substitution): void {
    const here = (value: Value): Value => values.get(value) ?? value;
    for (const [value, tensor] of graph.constants) this.constants.set(value, tensor);
    const isRoot = values.size === 0 && this.items.length === 0;
    for (const nested of graph.nodes) {
      if (!isRoot)
        for (const output of nested.outputs)
          if (!values.has(output)) values.set(output, { name: output.name, type: output.type });
      const node: Node = {
        ...nested,
        inputs: nested.inputs.map((value) => value && here(value)),
        outputs: nested.outputs.map(here),
      };
      if (node.op === "If") this.#addIf(node);
      else if (node.op === "leafcutter.Loop") this.#addLoop(node);
      else {
        const selected = this.#select(node.op === "leafcutter.Unreachable" ? withoutTypes(node) : node, this.#facts);
        this.variables.place(selected.node, graph);
        this.#push(selected);
      }
    }
  }

  #push(item: PlanItem): void {
    this.items.push(item);
    if (item.kind !== "view") return;
    const [source] = item.node.inputs;
    const [output] = item.node.outputs;
    if (source && output) this.#views.set(output, source);
  }

  #addIf(node: Node): void {
    const [condition, ...captured] = node.inputs;
    const otherwise: Label = { name: `${node.name} else` };
    const end: Label = { name: `${node.name} end` };
    for (const output of node.outputs) this.variables.add(output);
    this.#push({ kind: "jump", node, label: otherwise, condition });
    this.#addBranch(node, graphOf(node, "then_branch"), captured);
    this.#push({ kind: "jump", node, label: end, condition: undefined });
    this.#push({ kind: "label", label: otherwise });
    this.#addBranch(node, graphOf(node, "else_branch"), captured);
    this.#push({ kind: "label", label: end });
  }

  #addBranch(node: Node, branch: Graph, captured: readonly (Value | undefined)[]): void {
    const values = bound(branch, captured);
    const produced = new Set(branch.nodes.flatMap(({ outputs }) => outputs));
    const taken = new Set<Value>();
    // A result that a node of the branch makes is made in its place at once.
    branch.outputs.forEach(({ value }, index) => {
      if (!produced.has(value) || taken.has(value)) return;
      taken.add(value);
      values.set(value, node.outputs[index] as Value);
    });
    this.#push({ kind: "enter" });
    this.add(branch, values);
    branch.outputs.forEach(({ value }, index) => {
      const target = node.outputs[index] as Value;
      const source = values.get(value) ?? value;
      if (source !== target) this.#push(copyNode(node, source, target));
    });
    this.#push({ kind: "leave" });
  }

  #addLoop(node: Node): void {
    const body = graphOf(node, "body");
    const { carried, condition, initial, captured } = loopInputs(node);
    const count = tripsOf(node, this.constants);
    const states = node.outputs.slice(0, carried);
    const scans = node.outputs.slice(carried);
    for (const output of node.outputs) this.variables.add(output);
    const start: Label = { name: `${node.name} body` };
    const end: Label = { name: `${node.name} end` };
    const iteration = this.#variable(`${node.name} iteration`, { dtype: "int64", shape: [] });
    const zero: Value = { name: `${node.name} zero`, type: iteration.type };
    this.constants.set(zero, tensorOf("int64", [], [0]));

    this.#push(copyNode(node, zero, iteration));
    states.forEach((state, index) => {
      this.#push(copyNode(node, initial[index] as Value, state));
    });
    if (condition) this.#push({ kind: "jump", node, label: end, condition });
    this.#push({ kind: "label", label: start });
    this.#push({ kind: "enter" });
    const values = bound(body, [iteration, ...states, ...captured]);
    this.add(body, values);
    const [again, ...results] = body.outputs.map(({ value }) => values.get(value) ?? value);
    scans.forEach((scan, index) => {
      this.#push(placeNode(node, results[carried + index] as Value, iteration, scan));
    });
    const isEndless = again === undefined || this.constants.get(again)?.data[0] === 1;
    const goesOn = isEndless ? undefined : this.#variable(`${node.name} condition`, again.type);
    this.#assign(node, [
      ...(again && goesOn ? [{ source: again, target: goesOn }] : []),
      ...states.map((target, index) => ({ source: results[index] as Value, target })),
    ]);
    this.#push({ kind: "leave" });
    this.#push({ kind: "repeat", node, label: start, count, condition: goesOn, iteration });
    this.#push({ kind: "label", label: end });
  }

  #variable(name: string, type: Value["type"]): Value {
    const value: Value = { name, type };
    this.variables.add(value);
    return value;
  }

  /** All at once: a source that an earlier assignment overwrites is put aside first. */
  #assign(node: Node, pairs: readonly { readonly source: Value; readonly target: Value }[]): void {
    const rootOf = (value: Value): Value => {
      const source = this.#views.get(value);
      return source ? rootOf(source) : value;
    };
    const targets = new Set(pairs.map(({ target }) => target));
    const safe = pairs.map(({ source, target }) => {
      const root = rootOf(source);
      if (root === target || !targets.has(root)) return { source, target };
      const aside = this.#variable(`${source.name} aside`, source.type);
      this.#push(copyNode(node, source, aside));
      return { source: aside, target };
    });
    for (const { source, target } of safe) if (source !== target) this.#push(copyNode(node, source, target));
  }
}

/** The step needs the message alone; what it would have given may have symbolic shapes. */
const withoutTypes = (node: Node): Node => ({
  ...node,
  attributes: node.attributes.message ? { message: node.attributes.message } : {},
});

/** Inputs of a nested graph -> what they are outside. */
function bound(graph: Graph, captured: readonly (Value | undefined)[]): Substitution {
  return new Map(
    graph.inputs.flatMap((input, index) => {
      const value = captured[index];
      return value ? [[input, value] as const] : [];
    }),
  );
}
