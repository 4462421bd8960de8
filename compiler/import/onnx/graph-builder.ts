/**
 * Builds the Graph from decoded nodes in order: constants are read when something uses them, every node gets the
 * types of its outputs, an If whose condition is known becomes the branch that it takes. Errors name the node.
 */
import { LeafcutterError } from "../../../runtime/format/diagnostic.ts";
import type { Tensor } from "../../../runtime/format/tensor.ts";
import { FactStore, type Facts, type Inferred } from "../../graph/facts.ts";
import type { Graph, Node, TensorType, Value } from "../../graph/graph.ts";
import { inferNode } from "../../ops/infer.ts";
import type { ByteSource } from "../source.ts";
import { convertAttributes } from "./attribute.ts";
import { constantOf } from "./constant.ts";
import { FreshNames } from "./fresh-name.ts";
import { inlineFunctions, type PlacedNode, withFreshNames } from "./inline.ts";
import { computeKnown } from "./known-value.ts";
import { malformed } from "./message.ts";
import type { OnnxGraph, OnnxModel, OpsetVersions } from "./model.ts";
import { inTopologicalOrder, namesDefined, namesRead } from "./order.ts";
import { loadTensor } from "./tensor.ts";

/** Functions whose branches call functions can spell any number of nodes. */
const mostSteps = 500_000;
const deepestBranch = 50;

const describe = (node: PlacedNode): string => `node ${labelOf(node)} (${operatorName(node)})`;

const labelOf = (node: PlacedNode): string => node.name || node.outputs.find((name) => name !== "") || node.opType;

const operatorName = ({ domain, opType }: PlacedNode): string => (domain === "" ? opType : `${domain}.${opType}`);

/** The graph while it grows, node by node; values by name. */
export class GraphBuilder {
  readonly #model: OnnxModel;
  readonly #source: ByteSource;
  readonly #signal: AbortSignal | undefined;
  readonly #values = new Map<string, Value>();
  readonly #inputs: Value[] = [];
  readonly #fixed = new Map<string, readonly number[]>();
  readonly #constants = new Map<Value, Tensor>();
  readonly #facts = new FactStore();
  #nodes: Node[] = [];
  readonly #nodeNames = new FreshNames();
  readonly #valueNames: FreshNames;
  /** Values that the latest type rule asked for and that are not known. */
  #askedFor: ReadonlySet<Value> = new Set();
  #steps = 0;
  #depth = 0;

  constructor(model: OnnxModel, source: ByteSource, signal: AbortSignal | undefined) {
    this.#model = model;
    this.#source = source;
    this.#signal = signal;
    this.#valueNames = new FreshNames(namesDefined(model.graph));
  }

