/** Executes a graph by the reference functions of its operators: what a graph means, whatever passes made of it. */
import { dimsOf, graphOf, integerOf } from "../../compiler/graph/attribute.ts";
import { evaluateDim } from "../../compiler/graph/dimension.ts";
import type { Attribute, Graph, Node, Value } from "../../compiler/graph/graph.ts";
import { referenceAttributes } from "../../compiler/ops/attributes.ts";
import { operatorOf } from "../../compiler/ops/index.ts";
import { type Tensor, tensorOf } from "../../runtime/format/tensor.ts";

/** Outputs by name. Every symbol must have a value in `bindings`. */
export function evaluateGraph(
  graph: Graph,
  inputs: Readonly<Record<string, Tensor>>,
  bindings: ReadonlyMap<string, number> = new Map(),
): Readonly<Record<string, Tensor>> {
  const tensors = new Map<Value, Tensor>(graph.constants);
  for (const input of graph.inputs) {
    const tensor = inputs[input.name];
    if (!tensor) throw new Error(`input ${input.name} is missing`);
    tensors.set(input, tensor);
  }
  for (const node of graph.nodes) {
    const operands = node.inputs.map((value) => (value ? tensors.get(value) : undefined));
    const results =
      evaluateRegion(node, operands, bindings) ??
      operatorOf(node).reference({
        inputs: operands,
        attributes: referenceAttributes(bound(node, bindings)),
        version: node.version,
        outputCount: node.outputs.length,
      });
    node.outputs.forEach((output, index) => {
      const tensor = results[index];
      if (!tensor) throw new Error(`node ${node.name} (${node.op}) gives no output ${index}`);
      const shape = output.type.shape.map((dim) => evaluateDim(dim, bindings));
      if (tensor.dtype !== output.type.dtype || tensor.shape.join() !== shape.join())
        throw new Error(
          `node ${node.name} (${node.op}) gives ${tensor.dtype}[${tensor.shape}], inferred ${output.type.dtype}[${shape}]`,
        );
      tensors.set(output, tensor);
    });
  }
  return Object.fromEntries(graph.outputs.map(({ name, value }) => [name, tensors.get(value) as Tensor]));
}

/** Outputs of an operator that holds graphs: what ops/control says in words. undefined for any other. */
function evaluateRegion(
  node: Node,
  operands: readonly (Tensor | undefined)[],
  bindings: ReadonlyMap<string, number>,
): readonly Tensor[] | undefined {
  const enter = (name: string, given: readonly (Tensor | undefined)[]): readonly Tensor[] => {
    const graph = graphOf(node, name);
    const inputs = graph.inputs.flatMap((input, index) => {
      const tensor = given[index];
      return tensor ? [[input.name, tensor] as const] : [];
    });
    const outputs = evaluateGraph(graph, Object.fromEntries(inputs), bindings);
    return graph.outputs.map(({ name: output }) => outputs[output] as Tensor);
  };
  const isTrue = (tensor: Tensor | undefined): boolean => tensor?.data[0] !== 0;
  if (node.op === "If") return enter(isTrue(operands[0]) ? "then_branch" : "else_branch", operands.slice(1));
  if (node.op !== "leafcutter.Loop") return undefined;
  const carried = integerOf(node, "carried", 0);
  const [given] = dimsOf(node, "trips") ?? [];
  const trips = given === undefined ? Number(operands[0]?.data[0]) : evaluateDim(given, bindings);
  let states = operands.slice(2, 2 + carried);
  const slices: Tensor[][] = [];
  let goesOn = isTrue(operands[1]);
  for (let iteration = 0; goesOn && iteration < trips; iteration++) {
    const position = tensorOf("int64", [], [iteration]);
    const [again, ...results] = enter("body", [position, ...states, ...operands.slice(2 + carried)]);
    goesOn = isTrue(again);
    states = results.slice(0, carried);
    results.slice(carried).forEach((slice, index) => {
      slices[index] = [...(slices[index] ?? []), slice];
    });
  }
  return [...(states as readonly Tensor[]), ...slices.map(stacked)];
}

/** The slices along a new first axis. */
function stacked(slices: readonly Tensor[]): Tensor {
  const { dtype, shape } = slices[0] as Tensor;
  const data = slices.flatMap((slice) => Array.from(slice.data as ArrayLike<number | bigint>, Number));
  return tensorOf(dtype, [slices.length, ...shape], data);
}

function bound(node: Node, bindings: ReadonlyMap<string, number>): Node {
  const attributes = Object.entries(node.attributes).map(([name, attribute]): [string, Attribute] =>
    attribute.kind === "dims"
      ? [name, { kind: "dims", value: attribute.value.map((dim) => evaluateDim(dim, bindings)) }]
      : [name, attribute],
  );
  return { ...node, attributes: Object.fromEntries(attributes) };
}
