/**
 * Computes float16 and bfloat16 models in float32: the engines' vectors have no half arithmetic. Constants keep
 * float16 as their storage, so the package does not grow; graph inputs and outputs keep their types behind casts.
 * Valid because float32 holds every half value, and rounding in between only loses accuracy.
 */
import { type DType, isFloat } from "../../runtime/format/dtype.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import { castTensor } from "../../runtime/reference/convert.ts";
import { numberOfDtype } from "../../runtime/reference/data-type.ts";
import { integerAttribute } from "../graph/attribute.ts";
import { FactStore } from "../graph/facts.ts";
import type { Attribute, Attributes, Graph, Node, Storage, TensorType, Value } from "../graph/graph.ts";
import { inferNode } from "../ops/infer.ts";
import type { Pass } from "./pass.ts";
import { isRegion } from "./regions.ts";

export const widenHalf: Pass = {
  name: "widen-half",
  reason: "half-precision models compute in float32 and stay small on the wire",
  run: widen,
};

const isHalf = (dtype: DType): boolean => dtype === "float16" || dtype === "bfloat16";

/** Attributes that name an element type by its ONNX number. */
const typeAttributes: ReadonlySet<string> = new Set(["to", "dtype", "output_dtype", "stash_type"]);

const widenedTensor = (tensor: Tensor): Tensor => (isHalf(tensor.dtype) ? castTensor(tensor, "float32") : tensor);

function widenedAttribute(name: string, attribute: Attribute): Attribute {
  if (attribute.kind === "tensor") return { kind: "tensor", value: widenedTensor(attribute.value) };
  const half =
    attribute.kind === "integer" &&
    typeAttributes.has(name) &&
    ["float16", "bfloat16"].some((dtype) => numberOfDtype(dtype as DType) === attribute.value);
  return half ? integerAttribute(numberOfDtype("float32")) : attribute;
}

const widenedAttributes = (attributes: Attributes): Attributes =>
  Object.fromEntries(Object.entries(attributes).map(([name, attribute]) => [name, widenedAttribute(name, attribute)]));

/** A cast at the edge of the graph, as this pass leaves them (and fusion may rename them). */
function isEdgeCast(node: Node): boolean {
  const half = (values: readonly (Value | undefined)[]): boolean =>
    values.some((value) => value && isHalf(value.type.dtype));
  return (node.op === "Cast" || node.op === "leafcutter.Elementwise") && half(node.inputs) !== half(node.outputs);
}

function usesHalf(graph: Graph): boolean {
  const computing = graph.nodes.filter((node) => !isEdgeCast(node) && !isRegion(node));
  const values = [...graph.constants.keys(), ...computing.flatMap(({ inputs, outputs }) => [...inputs, ...outputs])];
  return values.some((value) => value && isHalf(value.type.dtype));
}

function widen(graph: Graph): Graph {
  if (!usesHalf(graph)) return graph;
  const facts = new FactStore();
  const widened = new Map<Value, Value>();
  const constants = new Map<Value, Tensor>();
  const nodes: Node[] = [];
  const names = new Set(
    [...graph.inputs, ...graph.constants.keys(), ...graph.nodes.flatMap(({ outputs }) => outputs)].map(
      ({ name }) => name,
    ),
  );
  const nodeNames = new Set(graph.nodes.map(({ name }) => name));

  const add = (node: Omit<Node, "outputs">, outputs: readonly string[]): readonly Value[] => {
    // Rules may ask how many outputs there are, not what they are.
    const untyped = outputs.map((name): Value => ({ name, type: { dtype: "float32", shape: [] } }));
    const { types, elements } = inferNode({ ...node, outputs: untyped }, facts);
    const values = outputs.map((name, index): Value => ({ name, type: types[index] as TensorType }));
    if (values[0] && elements) facts.setElements(values[0], elements);
    nodes.push({ ...node, outputs: values });
    return values;
  };
  const cast = (value: Value, dtype: DType, wish: string): Value => {
    const name = fresh(wish, nodeNames);
    const node = {
      op: "Cast",
      version: 13,
      name,
      sources: [],
      inputs: [value],
      attributes: { to: integerAttribute(numberOfDtype(dtype)) },
    };
    return add(node, [fresh(name, names)])[0] as Value;
  };

  /** Nested graphs keep their types, and are widened on their own. */
  const addRegion = (node: Node): void => {
    const inputs = node.inputs.map((value) => {
      const wide = value && (widened.get(value) ?? value);
      return value && wide && wide.type.dtype !== value.type.dtype
        ? cast(wide, value.type.dtype, `${value.name}/${value.type.dtype}`)
        : wide;
    });
    const outputs = add(
      { ...node, inputs },
      node.outputs.map(({ name }) => name),
    );
    for (const [index, output] of node.outputs.entries()) {
      const made = outputs[index] as Value;
      widened.set(output, isHalf(made.type.dtype) ? cast(made, "float32", `${made.name}/float32`) : made);
    }
  };

  for (const input of graph.inputs)
    widened.set(input, isHalf(input.type.dtype) ? cast(input, "float32", `${input.name}/float32`) : input);
  for (const [value, tensor] of graph.constants) {
    const wide = widenedTensor(tensor);
    const storage: Storage | undefined = tensor.dtype === "float16" ? { kind: "float16" } : value.type.storage;
    const result: Value =
      wide === tensor
        ? value
        : { name: value.name, type: { dtype: "float32", shape: value.type.shape, ...(storage ? { storage } : {}) } };
    widened.set(value, result);
    constants.set(result, wide);
    facts.setConstant(result, wide);
  }
  for (const node of graph.nodes) {
    if (isRegion(node)) {
      addRegion(node);
      continue;
    }
    const inputs = node.inputs.map((value) => value && (widened.get(value) ?? value));
    const outputs = add(
      { ...node, inputs, attributes: widenedAttributes(node.attributes) },
      node.outputs.map(({ name }) => name),
    );
    for (const [index, output] of node.outputs.entries()) widened.set(output, outputs[index] as Value);
  }
  const outputs = graph.outputs.map(({ name, value }) => {
    const result = widened.get(value) ?? value;
    const narrow = isHalf(value.type.dtype) && isFloat(result.type.dtype) && !graph.inputs.includes(value);
    return {
      name,
      value: narrow
        ? cast(result, value.type.dtype, `${name}/${value.type.dtype}`)
        : graph.inputs.includes(value)
          ? value
          : result,
    };
  });
  return { ...graph, nodes, constants, outputs };
}

/** `wish`, or `wish` with the first free number behind it; added to `taken`. */
function fresh(wish: string, taken: Set<string>): string {
  let name = wish;
  for (let number = 2; taken.has(name); number++) name = `${wish}.${number}`;
  taken.add(name);
  return name;
}
