/** An operator case as a graph of one node: inputs are called "x<i>", outputs "y<i>". */
import { GraphBuilder } from "../../compiler/graph/build.ts";
import type { Graph } from "../../compiler/graph/graph.ts";
import { inferNode } from "../../compiler/ops/infer.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import type { NodeCall } from "./execute.ts";

/** The graph, and the tensors of its inputs; those that `isConstant` names are constants of the graph. */
export function oneNodeGraph(
  call: NodeCall,
  isConstant: (index: number) => boolean,
): { readonly graph: Graph; readonly inputs: Readonly<Record<string, Tensor>> } {
  const builder = new GraphBuilder("case", inferNode);
  const inputs: Record<string, Tensor> = {};
  const values = call.inputs.map((tensor, index) => {
    if (!tensor) return undefined;
    if (isConstant(index)) return builder.constant(`x${index}`, tensor);
    inputs[`x${index}`] = tensor;
    return builder.input(`x${index}`, tensor.dtype, tensor.shape);
  });
  const outputs = Array.from({ length: call.outputCount }, (_, index) => `y${index}`);
  const nodeOptions = { version: call.version, name: "node", outputs };
  builder.addNode(call.op, values, call.attributes, nodeOptions).forEach((output, index) => {
    builder.output(`y${index}`, output);
  });
  return { graph: builder.finish(), inputs };
}
