/**
 * The intermediate representation between import and plan. A Graph is immutable: passes build a new one
 * (see rewrite.ts). Values are compared by identity; nodes stand in topological order; every value has one
 * producer (a node, a graph input or a constant). Control flow is nodes with graphs as attributes (If, leafcutter.Loop):
 * what such a graph takes from outside are inputs of the node and of the graph. Its constants may be those of the graph around it.
 */
import type { DType } from "../../runtime/format/dtype.ts";
import type { Expression } from "../../runtime/format/expression.ts";
import type { SymbolBound } from "../../runtime/format/extent.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import type { Dim } from "./dimension.ts";

/** How a float32 constant is stored in the package. Its Tensor holds the values after rounding to that storage. */
export type Storage = { readonly kind: "float16" } | Int8Storage | BlockStorage;

/** value = scales[i] * q, q in -128..127, i the index along `axis`. */
export interface Int8Storage {
  readonly kind: "int8";
  readonly axis: number;
  readonly scales: Float32Array;
}

/**
 * Four bits a value, in blocks of `blockSize` neighbours along `axis` (the last block of a line may be shorter) that share a
 * scale. int4: value = scale * (q - zero), q and zero in 0..15; nf4: value = scale * nf4Code[q] (nf4.ts). Scales and zeros stand
 * in row-major order of the constant's shape with the blocks in place of `axis` (blocks.ts). What families read: K of a
 * product, C/g of a convolution's [O, C/g, kh, kw] (each tap has blocks of its own), any axis of a table.
 */
export interface BlockStorage {
  readonly kind: "int4" | "nf4";
  readonly axis: number;
  readonly blockSize: 16 | 32 | 64 | 128;
  readonly scales: Float32Array;
  /** Of the scales as they are stored; float16, which they then are numbers of, unless given. */
  readonly scaleType?: "float32";
  /** int4 only; 8 everywhere when absent (symmetric). */
  readonly zeros?: Uint8Array;
}

export interface TensorType {
  readonly dtype: DType;
  readonly shape: readonly Dim[];
  /** Only on constants whose packed form is not their dtype. */
  readonly storage?: Storage;
}

/** A tensor in the graph. Identity is the object; `name` is unique within the graph. */
export interface Value {
  readonly name: string;
  readonly type: TensorType;
}

/** Lists hold one kind. `dims` are integers that may be symbolic (Reshape's shape after resolution). */
export type Attribute =
  | { readonly kind: "integer"; readonly value: number }
  | { readonly kind: "float"; readonly value: number }
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "integers"; readonly value: readonly number[] }
  | { readonly kind: "floats"; readonly value: readonly number[] }
  | { readonly kind: "strings"; readonly value: readonly string[] }
  | { readonly kind: "dims"; readonly value: readonly Dim[] }
  | { readonly kind: "tensor"; readonly value: Tensor }
  | { readonly kind: "expression"; readonly value: Expression }
  | { readonly kind: "graph"; readonly value: Graph };

export type Attributes = Readonly<Record<string, Attribute>>;

/**
 * One operation. `op` is the ONNX name; operators of our own and of other domains carry their domain in front
 * ("leafcutter.Elementwise", "com.microsoft.FastGelu"). An absent optional input is undefined; trailing ones are dropped.
 */
export interface Node {
  readonly op: string;
  /** Version of the operator set that the attributes and inputs follow. */
  readonly version: number;
  /** Name for people; that of the source node, or of the last source node where several became one. */
  readonly name: string;
  /** Names of all source nodes that this one stands for. */
  readonly sources: readonly string[];
  readonly inputs: readonly (Value | undefined)[];
  readonly outputs: readonly Value[];
  readonly attributes: Attributes;
}

export interface Graph {
  readonly name: string;
  readonly symbols: ReadonlyMap<string, SymbolBound>;
  readonly inputs: readonly Value[];
  /** Inputs, by name, that have to have this one value (PortDescription.value): what followed from it is constant. */
  readonly fixedInputs?: ReadonlyMap<string, readonly number[]>;
  /** `name` is what the caller sees; one value may stand under several names, and may be an input or a constant. */
  readonly outputs: readonly { readonly name: string; readonly value: Value }[];
  readonly constants: ReadonlyMap<Value, Tensor>;
  readonly nodes: readonly Node[];
}

/** Where each value comes from and goes to; computed once per graph. */
export interface GraphIndex {
  producer(value: Value): Node | undefined;
  consumers(value: Value): readonly Node[];
  isOutput(value: Value): boolean;
}

export function indexGraph(graph: Graph): GraphIndex {
  const producers = new Map<Value, Node>();
  const consumers = new Map<Value, Node[]>();
  for (const node of graph.nodes) {
    for (const output of node.outputs) producers.set(output, node);
    for (const value of new Set(node.inputs)) {
      if (!value) continue;
      const list = consumers.get(value);
      if (list) list.push(node);
      else consumers.set(value, [node]);
    }
  }
  const outputs = new Set(graph.outputs.map(({ value }) => value));
  return {
    producer: (value) => producers.get(value),
    consumers: (value) => consumers.get(value) ?? [],
    isOutput: (value) => outputs.has(value),
  };
}
