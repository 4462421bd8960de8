/**
 * An ONNX file -> Graph: nodes as they are (functions inlined, Constant nodes as constants), in topological order,
 * with the type of every value. Operator sets 7 to 26. Weights are read once, when something uses them.
 * Whatever is in the file, the outcome is a Graph or a LeafcutterError.
 */
import { LeafcutterError } from "../../../runtime/format/diagnostic.ts";
import type { Graph, TensorType } from "../../graph/graph.ts";
import type { ByteSource } from "../source.ts";
import { importControlFlow } from "./control-flow.ts";
import { dtypeOfCode, nameOfCode } from "./data-type.ts";
import { bindDimensions, type DimOptions } from "./dimensions.ts";
import { givenValues, type InputValues, sampleValues } from "./fixed-input.ts";
import { GraphBuilder } from "./graph-builder.ts";
import { malformed } from "./message.ts";
import type { OnnxGraph, OnnxModel, OnnxValueInfo } from "./model.ts";
import { scanModel } from "./scan.ts";

const oldestOpset = 7;
const newestOpset = 26;

export interface ImportOptions extends DimOptions {
  /** Values of inputs, by name, elements in row-major order: the model is compiled for these values only. */
  readonly values?: InputValues;
  readonly signal?: AbortSignal;
}

/** Throws model-invalid, model-unsupported, operator-unknown, operator-invalid, dimension-unbound, value-unbound, option-invalid, file-missing, file-refused, aborted. */
export async function importOnnx(source: ByteSource, options: ImportOptions = {}): Promise<Graph> {
  const model = await scanModel(source);
  checkOpset(model, source.name);
  const declared = declaredInputs(model.graph);
  const inputs = declared.map(({ name, type }) => ({ name, ...type }));
  const fixed = new Map(givenValues(inputs, options.values ?? {}));
  let guardsBranches = false;
  for (;;) {
    const bound = bindDimensions(
      inputs.map(({ name, dims }) => ({ name, dims: fixed.get(name)?.shape ?? dims })),
      options,
    );
    const builder = new GraphBuilder({
      model,
      source,
      signal: options.signal,
      symbols: bound.symbols,
      controlFlow: importControlFlow,
      guardsBranches,
    });
    for (const { name, dtype } of inputs)
      builder.addInput(name, { dtype, shape: bound.shapes.get(name) ?? [] }, fixed.get(name));
    try {
      await builder.addGraph(model.graph, model.opsets);
    } catch (error) {
      // Shapes depend on inputs: once more, for the values that they have in the data set.
      const open = builder.inputsAskedFor.filter((name) => !fixed.has(name));
      const askedFor = inputs.filter(({ name }) => open.includes(name));
      if (!isInconsistent(error) || askedFor.length === 0) throw error;
      try {
        for (const [name, tensor] of sampleValues(inputs, askedFor, options.sampleShapes ?? [], error))
          fixed.set(name, tensor);
      } catch (unknown) {
        if (guardsBranches) throw unknown;
        guardsBranches = true;
      }
      continue;
    }
    return builder.finish(model.graph);
  }
}

/** Names of the inputs and outputs of a model, in the order that data sets number them. Throws as importOnnx. */
export async function portNames(source: ByteSource): Promise<{
  readonly inputs: readonly { readonly name: string }[];
  readonly outputs: readonly { readonly name: string }[];
}> {
  const { graph } = await scanModel(source);
  return { inputs: declaredInputs(graph), outputs: graph.outputs };
}

const isInconsistent = (error: unknown): error is LeafcutterError =>
  error instanceof LeafcutterError && error.code === "operator-invalid";

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
