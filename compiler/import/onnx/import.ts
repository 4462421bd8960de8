/**
 * An ONNX file -> Graph: nodes as they are (functions inlined, Constant nodes as constants), in topological order,
 * with the type of every value. Operator sets 7 to 26. Weights are read once, when something uses them.
 * Whatever is in the file, the outcome is a Graph or a LeafcutterError.
 */
import { LeafcutterError } from "../../../runtime/format/diagnostic.ts";
import type { Tensor } from "../../../runtime/format/tensor.ts";
import { FactStore, type Inferred } from "../../graph/facts.ts";
import type { Graph, Node, TensorType, Value } from "../../graph/graph.ts";
import { inferNode } from "../../ops/infer.ts";
import type { ByteSource } from "../source.ts";
import { convertAttributes } from "./attribute.ts";
import { constantOf } from "./constant.ts";
import { dtypeOfCode, nameOfCode } from "./data-type.ts";
import { bindDimensions, type DimOptions } from "./dimensions.ts";
import { FreshNames } from "./fresh-name.ts";
import { inlineFunctions, type PlacedNode } from "./inline.ts";
import { malformed } from "./message.ts";
import type { OnnxGraph, OnnxModel, OnnxValueInfo } from "./model.ts";
import { inTopologicalOrder, namesRead } from "./order.ts";
import { scanModel } from "./scan.ts";
import { loadTensor } from "./tensor.ts";

const oldestOpset = 7;
const newestOpset = 26;

export interface ImportOptions extends DimOptions {
  readonly signal?: AbortSignal;
}

/** Throws model-invalid, model-unsupported, operator-unknown, operator-invalid, dimension-unbound, option-invalid, file-missing, file-refused, aborted. */
export async function importOnnx(source: ByteSource, options: ImportOptions = {}): Promise<Graph> {
  const model = await scanModel(source);
  checkOpset(model, source.name);
  const nodes = inTopologicalOrder(inlineFunctions(model), describe);
  const declared = declaredInputs(model.graph);
  const bound = bindDimensions(
    declared.map(({ name, type }) => ({ name, dims: type.dims })),
    options,
  );

  const builder = new GraphBuilder(
    source,
    nodes.flatMap(({ outputs }) => outputs),
  );
  for (const { name, type } of declared)
    builder.addInput(name, { dtype: type.dtype, shape: bound.shapes.get(name) ?? [] });
  const used = new Set([...nodes.flatMap(namesRead), ...model.graph.outputs.map(({ name }) => name)]);
  for (const name of model.graph.sparse)
    if (used.has(name)) throw unsupported(`tensor ${name}`, "sparse tensors are not supported", "a dense tensor");
  // The last of several initialisers of one name counts.
  const initializers = new Map(model.graph.initializers.map((tensor) => [tensor.name, tensor]));
  for (const [name, tensor] of initializers) {
    checkAborted(options.signal);
    if (used.has(name)) builder.addConstant(name, await loadTensor(tensor, source), `tensor ${name}`);
  }
  for (const node of nodes) {
    checkAborted(options.signal);
    await builder.addNode(node);
  }
  return builder.finish(model.graph, bound.symbols);
}

const describe = (node: PlacedNode): string => `node ${labelOf(node)} (${operatorName(node)})`;

const labelOf = (node: PlacedNode): string => node.name || node.outputs.find((name) => name !== "") || node.opType;

const operatorName = ({ domain, opType }: PlacedNode): string => (domain === "" ? opType : `${domain}.${opType}`);

function unsupported(where: string, message: string, expected: string, received?: string): LeafcutterError {
  return new LeafcutterError({
    code: "model-unsupported",
    where,
    message,
    expected,
    ...(received === undefined ? {} : { received }),
    advice: "Export the model again in another form.",
  });
}

function checkAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted)
    throw new LeafcutterError({ code: "aborted", where: "import", message: "the import was aborted" });
}

