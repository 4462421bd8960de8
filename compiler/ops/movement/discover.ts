/**
 * Outputs whose shape depends on data: known when all inputs are constants, by computing them. Otherwise refused:
 * memory is planned before any data is seen.
 */
import { LeafcutterError } from "../../../runtime/format/diagnostic.ts";
import type { Tensor } from "../../../runtime/format/tensor.ts";
import type { Reference } from "../../../runtime/reference/reference.ts";
import type { TensorType } from "../../graph/graph.ts";
import { referenceAttributes } from "../attributes.ts";
import type { OperatorContext } from "../operator.ts";

/** Types of what `reference` computes from the node's constant inputs. Throws model-unsupported when one is not constant. */
export function discoveredTypes(context: OperatorContext, reference: Reference): readonly TensorType[] {
  const { node } = context;
  const inputs = node.inputs.map((value, index): Tensor | undefined => {
    const tensor = context.constant(index);
    if (!value || tensor) return tensor;
    throw new LeafcutterError({
      code: "model-unsupported",
      where: `node ${node.name} (${node.op})`,
      message: "the shape of the result depends on data",
      expected: "shapes that are known when the model is compiled",
      advice: "Cut the model before this node and do this step in the application.",
    });
  });
  const outputs = reference({
    inputs,
    attributes: referenceAttributes(node),
    version: node.version,
    outputCount: node.outputs.length,
  });
  return outputs.slice(0, node.outputs.length).map(({ dtype, shape }) => ({ dtype, shape }));
}
