/**
 * Builds the Graph from decoded nodes in order: constants are read when something uses them, names become values, every
 * node gets the types of its outputs (growing-graph.ts). Nested graphs are built the same way by a builder of their own, which takes from the one around
 * it what it reads (control-flow.ts). Errors name the node.
 */
import { LeafcutterError } from "../../../runtime/format/diagnostic.ts";
import type { Tensor } from "../../../runtime/format/tensor.ts";
import type { Attributes, Graph, TensorType, Value } from "../../graph/graph.ts";
import type { ByteSource } from "../source.ts";
import { convertAttributes } from "./attribute.ts";
import { constantOf } from "./constant.ts";
import { smallTypeOfCode } from "./data-type.ts";
import { FreshNames } from "./fresh-name.ts";
import { GrowingGraph } from "./growing-graph.ts";
import { inlineFunctions, labelOf, type PlacedNode } from "./inline.ts";
import { malformed } from "./message.ts";
import type { OnnxGraph, OnnxModel, OpsetVersions } from "./model.ts";
import { inTopologicalOrder, namesDefined, namesRead } from "./order.ts";
import { smallTypesOf, withSmallTypes } from "./small-type.ts";
import { loadTensor } from "./tensor.ts";

/** Functions whose branches call functions can spell any number of nodes. */
const mostSteps = 500_000;
const deepestRegion = 50;

const describe = (node: PlacedNode): string => `node ${labelOf(node)} (${operatorName(node)})`;

const operatorName = ({ domain, opType }: PlacedNode): string => (domain === "" ? opType : `${domain}.${opType}`);

export interface ImportSetting {
  readonly model: OnnxModel;
  readonly source: ByteSource;
  readonly signal: AbortSignal | undefined;
  readonly symbols: Graph["symbols"];
  /** Adds a node that holds graphs; false when `placed` is none. */
  readonly controlFlow: (builder: GraphBuilder, placed: PlacedNode, where: string) => Promise<boolean>;
  /** Whether a branch that cannot be compiled may stay as an error at run time although other values of inputs might help. */
  readonly guardsBranches: boolean;
}

/** What all builders of one import share. */
interface Shared extends ImportSetting {
  readonly nodeNames: FreshNames;
  readonly valueNames: FreshNames;
  steps: number;
}

/** What a node is before its types are known. */
export interface NodeHead {
  readonly op: string;
  readonly inputs: readonly (Value | undefined)[];
  readonly attributes: Attributes;
}

/** The graph while it grows, node by node; values by name. */
export class GraphBuilder {
  readonly #shared: Shared;
  readonly #parent: GraphBuilder | undefined;
  #depth: number;
  readonly #values = new Map<string, Value>();
  readonly #inputs: Value[] = [];
  readonly #fixed = new Map<string, readonly number[]>();
  readonly #graph = new GrowingGraph();
  /** Element types of fewer than 8 bits, by the name of a constant or input. */
  readonly #smallTypes = new Map<string, number>();
  /** Value of the parent -> what stands for it here. */
  readonly #taken = new Map<Value, Value>();
  /** Values of the parent that are inputs here, behind those declared. */
  readonly #captured: Value[] = [];

  constructor(setting: ImportSetting, parent?: GraphBuilder) {
    this.#parent = parent;
    this.#depth = parent ? parent.#depth + 1 : 0;
    this.#shared = parent
      ? parent.#shared
      : {
          ...setting,
          nodeNames: new FreshNames(),
          valueNames: new FreshNames(namesDefined(setting.model.graph)),
          steps: 0,
        };
  }

  get setting(): ImportSetting {
    return this.#shared;
  }

  /** For the values of nested graphs. */
  get valueNames(): FreshNames {
    return this.#shared.valueNames;
  }

  /** Adds the nodes of a nested graph to this one. */
  async deeper(where: string, add: () => Promise<void>): Promise<void> {
    this.#checkDepth(where);
    this.#depth++;
    await add();
    this.#depth--;
  }

  #checkDepth(where: string): void {
    if (this.#depth >= deepestRegion)
      throw malformed(where, "branches are nested too deeply", `at most ${deepestRegion}`);
  }

