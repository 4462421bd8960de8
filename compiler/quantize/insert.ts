/**
 * Puts QuantizeLinear and DequantizeLinear behind the values that become integers, each read through them by those who can
 * take integers; the others keep reading the floats. Seven bits: both nodes say so in `bits`, and the first saturates at 127.
 */
import { tensorOf } from "../../runtime/format/tensor.ts";
import { integerAttribute } from "../graph/attribute.ts";
import type { Graph, Node, Value } from "../graph/graph.ts";
import type { ActivationScale } from "./calibration.ts";

export interface Insertion {
  readonly scales: ReadonlyMap<Value, ActivationScale>;
  readsIntegers(node: Node, input: number): boolean;
  /** Values whose scale is found in every run, and who reads them so. */
  readonly dynamic: ReadonlyMap<Value, ReadonlySet<Node>>;
}

const version = 21;

export function insertQuantisation(graph: Graph, { scales, readsIntegers, dynamic }: Insertion): Graph {
  const constants = new Map(graph.constants);
  const names = new Set([...graph.inputs, ...constants.keys()].map(({ name }) => name));
  for (const node of graph.nodes) for (const output of node.outputs) names.add(output.name);
  const nodeNames = new Set(graph.nodes.map(({ name }) => name));
  const nodes: Node[] = [];
  const replaced = new Map<Value, Value>();
  const replacedDynamic = new Map<Value, Value>();

  const named = (wish: string, taken: Set<string>): string => {
    let name = wish;
    for (let number = 2; taken.has(name); number++) name = `${wish}.${number}`;
    taken.add(name);
    return name;
  };
  const newValue = (name: string, type: Value["type"]): Value => ({ name: named(name, names), type });
  const parameter = (name: string, dtype: "float32" | "uint8", content: number): Value => {
    const value = newValue(name, { dtype, shape: [] });
    constants.set(value, tensorOf(dtype, [], [content]));
    return value;
  };
  const emit = (
    op: string,
    inputs: readonly Value[],
    outputs: readonly Value[],
    at: { readonly name: string; readonly sources: readonly string[]; readonly attributes?: Node["attributes"] },
  ): void => {
    const { sources, attributes = {} } = at;
    nodes.push({ op, version, name: named(at.name, nodeNames), sources, inputs, outputs, attributes });
  };

  const quantise = (value: Value, { scale, zero, bits }: ActivationScale, sources: readonly string[]): void => {
    const { shape } = value.type;
    const attributes: Node["attributes"] = bits === 8 ? {} : { bits: integerAttribute(bits) };
    const parameters = [
      parameter(`${value.name}/scale`, "float32", scale),
      parameter(`${value.name}/zero`, "uint8", zero),
    ] as const;
    const integers = newValue(`${value.name}/quantised`, { dtype: "uint8", shape });
    const floats = newValue(`${value.name}/dequantised`, { dtype: "float32", shape });
    emit("QuantizeLinear", [value, ...parameters], [integers], { name: integers.name, sources, attributes });
    emit("DequantizeLinear", [integers, ...parameters], [floats], { name: floats.name, sources, attributes });
    replaced.set(value, floats);
  };

  const quantiseDynamically = (value: Value, sources: readonly string[]): void => {
    const { shape } = value.type;
    const integers = newValue(`${value.name}/quantised`, { dtype: "uint8", shape });
    const scale = newValue(`${value.name}/scale`, { dtype: "float32", shape: [] });
    const zero = newValue(`${value.name}/zero`, { dtype: "uint8", shape: [] });
    const floats = newValue(`${value.name}/dequantised`, { dtype: "float32", shape });
    emit("DynamicQuantizeLinear", [value], [integers, scale, zero], { name: integers.name, sources });
    emit("DequantizeLinear", [integers, scale, zero], [floats], { name: floats.name, sources });
    replacedDynamic.set(value, floats);
  };

  const finish = (value: Value, sources: readonly string[]): void => {
    const scale = scales.get(value);
    if (scale) quantise(value, scale, sources);
    if (dynamic.has(value)) quantiseDynamically(value, sources);
  };

  for (const value of graph.inputs) finish(value, []);
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((value, at) => {
      if (!value) return value;
      if (at === 0 && dynamic.get(value)?.has(node)) return replacedDynamic.get(value) ?? value;
      return readsIntegers(node, at) ? (replaced.get(value) ?? value) : value;
    });
    nodes.push({ ...node, inputs });
    for (const output of node.outputs) finish(output, node.sources);
  }
  return { ...graph, nodes, constants };
}
