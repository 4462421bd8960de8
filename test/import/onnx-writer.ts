/**
 * Writes small ONNX messages for the tests: only what a test sets, field by field, so that damaged and unusual
 * files can be made as well as good ones.
 */
import { PbfWriter } from "pbf";

export interface TensorFields {
  readonly name?: string;
  readonly dims?: readonly number[];
  readonly type: number;
  readonly raw?: Uint8Array;
  readonly floats?: readonly number[];
  readonly int32s?: readonly number[];
  readonly int64s?: readonly number[];
  readonly doubles?: readonly number[];
  readonly uint64s?: readonly number[];
  readonly external?: Readonly<Record<string, string>>;
  /** Repeated fields one value at a time, as older writers do. */
  readonly unpacked?: boolean;
}

export type AttributeFields =
  | { readonly f: number }
  | { readonly i: number }
  | { readonly s: string }
  | { readonly t: TensorFields }
  | { readonly g: GraphFields }
  | { readonly floats: readonly number[] }
  | { readonly ints: readonly number[] }
  | { readonly strings: readonly string[] }
  | { readonly sparse: true }
  | { readonly reference: string };

export interface NodeFields {
  readonly op: string;
  readonly inputs?: readonly string[];
  readonly outputs?: readonly string[];
  readonly name?: string;
  readonly domain?: string;
  readonly overload?: string;
  readonly attributes?: Readonly<Record<string, AttributeFields>>;
}

export interface PortFields {
  readonly name: string;
  /** 1 (float) unless given. */
  readonly type?: number;
  /** null: a dimension without number or name. undefined: no shape. */
  readonly dims?: readonly (number | string | null)[];
}

export interface GraphFields {
  readonly nodes?: readonly NodeFields[];
  readonly initializers?: readonly TensorFields[];
  readonly inputs?: readonly PortFields[];
  /** A name alone is a float output of unknown shape. */
  readonly outputs?: readonly (string | PortFields)[];
}

export interface FunctionFields {
  readonly name: string;
  readonly domain: string;
  readonly overload?: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: readonly string[];
  readonly defaults?: Readonly<Record<string, AttributeFields>>;
  readonly nodes: readonly NodeFields[];
}

export interface ModelFields extends GraphFields {
  readonly opset?: number;
  /** Further domains, in version 1. */
  readonly domains?: readonly string[];
  readonly functions?: readonly FunctionFields[];
}

const list = (values: readonly number[]): number[] => [...values];

function writeTensor(tensor: TensorFields, pbf: PbfWriter): void {
  const { name, dims, type, raw, floats, int32s, int64s, doubles, uint64s, external, unpacked } = tensor;
  if (dims) pbf.writePackedVarint(1, list(dims));
  pbf.writeVarintField(2, type);
  const integers = (field: number, values: readonly number[] | undefined): void => {
    if (values && unpacked) for (const value of values) pbf.writeVarintField(field, value);
    else if (values) pbf.writePackedVarint(field, list(values));
  };
  if (floats && unpacked) for (const value of floats) pbf.writeFloatField(4, value);
  else if (floats) pbf.writePackedFloat(4, list(floats));
  integers(5, int32s);
  integers(7, int64s);
  if (name !== undefined) pbf.writeStringField(8, name);
  if (raw) pbf.writeBytesField(9, raw);
  if (doubles && unpacked) for (const value of doubles) pbf.writeDoubleField(10, value);
  else if (doubles) pbf.writePackedDouble(10, list(doubles));
  integers(11, uint64s);
  if (!external) return;
  for (const entry of Object.entries(external))
    pbf.writeMessage(
      13,
      ([key, value], inner) => {
        inner.writeStringField(1, key);
        inner.writeStringField(2, value);
      },
      entry,
    );
  pbf.writeVarintField(14, 1);
}

function writeAttribute([name, value]: readonly [string, AttributeFields], pbf: PbfWriter): void {
  pbf.writeStringField(1, name);
  const type = (code: number): void => pbf.writeVarintField(20, code);
  if ("f" in value) {
    pbf.writeFloatField(2, value.f);
    type(1);
  } else if ("i" in value) {
    pbf.writeVarintField(3, value.i);
    type(2);
  } else if ("s" in value) {
    pbf.writeStringField(4, value.s);
    type(3);
  } else if ("t" in value) {
    pbf.writeMessage(5, writeTensor, value.t);
    type(4);
  } else if ("g" in value) {
    pbf.writeMessage(6, writeGraph, value.g);
    type(5);
  } else if ("floats" in value) {
    pbf.writePackedFloat(7, list(value.floats));
    type(6);
  } else if ("ints" in value) {
    pbf.writePackedVarint(8, list(value.ints));
    type(7);
  } else if ("strings" in value) {
    for (const text of value.strings) pbf.writeStringField(9, text);
    type(8);
  } else if ("sparse" in value) {
    pbf.writeMessage(22, () => undefined, undefined);
    type(11);
  } else pbf.writeStringField(21, value.reference);
}

