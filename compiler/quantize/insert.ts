/**
 * Puts QuantizeLinear and DequantizeLinear behind the values that become integers, each read through them by those who can
 * take integers; the others keep reading the floats. Seven bits: both nodes say so in `bits`, and the first saturates at 127. What is quantised by the range of a run has an int8 of its own for
 * each row, or for the tensor.
 */

import { binary, cast, constant, type Expression, input, unary } from "../../runtime/format/expression.ts";
import { tensorOf } from "../../runtime/format/tensor.ts";
import { expressionAttribute, integerAttribute, integersAttribute } from "../graph/attribute.ts";
import type { Dim } from "../graph/dimension.ts";
import type { Graph, Node, Value } from "../graph/graph.ts";
import type { ActivationScale } from "./calibration.ts";

export interface Insertion {
  readonly scales: ReadonlyMap<Value, ActivationScale>;
  readsIntegers(node: Node, input: number): boolean;
  /** Values whose scale is found in every run, and who reads them so. */
  readonly dynamic: ReadonlyMap<Value, ReadonlySet<Node>>;
}

const quantiseVersion = 21;

/** Rows of products have a scale each, convolutions one for the image. */
type Extent = "row" | "tensor";
const extents: readonly Extent[] = ["row", "tensor"];
const extentOf = ({ op, inputs }: Node): Extent =>
  op === "leafcutter.MatMul" && typeof inputs[0]?.type.shape.at(-1) === "number" ? "row" : "tensor";

/** Of a row of zeros. */
const leastScale = 1e-30;

export function insertQuantisation(graph: Graph, { scales, readsIntegers, dynamic }: Insertion): Graph {
  const constants = new Map(graph.constants);
  const names = new Set([...graph.inputs, ...constants.keys()].map(({ name }) => name));
  for (const node of graph.nodes) for (const output of node.outputs) names.add(output.name);
  const nodeNames = new Set(graph.nodes.map(({ name }) => name));
  const nodes: Node[] = [];
  const replaced = new Map<Value, Value>();
  const replacedDynamic: Readonly<Record<Extent, Map<Value, Value>>> = { row: new Map(), tensor: new Map() };

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
    at: {
      readonly name: string;
      readonly sources: readonly string[];
      readonly attributes?: Node["attributes"];
      readonly version?: number;
    },
  ): void => {
    const { sources, attributes = {}, version = quantiseVersion } = at;
    nodes.push({ op, version, name: named(at.name, nodeNames), sources, inputs, outputs, attributes });
  };

  const elementwise = (
    inputs: readonly Value[],
    output: Value,
    expression: Expression,
    sources: readonly string[],
  ): void =>
    emit("leafcutter.Elementwise", inputs, [output], {
      name: output.name,
      sources,
      attributes: { expression: expressionAttribute(expression) },
    });

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

  /** The largest magnitude becomes 127, zero stays 0: nothing to correct, and nothing to know outside an image. */
  const quantiseDynamically = (value: Value, extent: Extent, sources: readonly string[]): void => {
    const { shape } = value.type;
    const rank = shape.length;
    const isRow = extent === "row";
    const axes = isRow ? [rank - 1] : shape.map((_, axis) => axis);
    const name = `${value.name}/${extent}`;
    const scaleShape = isRow ? [...shape.slice(0, -1), 1] : [];
    const float = (part: string, own: readonly Dim[]): Value =>
      newValue(`${name} ${part}`, { dtype: "float32", shape: own });
    const [largest, smallest, scale] = [
      float("largest", scaleShape),
      float("smallest", scaleShape),
      float("scale", scaleShape),
    ];
    const attributes = { axes: integersAttribute(axes), keepdims: integerAttribute(isRow ? 1 : 0) };
    emit("ReduceMax", [value], [largest], { name: largest.name, sources, attributes, version: 13 });
    emit("ReduceMin", [value], [smallest], { name: smallest.name, sources, attributes, version: 13 });
    const magnitude = binary("maximum", input(0), unary("negate", input(1)));
    elementwise(
      [largest, smallest],
      scale,
      binary("maximum", binary("multiply", magnitude, constant(Math.fround(1 / 127))), constant(leastScale)),
      sources,
    );
    const integers = newValue(`${name} quantised`, { dtype: "int8", shape });
    const rounded = unary("round", binary("divide", input(0), input(1)));
    const within = binary("minimum", binary("maximum", rounded, constant(-127)), constant(127));
    elementwise([value, scale], integers, cast("int8", within), sources);
    const floats = float("dequantised", shape);
    const blocks = { axis: integerAttribute(rank - 1), block_size: integerAttribute(shape.at(-1) as number) };
    emit("DequantizeLinear", [integers, scale], [floats], {
      name: floats.name,
      sources,
      attributes: isRow ? blocks : {},
    });
    replacedDynamic[extent].set(value, floats);
  };

  const finishDynamic = (value: Value, sources: readonly string[]): void => {
    for (const extent of extents)
      if ([...(dynamic.get(value) ?? [])].some((node) => extentOf(node) === extent))
        quantiseDynamically(value, extent, sources);
  };

  const finish = (value: Value, sources: readonly string[]): void => {
    const scale = scales.get(value);
    if (scale) quantise(value, scale, sources);
    finishDynamic(value, sources);
  };

  for (const value of graph.inputs) finish(value, []);
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((value, at) => {
      if (!value) return value;
      if (at === 0 && dynamic.get(value)?.has(node)) return replacedDynamic[extentOf(node)].get(value) ?? value;
      return readsIntegers(node, at) ? (replaced.get(value) ?? value) : value;
    });
    nodes.push({ ...node, inputs });
    for (const output of node.outputs) finish(output, node.sources);
  }
  return { ...graph, nodes, constants };
}
