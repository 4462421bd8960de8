/** Typed access to a node's attributes: the value, the default, or an error that names node and attribute. */
import { LeafcutterError } from "../../runtime/format/diagnostic.ts";
import type { Expression } from "../../runtime/format/expression.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import type { Dim } from "./dimension.ts";
import type { Attribute, Graph, Node } from "./graph.ts";

interface Values {
  readonly integer: number;
  readonly float: number;
  readonly string: string;
  readonly integers: readonly number[];
  readonly floats: readonly number[];
  readonly strings: readonly string[];
  readonly dims: readonly Dim[];
  readonly tensor: Tensor;
  readonly expression: Expression;
  readonly graph: Graph;
}
type ValueOf<K extends Attribute["kind"]> = Values[K];

function read<K extends Attribute["kind"]>(node: Node, name: string, kind: K): ValueOf<K> | undefined {
  const attribute = node.attributes[name];
  if (attribute === undefined) return undefined;
  const { value } = attribute;
  if (attribute.kind !== kind) {
    // An empty list carries no type in some files.
    if (Array.isArray(value) && value.length === 0) return value as unknown as ValueOf<K>;
    throw new LeafcutterError({
      code: "operator-invalid",
      where: `node ${node.name} (${node.op})`,
      message: `attribute ${name} has the wrong kind`,
      expected: kind,
      received: attribute.kind,
      advice: "Check the model with the exporter's own checker.",
    });
  }
  return value as unknown as ValueOf<K>;
}

export const integerOf = (node: Node, name: string, fallback: number): number =>
  read(node, name, "integer") ?? fallback;
export const floatOf = (node: Node, name: string, fallback: number): number => read(node, name, "float") ?? fallback;
export const stringOf = (node: Node, name: string, fallback: string): string => read(node, name, "string") ?? fallback;
export const integersOf = (node: Node, name: string): readonly number[] | undefined => read(node, name, "integers");
export const floatsOf = (node: Node, name: string): readonly number[] | undefined => read(node, name, "floats");
export const dimsOf = (node: Node, name: string): ValueOf<"dims"> | undefined => read(node, name, "dims");
export const tensorOfAttribute = (node: Node, name: string): ValueOf<"tensor"> | undefined =>
  read(node, name, "tensor");
export const expressionOf = (node: Node, name: string): ValueOf<"expression"> | undefined =>
  read(node, name, "expression");

export const stringsOf = (node: Node, name: string): readonly string[] | undefined => read(node, name, "strings");

/** A nested graph. Throws operator-invalid when there is none. */
export function graphOf(node: Node, name: string): Graph {
  const graph = read(node, name, "graph");
  if (graph) return graph;
  throw new LeafcutterError({
    code: "operator-invalid",
    where: `node ${node.name} (${node.op})`,
    message: `attribute ${name} is missing`,
    expected: "a graph",
  });
}

/** Constructors of attributes. */
export const integerAttribute = (value: number): Attribute => ({ kind: "integer", value });
export const floatAttribute = (value: number): Attribute => ({ kind: "float", value });
export const stringAttribute = (value: string): Attribute => ({ kind: "string", value });
export const integersAttribute = (value: readonly number[]): Attribute => ({ kind: "integers", value });
export const dimsAttribute = (value: ValueOf<"dims">): Attribute => ({ kind: "dims", value });
export const stringsAttribute = (value: readonly string[]): Attribute => ({ kind: "strings", value });
export const graphAttribute = (value: Graph): Attribute => ({ kind: "graph", value });
export const expressionAttribute = (value: ValueOf<"expression">): Attribute => ({ kind: "expression", value });