  /** With `fixed`, nodes read that constant instead of the input, which only stays among the inputs. */
  addInput(name: string, type: TensorType, fixed?: Tensor): void {
    if (name === "") throw malformed("inputs", "an input has no name");
    if (!fixed) this.#inputs.push(this.#define(name, type, "inputs"));
    else {
      this.#inputs.push({ name, type });
      this.#fixed.set(name, Array.from(fixed.data as ArrayLike<number | bigint>, Number));
      const constant: Value = { name: this.#valueNames.take(`${name}:value`), type };
      this.#name(name, constant, "inputs");
      this.#constants.set(constant, fixed);
      this.#facts.setConstant(constant, fixed);
    }
  }

  /** After a node's types did not work out: names of the inputs whose values its rule asked for in vain. */
  get inputsAskedFor(): readonly string[] {
    const producers = this.#producers();
    const inputs = new Set(this.#inputs);
    const seen = new Set<Value>();
    const visit = (value: Value): void => {
      if (seen.has(value) || this.#facts.constant(value) || this.#facts.elements(value)) return;
      seen.add(value);
      for (const input of producers.get(value)?.inputs ?? []) if (input) visit(input);
    };
    for (const value of this.#askedFor) visit(value);
    return [...seen].filter((value) => inputs.has(value)).map(({ name }) => name);
  }

  #addConstant(name: string, tensor: Tensor, where: string): void {
    const value = this.#define(name, { dtype: tensor.dtype, shape: tensor.shape }, where);
    this.#constants.set(value, tensor);
    this.#facts.setConstant(value, tensor);
  }

  /** The constants and nodes of a graph whose inputs are there already. */
  async addGraph(graph: OnnxGraph, opsets: OpsetVersions): Promise<void> {
    const nodes = inTopologicalOrder(inlineFunctions({ ...this.#model, graph, opsets }, this.#valueNames), describe);
    const used = new Set([...nodes.flatMap(namesRead), ...graph.outputs.map(({ name }) => name)]);
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
      if (used.has(name)) this.#addConstant(name, await loadTensor(tensor, this.#source), `tensor ${name}`);
    }
    for (const node of nodes) {
      this.#step();
      await this.#addNode(node);
    }
  }

  /** Between two pieces of work: an abort is seen, and branches that call each other come to an end. */
  #step(): void {
    if (this.#signal?.aborted)
      throw new LeafcutterError({ code: "aborted", where: "import", message: "the import was aborted" });
    if (++this.#steps > mostSteps)
      throw malformed("graph", "the model expands to too many nodes", `at most ${mostSteps}`);
  }

  async #addNode(placed: PlacedNode): Promise<void> {
    const where = describe(placed);
    if (placed.opType === "Constant" && placed.domain === "") {
      const tensor = await constantOf(placed, this.#source, where);
      return this.#addConstant(placed.outputs[0] ?? "", tensor, where);
    }
    const branch = this.#knownBranch(placed, where);
    if (branch) return this.#addBranch(placed, branch, where);
    const inputs = withoutTrailing(placed.inputs).map((name) => (name === "" ? undefined : this.#read(name, where)));
    const outputNames = withoutTrailing(placed.outputs);
    const head = {
      op: operatorName(placed),
      version: placed.version,
      name: this.#nodeNames.take(labelOf(placed)),
      sources: [labelOf(placed)],
      inputs,
      attributes: await convertAttributes(placed.attributes, this.#source, where),
    };
    const { types, elements } = this.#infer(head, outputNames, where);
    const outputs = outputNames.map((name, index) => {
      const type = types[index];
      if (!type)
        throw malformed(
          where,
          "the node has more outputs than its operator",
          `at most ${types.length}`,
          `${outputNames.length}`,
        );
      return this.#define(name || this.#valueNames.take(`${head.name}:${index}`), type, where);
    });
    if (outputs[0] && elements) this.#facts.setElements(outputs[0], elements);
    this.#nodes.push({ ...head, outputs });
  }

  /** The branch that an If takes when its condition is known: a constant, or what shapes come to. */
  #knownBranch(placed: PlacedNode, where: string): OnnxGraph | undefined {
    if (placed.opType !== "If" || placed.domain !== "") return undefined;
    const condition = this.#read(placed.inputs[0] ?? "", where);
    const known = this.#facts.constant(condition)?.data[0] ?? this.#facts.elements(condition)?.[0];
    if (typeof known !== "number") return undefined;
    const attribute = placed.attributes.get(known === 0 ? "else_branch" : "then_branch");
    return attribute?.kind === "graph" ? attribute.value : undefined;
  }

  /** The nodes of the branch take the place of the If. */
  async #addBranch(placed: PlacedNode, branch: OnnxGraph, where: string): Promise<void> {
    if (this.#depth >= deepestBranch)
      throw malformed(where, "branches are nested too deeply", `at most ${deepestBranch}`);
    const graph = withFreshNames(branch, labelOf(placed), this.#valueNames);
    this.#depth++;
    await this.addGraph(graph, new Map([...this.#model.opsets, ["", placed.version]]));
    this.#depth--;
    placed.outputs.forEach((name, index) => {
      if (name === "") return;
      const inner = graph.outputs[index];
      if (!inner) throw malformed(where, "the branch has fewer outputs than the node");
      this.#name(name, this.#read(inner.name, where), where);
    });
  }

  finish(graph: OnnxGraph, symbols: Graph["symbols"]): Graph {
    const names = new Set<string>();
    const outputs = graph.outputs.map(({ name }) => {
      if (names.has(name)) throw malformed(`output ${name}`, "the name stands for two outputs");
      names.add(name);
      return { name, value: this.#read(name, `output ${name}`) };
    });
    if (outputs.length === 0) throw malformed(this.#source.name, "the graph has no outputs");
    return {
      name: graph.name,
      symbols,
      inputs: this.#inputs,
      ...(this.#fixed.size > 0 ? { fixedInputs: this.#fixed } : {}),
      outputs,
      constants: this.#constants,
      nodes: this.#nodes,
    };
  }

  #infer(head: Omit<Node, "outputs">, outputNames: readonly string[], where: string): Inferred {
    // Rules may ask how many outputs there are, not what they are.
    const outputs = outputNames.map((name): Value => ({ name, type: { dtype: "float32", shape: [] } }));
    const askedFor = new Set<Value>();
    this.#askedFor = askedFor;
    const noting = <T>(value: Value, fact: T | undefined): T | undefined => {
      if (fact === undefined) askedFor.add(value);
      return fact;
    };
    const facts: Facts = {
      constant: (value) => noting(value, this.#facts.constant(value)),
      elements: (value) => noting(value, this.#facts.elements(value)),
    };
    try {
      return inferNode({ ...head, outputs }, facts);
    } catch (cause) {
      if ([...askedFor].map((value) => this.#compute(value)).includes(true))
        return this.#infer(head, outputNames, where);
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
    const computed = computeKnown(value, this.#producers(), this.#facts);
    if (!computed || computed.size === 0) return false;
    for (const [node, results] of computed)
      node.outputs.forEach((output, index) => {
        const tensor = results[index];
        if (!tensor) return;
        this.#constants.set(output, tensor);
        this.#facts.setConstant(output, tensor);
      });
    this.#nodes = this.#nodes.filter((node) => !computed.has(node));
    return true;
  }

  #producers(): ReadonlyMap<Value, Node> {
    return new Map(this.#nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)));
  }

  #define(name: string, type: TensorType, where: string): Value {
    const value: Value = { name, type };
    this.#name(name, value, where);
    return value;
  }

  #name(name: string, value: Value, where: string): void {
    if (this.#values.has(name))
      throw malformed(where, `the name ${JSON.stringify(name)} is produced twice`, "one producer for each name");
    this.#values.set(name, value);
  }

  #read(name: string, where: string): Value {
    const value = this.#values.get(name);
    if (value) return value;
    throw malformed(
      where,
      `nothing produces ${JSON.stringify(name)}`,
      "an input, an initialiser or the output of a node",
    );
  }
}

/** Absent optional values at the end of a list do not count. */
function withoutTrailing(names: readonly string[]): readonly string[] {
  return names.slice(0, names.findLastIndex((name) => name !== "") + 1);
}