  /** A builder for a graph inside this one. */
  region(where: string): GraphBuilder {
    this.#checkDepth(where);
    return new GraphBuilder(this.#shared, this);
  }

  /** With `fixed`, nodes read that constant instead of the input, which only stays among the inputs. */
  addInput(name: string, type: TensorType, fixed?: Tensor): Value {
    if (name === "") throw malformed("inputs", "an input has no name");
    const value: Value = { name, type };
    this.#inputs.push(value);
    if (!fixed) this.name(name, value, "inputs");
    else {
      this.#fixed.set(name, Array.from(fixed.data as ArrayLike<number | bigint>, Number));
      const constant: Value = { name: this.valueNames.take(`${name}:value`), type };
      this.name(name, constant, "inputs");
      this.#graph.setConstant(constant, fixed);
    }
    return value;
  }

  /** After a node's types did not work out: names of the inputs whose values its rule asked for in vain. */
  get inputsAskedFor(): readonly string[] {
    return this.#openInputs.map(({ name }) => name);
  }

  /** What the latest type rule asked for in vain. */
  get askedFor(): ReadonlySet<Value> {
    return this.#graph.askedFor;
  }

  /** A rule inside a region asked for these values of this graph. */
  ask(values: Iterable<Value>): void {
    this.#graph.ask(values);
  }

  /** After the types in this region did not work out: values of the graph around it that were asked for in vain. */
  get outerAskedFor(): readonly Value[] {
    const open = new Set(this.#openInputs);
    return this.#captured.filter((outer) => open.has(this.#taken.get(outer) as Value));
  }

  get #openInputs(): readonly Value[] {
    const inputs = new Set(this.#inputs);
    return [...this.#graph.unknown].filter((value) => inputs.has(value));
  }

  addConstant(name: string, tensor: Tensor, where: string): Value {
    const value = this.#define(name, { dtype: tensor.dtype, shape: tensor.shape }, where);
    this.#graph.setConstant(value, tensor);
    return value;
  }

  /** The constants and nodes of a graph whose inputs are there already. */
  async addGraph(graph: OnnxGraph, opsets: OpsetVersions): Promise<void> {
    const nodes = inTopologicalOrder(
      inlineFunctions({ ...this.#shared.model, graph, opsets }, this.valueNames),
      describe,
    );
    const used = new Set([...nodes.flatMap(namesRead), ...graph.outputs.map(({ name }) => name)]);
    for (const [name, code] of smallTypesOf(graph)) this.#smallTypes.set(name, code);
    for (const name of graph.sparse)
      if (used.has(name))
        throw new LeafcutterError({
          code: "model-unsupported",
          where: `tensor ${name}`,
          message: "sparse tensors are not supported",
          expected: "a dense tensor",
        });
    // The last of several initialisers of one name counts.
    const initializers = new Map(graph.initializers.map((tensor) => [tensor.name, tensor]));
    for (const [name, tensor] of initializers) {
      this.#step();
      if (used.has(name)) this.addConstant(name, await loadTensor(tensor, this.#shared.source), `tensor ${name}`);
    }
    for (const node of nodes) {
      this.#step();
      await this.#addNode(node);
    }
  }

  /** Between two pieces of work: an abort is seen, and branches that call each other come to an end. */
  #step(): void {
    if (this.#shared.signal?.aborted)
      throw new LeafcutterError({ code: "aborted", where: "import", message: "the import was aborted" });
    if (++this.#shared.steps > mostSteps)
      throw malformed("graph", "the model expands to too many nodes", `at most ${mostSteps}`);
  }

  async #addNode(placed: PlacedNode): Promise<void> {
    const where = describe(placed);
    if (placed.opType === "Constant" && placed.domain === "") {
      const [name = ""] = placed.outputs;
      this.addConstant(name, await constantOf(placed, this.#shared.source, where), where);
      const value = placed.attributes.get("value");
      if (value?.kind === "tensor" && smallTypeOfCode(value.value.dataType))
        this.#smallTypes.set(name, value.value.dataType);
      return;
    }
    if (await this.#shared.controlFlow(this, placed, where)) return;
    const inputs = this.readAll(placed.inputs, where);
    const attributes = await convertAttributes(placed.attributes, this.#shared.source, where);
    const head = withSmallTypes({ op: operatorName(placed), inputs, attributes }, (index) =>
      this.smallType(placed.inputs[index] ?? ""),
    );
    this.push(placed, head, placed.outputs, where);
  }

  /** The code of a constant or input of fewer than 8 bits. */
  smallType(name: string): number | undefined {
    return this.#smallTypes.get(name) ?? (this.#values.has(name) ? undefined : this.#parent?.smallType(name));
  }

  /** Adds a node that comes from `placed`; an output without a name gets one. */
  push(
    placed: PlacedNode,
    { op, inputs, attributes }: NodeHead,
    names: readonly string[],
    where: string,
  ): readonly Value[] {
    const outputNames = withoutTrailing(names);
    const head = {
      op,
      version: placed.version,
      name: this.#shared.nodeNames.take(labelOf(placed)),
      sources: [labelOf(placed)],
      inputs,
      attributes,
    };
    const { types, elements } = this.#graph.infer(head, outputNames, where);
    const outputs = outputNames.map((name, index) => {
      const type = types[index];
      if (!type)
        throw malformed(
          where,
          "the node has more outputs than its operator",
          `at most ${types.length}`,
          `${outputNames.length}`,
        );
      return this.#define(name || this.valueNames.take(`${head.name}:${index}`), type, where);
    });
    this.#graph.add({ ...head, outputs }, elements);
    return outputs;
  }

  /** What `value` comes to, when that follows from constants and shapes; it is then a constant here. */
  known(value: Value): Tensor | undefined {
    return this.#graph.known(value);
  }

  /** What stands here for a value of the graph around this one. */
  take(outer: Value): Value {
    const known = this.#taken.get(outer);
    if (known) return known;
    const value = this.#constantFrom(outer) ?? this.#computedAgain(outer) ?? this.#inputFrom(outer);
    this.#taken.set(outer, value);
    return value;
  }

  /** Constants are shared with the graph around; what follows from shapes becomes one. */
  #constantFrom(outer: Value): Value | undefined {
    const parent = this.#parent as GraphBuilder;
    const maybeShape = /^(u?int|bool)/.test(outer.type.dtype);
    const tensor = maybeShape ? parent.known(outer) : parent.#graph.constant(outer);
    if (!tensor) return undefined;
    this.#graph.setConstant(outer, tensor);
    return outer;
  }

  /** Arithmetic on symbolic shapes is repeated here, so that it is known here too. */
  #computedAgain(outer: Value): Value | undefined {
    const parent = this.#parent as GraphBuilder;
    const elements = parent.#graph.elements(outer);
    const producer = elements && parent.#graph.producers().get(outer);
    if (!elements || producer?.outputs[0] !== outer || producer.outputs.length > 1) return undefined;
    const value: Value = { name: this.valueNames.take(outer.name), type: outer.type };
    this.#graph.add(
      {
        ...producer,
        name: this.#shared.nodeNames.take(producer.name),
        inputs: producer.inputs.map((input) => input && this.take(input)),
        outputs: [value],
      },
      elements,
    );
    return value;
  }

  #inputFrom(outer: Value): Value {
    const value: Value = { name: outer.name, type: outer.type };
    this.#inputs.push(value);
    this.#captured.push(outer);
    return value;
  }

  /** Values of the graph around this one that are inputs here, behind those declared. */
  get captured(): readonly Value[] {
    return this.#captured;
  }

  /** This region as a graph: its declared inputs, then one for each of `captured`, whether it reads it or not. */
  asGraph(name: string, outputs: readonly Value[], captured: readonly Value[]): Graph {
    const declared = this.#inputs.slice(0, this.#inputs.length - this.#captured.length);
    const behind = captured.map(
      (outer): Value =>
        this.#captured.includes(outer) ? (this.#taken.get(outer) as Value) : { name: outer.name, type: outer.type },
    );
    return {
      name,
      symbols: this.#shared.symbols,
      inputs: [...declared, ...behind],
      outputs: outputs.map((value, index) => ({ name: `${index}`, value })),
      constants: this.#graph.constants,
      nodes: this.#graph.nodes,
    };
  }

  finish(graph: OnnxGraph): Graph {
    const names = new Set<string>();
    const outputs = graph.outputs.map(({ name }) => {
      if (names.has(name)) throw malformed(`output ${name}`, "the name stands for two outputs");
      names.add(name);
      return { name, value: this.read(name, `output ${name}`) };
    });
    if (outputs.length === 0) throw malformed(this.#shared.source.name, "the graph has no outputs");
    return {
      name: graph.name,
      symbols: this.#shared.symbols,
      inputs: this.#inputs,
      ...(this.#fixed.size > 0 ? { fixedInputs: this.#fixed } : {}),
      outputs,
      constants: this.#graph.constants,
      nodes: this.#graph.nodes,
    };
  }

  #define(name: string, type: TensorType, where: string): Value {
    const value: Value = { name, type };
    this.name(name, value, where);
    return value;
  }

  /** `name` stands for `value`. */
  name(name: string, value: Value, where: string): void {
    if (this.#values.has(name))
      throw malformed(where, `the name ${JSON.stringify(name)} is produced twice`, "one producer for each name");
    this.#values.set(name, value);
  }

  read(name: string, where: string): Value {
    const value = this.#find(name);
    if (value) return value;
    throw malformed(
      where,
      `nothing produces ${JSON.stringify(name)}`,
      "an input, an initialiser or the output of a node",
    );
  }

  /** Operands in order; an absent one is undefined. */
  readAll(names: readonly string[], where: string): readonly (Value | undefined)[] {
    return withoutTrailing(names).map((name) => (name === "" ? undefined : this.read(name, where)));
  }

  /** Names of the graphs around this one can be read too. */
  #find(name: string): Value | undefined {
    const value = this.#values.get(name);
    if (value || !this.#parent) return value;
    const outer = this.#parent.#find(name);
    return outer && this.take(outer);
  }
}

/** Absent optional values at the end of a list do not count. */
function withoutTrailing(names: readonly string[]): readonly string[] {
  return names.slice(0, names.findLastIndex((name) => name !== "") + 1);
}
