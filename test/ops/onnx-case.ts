/**
 * Runs one case of the ONNX backend suite node by node: every node is inferred, then computed by its reference, which
 * must have the inferred types. Inputs of the model count as constants, so that forms with data-dependent shapes run.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { convertAttributes } from "../../compiler/import/onnx/attribute.ts";
import { constantOf } from "../../compiler/import/onnx/constant.ts";
import { inlineFunctions } from "../../compiler/import/onnx/inline.ts";
import { inTopologicalOrder } from "../../compiler/import/onnx/order.ts";
import { scanModel } from "../../compiler/import/onnx/scan.ts";
import { smallTypesOf, withSmallTypes } from "../../compiler/import/onnx/small-type.ts";
import { loadTensor, readTensorProto } from "../../compiler/import/onnx/tensor.ts";
import { bytesSource } from "../../compiler/import/source.ts";
import { LeafcutterError } from "../../runtime/format/diagnostic.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import { difference } from "./compare.ts";
import { executeReference, inferCall, type NodeCall } from "./execute.ts";

export interface CaseModel {
  /** Names of the operators in the graph, functions inlined. */
  readonly operators: readonly string[];
  /** Computes the graph's outputs; `visit` sees each node with the outputs of its reference. */
  readonly run: (
    inputs: readonly (Tensor | undefined)[],
    visit: (call: NodeCall, outputs: readonly Tensor[]) => void,
  ) => Promise<readonly (Tensor | undefined)[]>;
}

const named = (domain: string, opType: string): string => (domain === "" ? opType : `${domain}.${opType}`);

/** Throws LeafcutterError for files that import refuses. */
export async function readCase(folder: string): Promise<CaseModel> {
  const source = bytesSource("model.onnx", new Uint8Array(readFileSync(join(folder, "model.onnx"))));
  const model = await scanModel(source);
  const nodes = inTopologicalOrder(inlineFunctions(model), ({ opType }) => opType);
  const operators = nodes.map(({ domain, opType }) => named(domain, opType)).filter((op) => op !== "Constant");
  const run: CaseModel["run"] = async (inputs, visit) => {
    const values = new Map<string, Tensor>();
    const smallTypes = smallTypesOf(model.graph);
    for (const tensor of model.graph.initializers) values.set(tensor.name, await loadTensor(tensor, source));
    const declared = model.graph.inputs.filter(({ name }) => !values.has(name));
    declared.forEach(({ name }, index) => {
      const tensor = inputs[index];
      if (tensor) values.set(name, tensor);
    });
    for (const node of nodes) {
      if (node.opType === "Constant" && node.domain === "") {
        values.set(node.outputs[0] ?? "", await constantOf(node, source, node.name));
        continue;
      }
      const names = node.inputs.slice(0, node.inputs.findLastIndex((name) => name !== "") + 1);
      const op = named(node.domain, node.opType);
      const attributes = await convertAttributes(node.attributes, source, node.opType);
      const head = withSmallTypes({ op, attributes, inputs: names }, (index) => smallTypes.get(names[index] ?? ""));
      const call: NodeCall = {
        op: head.op,
        version: node.version,
        attributes: head.attributes,
        inputs: head.inputs.map((name) => values.get(name)),
        outputCount: node.outputs.length,
      };
      const { types } = inferCall(call, "constants");
      const outputs = executeReference(call);
      types.forEach((type, index) => {
        const output = outputs[index];
        const inferred = `${type.dtype}[${type.shape}]`;
        const computed = `${output?.dtype}[${output?.shape}]`;
        if (inferred !== computed)
          throw new Error(`${call.op}: output ${index} is inferred as ${inferred}, computed as ${computed}`);
      });
      visit(call, outputs);
      node.outputs.forEach((name, index) => {
        const output = outputs[index];
        if (name && output) values.set(name, output);
      });
    }
    return model.graph.outputs.map(({ name }) => values.get(name));
  };
  return { operators, run };
}

const tensorsOf = (folder: string, kind: "input" | "output"): readonly Tensor[] =>
  readdirSync(folder)
    .filter((file) => new RegExp(`^${kind}_\\d+\\.pb$`).test(file))
    .sort((a, b) => Number(/\d+/.exec(a)) - Number(/\d+/.exec(b)))
    .map((file) => readTensorProto(new Uint8Array(readFileSync(join(folder, file))), file));

/** Runs every data set of a case. The result says what went wrong; undefined when all outputs agree. */
export async function checkCase(
  folder: string,
  model: CaseModel,
  visit: (call: NodeCall, outputs: readonly Tensor[]) => void,
): Promise<string | undefined> {
  for (const set of readdirSync(folder).filter((name) => name.startsWith("test_data_set_"))) {
    const expected = tensorsOf(join(folder, set), "output");
    const outputs = await model.run(tensorsOf(join(folder, set), "input"), visit);
    for (const [index, tensor] of expected.entries()) {
      const half = tensor.dtype === "float16" ? 2e-3 : tensor.dtype === "bfloat16" ? 2e-2 : 0;
      const problem = difference(outputs[index], tensor, {
        absolute: Math.max(1e-5, half),
        relative: Math.max(1e-3, half),
      });
      if (problem) return `${set} output ${index}: ${problem}`;
    }
  }
  return undefined;
}

/** Whether an error says that the file holds something Leafcutter does not have. */
export const isUnsupported = (error: unknown): boolean =>
  error instanceof LeafcutterError && error.code === "model-unsupported";