function writeNode(node: NodeFields, pbf: PbfWriter): void {
  for (const name of node.inputs ?? []) pbf.writeStringField(1, name);
  for (const name of node.outputs ?? []) pbf.writeStringField(2, name);
  if (node.name !== undefined) pbf.writeStringField(3, node.name);
  pbf.writeStringField(4, node.op);
  for (const attribute of Object.entries(node.attributes ?? {})) pbf.writeMessage(5, writeAttribute, attribute);
  if (node.domain !== undefined) pbf.writeStringField(7, node.domain);
  if (node.overload !== undefined) pbf.writeStringField(8, node.overload);
}

function writePort(port: PortFields, pbf: PbfWriter): void {
  pbf.writeStringField(1, port.name);
  pbf.writeMessage(
    2,
    (_, type) =>
      type.writeMessage(
        1,
        (__, tensor) => {
          tensor.writeVarintField(1, port.type ?? 1);
          if (port.dims) tensor.writeMessage(2, writeShape, port.dims);
        },
        undefined,
      ),
    undefined,
  );
}

function writeShape(dims: readonly (number | string | null)[], pbf: PbfWriter): void {
  for (const dim of dims)
    pbf.writeMessage(
      1,
      (_, inner) => {
        if (typeof dim === "number") inner.writeVarintField(1, dim);
        else if (typeof dim === "string") inner.writeStringField(2, dim);
      },
      undefined,
    );
}

function writeGraph(graph: GraphFields, pbf: PbfWriter): void {
  for (const node of graph.nodes ?? []) pbf.writeMessage(1, writeNode, node);
  pbf.writeStringField(2, "test");
  for (const tensor of graph.initializers ?? []) pbf.writeMessage(5, writeTensor, tensor);
  for (const port of graph.inputs ?? []) pbf.writeMessage(11, writePort, port);
  for (const output of graph.outputs ?? [])
    pbf.writeMessage(12, writePort, typeof output === "string" ? { name: output } : output);
}

function writeFunction(definition: FunctionFields, pbf: PbfWriter): void {
  pbf.writeStringField(1, definition.name);
  for (const name of definition.inputs) pbf.writeStringField(4, name);
  for (const name of definition.outputs) pbf.writeStringField(5, name);
  for (const name of definition.attributes ?? []) pbf.writeStringField(6, name);
  for (const node of definition.nodes) pbf.writeMessage(7, writeNode, node);
  pbf.writeMessage(9, writeOpset, ["", 17]);
  pbf.writeStringField(10, definition.domain);
  for (const attribute of Object.entries(definition.defaults ?? {})) pbf.writeMessage(11, writeAttribute, attribute);
  if (definition.overload !== undefined) pbf.writeStringField(13, definition.overload);
}

function writeOpset([domain, version]: readonly [string, number], pbf: PbfWriter): void {
  pbf.writeStringField(1, domain);
  pbf.writeVarintField(2, version);
}

/** A TensorProto. */
export function tensorBytes(tensor: TensorFields): Uint8Array {
  const pbf = new PbfWriter();
  writeTensor(tensor, pbf);
  return pbf.finish().slice();
}

/** A ModelProto. */
export function modelBytes(model: ModelFields): Uint8Array {
  const pbf = new PbfWriter();
  pbf.writeVarintField(1, 8);
  pbf.writeStringField(2, "test");
  pbf.writeMessage(7, writeGraph, model);
  pbf.writeMessage(8, writeOpset, ["", model.opset ?? 17]);
  for (const domain of model.domains ?? []) pbf.writeMessage(8, writeOpset, [domain, 1]);
  for (const definition of model.functions ?? []) pbf.writeMessage(25, writeFunction, definition);
  return pbf.finish().slice();
}

/** The bytes of a typed array or Uint8Array as raw_data. */
export const rawBytes = (data: ArrayBufferView): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
