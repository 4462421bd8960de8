/**
 * An ONNX file -> Graph: nodes as they are (functions inlined, Constant nodes as constants), in topological order,
 * with the type of every value. Operator sets 7 to 26. Weights are read once, when something uses them.
 * Whatever is in the file, the outcome is a Graph or a LeafcutterError.
 */
import { LeafcutterError } from "../../../runtime/format/diagnostic.ts";
import type { Graph, TensorType } from "../../graph/graph.ts";
import type { ByteSource } from "../source.ts";
import { dtypeOfCode, nameOfCode } from "./data-type.ts";
import { bindDimensions, type DimOptions } from "./dimensions.ts";
import { GraphBuilder } from "./graph-builder.ts";
import { malformed } from "./message.ts";
import type { OnnxGraph, OnnxModel, OnnxValueInfo } from "./model.ts";
import { scanModel } from "./scan.ts";

const oldestOpset = 7;
const newestOpset = 26;

export interface ImportOptions extends DimOptions {
  readonly signal?: AbortSignal;
}

/** Throws model-invalid, model-unsupported, operator-unknown, operator-invalid, dimension-unbound, option-invalid, file-missing, file-refused, aborted. */
export async function importOnnx(source: ByteSource, options: ImportOptions = {}): Promise<Graph> {
  const model = await scanModel(source);
  checkOpset(model, source.name);
  const declared = declaredInputs(model.graph);
  const bound = bindDimensions(
    declared.map(({ name, type }) => ({ name, dims: type.dims })),
    options,
  );
  const builder = new GraphBuilder(model, source, options.signal);
  for (const { name, type } of declared)
    builder.addInput(name, { dtype: type.dtype, shape: bound.shapes.get(name) ?? [] });
  await builder.addGraph(model.graph, model.opsets);
  return builder.finish(model.graph, bound.symbols);
}

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
