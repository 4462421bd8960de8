/**
 * An ONNX file as plain data: the messages of onnx.proto that import uses, decoded, with the payload of large
 * tensors still in the file (a byte range) and element types still as codes, so that nothing is refused before
 * it is used.
 */

/** Bytes [offset, offset + length) of the model file. */
export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

/** One occurrence of a payload field of TensorProto; several of one field follow one another. */
export interface TensorChunk {
  /** Field number in TensorProto. */
  readonly field: number;
  readonly payload: Uint8Array | ByteRange;
}

export interface OnnxTensor {
  readonly name: string;
  readonly dims: readonly number[];
  /** TensorProto.DataType. */
  readonly dataType: number;
  readonly chunks: readonly TensorChunk[];
  /** Entries of external_data when the payload is in another file. */
  readonly external: ReadonlyMap<string, string> | undefined;
  /** Tensors cut into segments exist on paper only. */
  readonly segmented: boolean;
}

/** An attribute's value; `reference` is a parameter of the enclosing function. */
export type OnnxAttributeValue =
  | { readonly kind: "float"; readonly value: number }
  | { readonly kind: "integer"; readonly value: number }
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "tensor"; readonly value: OnnxTensor }
  | { readonly kind: "graph"; readonly value: OnnxGraph }
  | { readonly kind: "floats"; readonly value: readonly number[] }
  | { readonly kind: "integers"; readonly value: readonly number[] }
  | { readonly kind: "strings"; readonly value: readonly string[] }
  | { readonly kind: "reference"; readonly value: string }
  /** A kind that nothing here can use: its ONNX name. */
  | { readonly kind: "other"; readonly value: string };

export type OnnxAttributes = ReadonlyMap<string, OnnxAttributeValue>;

export interface OnnxNode {
  /** As in the file; may be empty. */
  readonly name: string;
  readonly opType: string;
  /** "" for the default domain, whose other name is "ai.onnx". */
  readonly domain: string;
  readonly overload: string;
  /** "" where an optional one is absent. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: OnnxAttributes;
}

/** A number, a name, or undefined where the file leaves it open. */
export type OnnxDim = number | string | undefined;

export type OnnxType =
  | {
      readonly kind: "tensor";
      readonly elementType: number /** undefined: unknown rank. */;
      readonly dims: readonly OnnxDim[] | undefined;
    }
  /** A sequence, map, optional, sparse or absent type. */
  | { readonly kind: "other"; readonly name: string };

export interface OnnxValueInfo {
  readonly name: string;
  readonly type: OnnxType;
}

export interface OnnxGraph {
  readonly name: string;
  readonly nodes: readonly OnnxNode[];
  readonly initializers: readonly OnnxTensor[];
  /** Names of sparse initialisers. */
  readonly sparse: readonly string[];
  readonly inputs: readonly OnnxValueInfo[];
  readonly outputs: readonly OnnxValueInfo[];
}

/** Domain -> version. */
export type OpsetVersions = ReadonlyMap<string, number>;

/** A function that the model itself defines. */
export interface OnnxFunction {
  readonly name: string;
  readonly domain: string;
  readonly overload: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Names of attributes without a default. */
  readonly parameters: readonly string[];
  /** Attributes with a default. */
  readonly defaults: OnnxAttributes;
  readonly nodes: readonly OnnxNode[];
  readonly opsets: OpsetVersions;
}

export interface OnnxModel {
  readonly producer: string;
  readonly graph: OnnxGraph;
  readonly opsets: OpsetVersions;
  readonly functions: readonly OnnxFunction[];
}