function checkOpset(model: OnnxModel, where: string): void {
  const version = model.opsets.get("");
  const needed = model.graph.nodes.some(({ domain }) => domain === "");
  if (version === undefined && needed) throw malformed(where, "the file does not say which operator set it follows");
  for (const opset of [model.opsets, ...model.functions.map(({ opsets }) => opsets)]) {
    const found = opset.get("");
    if (found !== undefined && (found < oldestOpset || found > newestOpset))
      throw unsupported(
        where,
        "the version of the operator set is not supported",
        `${oldestOpset} to ${newestOpset}`,
        `${found}`,
      );
  }
}

interface TypedInput {
  readonly name: string;
  readonly type: {
    readonly dtype: TensorType["dtype"];
    readonly dims: readonly (number | string | undefined)[] | undefined;
  };
}

/** The inputs that the caller feeds: those without an initialiser. */
function declaredInputs(graph: OnnxGraph): readonly TypedInput[] {
  const initialized = new Set(graph.initializers.map(({ name }) => name));
  return graph.inputs.filter(({ name }) => !initialized.has(name)).map(typedInput);
}

function typedInput({ name, type }: OnnxValueInfo): TypedInput {
  const where = `input ${name}`;
  if (type.kind === "other") throw unsupported(where, "the input is not a dense tensor", "a tensor", type.name);
  const dtype = dtypeOfCode(type.elementType);
  if (dtype === undefined)
    throw unsupported(
      where,
      "the element type is not supported",
      "a real, integer or bool type",
      nameOfCode(type.elementType),
    );
  return { name, type: { dtype, dims: type.dims } };
}

/** The graph while it grows, node by node; values by name. */
class GraphBuilder {
  readonly #source: ByteSource;
  readonly #values = new Map<string, Value>();
  readonly #inputs: Value[] = [];
  readonly #constants = new Map<Value, Tensor>();
  readonly #facts = new FactStore();
  readonly #nodes: Node[] = [];
  readonly #nodeNames = new FreshNames();
  readonly #valueNames: FreshNames;

  /** `taken`: every name in the file, which names given here must not repeat. */
  constructor(source: ByteSource, taken: Iterable<string>) {
    this.#source = source;
    this.#valueNames = new FreshNames(taken);
  }

  addInput(name: string, type: TensorType): void {
    if (name === "") throw malformed("inputs", "an input has no name");
    this.#inputs.push(this.#define(name, type, "inputs"));
  }

  addConstant(name: string, tensor: Tensor, where: string): void {
    const value = this.#define(name, { dtype: tensor.dtype, shape: tensor.shape }, where);
    this.#constants.set(value, tensor);
    this.#facts.setConstant(value, tensor);
  }

  async addNode(placed: PlacedNode): Promise<void> {
    const where = describe(placed);
    if (placed.opType === "Constant" && placed.domain === "") {
      const tensor = await constantOf(placed, this.#source, where);
      return this.addConstant(placed.outputs[0] ?? "", tensor, where);
    }
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

  finish(graph: OnnxGraph, symbols: Graph["symbols"]): Graph {
    const names = new Set<string>();
    const outputs = graph.outputs.map(({ name }) => {
      if (names.has(name)) throw malformed(`output ${name}`, "the name stands for two outputs");
      names.add(name);
      return { name, value: this.#read(name, `output ${name}`) };
    });
    if (outputs.length === 0) throw malformed(this.#source.name, "the graph has no outputs");
    return { name: graph.name, symbols, inputs: this.#inputs, outputs, constants: this.#constants, nodes: this.#nodes };
  }

  #infer(head: Omit<Node, "outputs">, outputNames: readonly string[], where: string): Inferred {
    // Rules may ask how many outputs there are, not what they are.
    const outputs = outputNames.map((name): Value => ({ name, type: { dtype: "float32", shape: [] } }));
    try {
      return inferNode({ ...head, outputs }, this.#facts);
    } catch (cause) {
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

  #define(name: string, type: TensorType, where: string): Value {
    if (this.#values.has(name))
      throw malformed(where, `the name ${JSON.stringify(name)} is produced twice`, "one producer for each name");
    const value: Value = { name, type };
    this.#values.set(name, value);
    return value;
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
