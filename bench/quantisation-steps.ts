/**
 * How finely the outputs of a quantised model are graded: the scale of the DequantizeLinear that gives an output, behind
 * operators that only move values. Such models differ from one correct engine to the next by single steps, which grow from
 * layer to layer, so that compare.ts compares them by steps.
 */
import type { Graph, Node, Value } from "../compiler/graph/graph.ts";
import { indexGraph } from "../compiler/graph/graph.ts";

/** A step for each output; undefined where floats were computed behind the last rounding. */
export type OutputSteps = Readonly<Record<string, number | undefined>>;

const movers: ReadonlySet<string> = new Set([
  "Identity",
  "Reshape",
  "Flatten",
  "Squeeze",
  "Unsqueeze",
  "Transpose",
  "Slice",
  "Concat",
]);

/** Activations are rounded to integers by a QuantizeLinear, an operator of the QOperator form, or by its own request. */
function roundsActivations({ op, attributes }: Node): boolean {
  const accuracy = attributes.accuracy_level;
  return (
    /^(com\.microsoft\.)?(QuantizeLinear|QLinear\w+|QGemm)$/.test(op) ||
    (accuracy?.kind === "integer" && accuracy.value === 4)
  );
}

/** undefined for a model that rounds no activations. `graph` as it was imported. */
export function outputSteps(graph: Graph): OutputSteps | undefined {
  if (!graph.nodes.some(roundsActivations)) return undefined;
  const { producer } = indexGraph(graph);
  const behind = (value: Value): Value => {
    const node = producer(value);
    const [source] = node && movers.has(node.op) ? node.inputs : [];
    return source ? behind(source) : value;
  };
  return Object.fromEntries(
    graph.outputs.map(({ name, value }) => {
      const node = producer(behind(value));
      if (/^u?int8$/.test(value.type.dtype)) return [name, 1];
      const [, scale] = node?.op === "DequantizeLinear" ? node.inputs : [];
      const tensor = scale && graph.constants.get(behind(scale));
      return [name, tensor?.data.length === 1 ? Number(tensor.data[0]) : undefined];
    }),
  );
}
