/**
 * Messages of onnx.proto (field numbers from the public onnx.proto3) -> the plain data of model.ts.
 * Each function decodes one message held in memory; payloads stay views of those bytes.
 */
import { MessageReader, malformed } from "./message.ts";
import type {
  OnnxAttributeValue,
  OnnxDim,
  OnnxFunction,
  OnnxGraph,
  OnnxNode,
  OnnxTensor,
  OnnxType,
  OnnxValueInfo,
  TensorChunk,
} from "./model.ts";

/** Graphs inside attributes of nodes of graphs: real files nest two or three deep. */
const deepestNesting = 24;

/** The payload fields of TensorProto. */
export const tensorPayload = { float: 4, int32: 5, string: 6, int64: 7, raw: 9, double: 10, uint64: 11 } as const;

const payloadFields: ReadonlySet<number> = new Set(Object.values(tensorPayload));

/** True for the fields of TensorProto that hold elements. */
export const isTensorPayload = (field: number): boolean => payloadFields.has(field);

export function decodeTensor(bytes: Uint8Array): OnnxTensor {
  const reader = new MessageReader(bytes, "tensor");
  const dims: number[] = [];
  const chunks: TensorChunk[] = [];
  const external = new Map<string, string>();
  let [name, dataType, location, segmented] = ["", 0, 0, false];
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === 1) reader.integers(dims);
    else if (field === 2) dataType = reader.integer();
    else if (field === 3) segmented = reader.bytes().byteLength >= 0;
    else if (field === 8) name = reader.string();
    else if (field === 13) external.set(...decodeEntry(reader.bytes()));
    else if (field === 14) location = reader.integer();
    else if (isTensorPayload(field)) chunks.push({ field, payload: reader.payload() });
  }
  return { name, dims, dataType, chunks, external: location === 1 ? external : undefined, segmented };
}

function decodeEntry(bytes: Uint8Array): [key: string, value: string] {
  const reader = new MessageReader(bytes, "external data entry");
  let [key, value] = ["", ""];
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === 1) key = reader.string();
    else if (field === 2) value = reader.string();
  }
  return [key, value];
}

/** The name of a SparseTensorProto: that of its `values` tensor. */
function decodeSparseName(bytes: Uint8Array): string {
  const reader = new MessageReader(bytes, "sparse tensor");
  let name = "";
  for (let field = reader.next(); field !== 0; field = reader.next())
    if (field === 1) name = decodeTensor(reader.bytes()).name;
  return name;
}

function decodeDim(bytes: Uint8Array): OnnxDim {
  const reader = new MessageReader(bytes, "dimension");
  let dim: OnnxDim;
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === 1) dim = reader.integer();
    else if (field === 2) dim = reader.string();
  }
  return dim;
}

function decodeTensorType(bytes: Uint8Array): OnnxType {
  const reader = new MessageReader(bytes, "tensor type");
  let elementType = 0;
  let dims: OnnxDim[] | undefined;
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === 1) elementType = reader.integer();
    else if (field === 2) {
      dims = [];
      const shape = new MessageReader(reader.bytes(), "shape");
      for (let inner = shape.next(); inner !== 0; inner = shape.next())
        if (inner === 1) dims.push(decodeDim(shape.bytes()));
    }
  }
  return { kind: "tensor", elementType, dims };
}

const otherTypes: Readonly<Record<number, string>> = {
  4: "sequence",
  5: "map",
  7: "opaque",
  8: "sparse tensor",
  9: "optional",
};

function decodeValueInfo(bytes: Uint8Array): OnnxValueInfo {
  const reader = new MessageReader(bytes, "value info");
  let name = "";
  let type: OnnxType = { kind: "other", name: "no type" };
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === 1) name = reader.string();
    else if (field === 2) {
      const inner = new MessageReader(reader.bytes(), "type");
      for (let kind = inner.next(); kind !== 0; kind = inner.next()) {
        const other = otherTypes[kind];
        if (kind === 1) type = decodeTensorType(inner.bytes());
        else if (other !== undefined) type = { kind: "other", name: other };
      }
    }
  }
  return { name, type };
}

/** Domain and version of an OperatorSetIdProto. */
export function decodeOpset(bytes: Uint8Array): [domain: string, version: number] {
  const reader = new MessageReader(bytes, "operator set");
  let [domain, version] = ["", 0];
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === 1) domain = reader.string();
    else if (field === 2) version = reader.integer();
  }
  return [normalDomain(domain), version];
}

const normalDomain = (domain: string): string => (domain === "ai.onnx" ? "" : domain);

interface AttributeFields {
  name: string;
  reference: string;
  type: number;
  f: number;
  i: number;
  s: string;
  tensor: OnnxTensor | undefined;
  graph: OnnxGraph | undefined;
  readonly floats: number[];
  readonly integers: number[];
  readonly strings: string[];
  /** Of the field seen last; older files carry no `type`. */
  seen: number;
}

/** AttributeProto.AttributeType by the field that holds the value. */
const typeOfField: Readonly<Record<number, number>> = {
  2: 1,
  3: 2,
  4: 3,
  5: 4,
  6: 5,
  7: 6,
  8: 7,
  9: 8,
  10: 9,
  11: 10,
  22: 11,
  23: 12,
  14: 13,
  15: 14,
};

const otherKinds: Readonly<Record<number, string>> = {
  9: "list of tensors",
  10: "list of graphs",
  11: "sparse tensor",
  12: "list of sparse tensors",
  13: "type",
  14: "list of types",
};

function attributeValue(fields: AttributeFields, where: string): OnnxAttributeValue {
  if (fields.reference !== "") return { kind: "reference", value: fields.reference };
  const type = fields.type || fields.seen;
  switch (type) {
    case 1:
      return { kind: "float", value: fields.f };
    case 2:
      return { kind: "integer", value: fields.i };
    case 3:
      return { kind: "string", value: fields.s };
    case 4:
      if (fields.tensor) return { kind: "tensor", value: fields.tensor };
      break;
    case 5:
      if (fields.graph) return { kind: "graph", value: fields.graph };
      break;
    case 6:
      return { kind: "floats", value: fields.floats };
    case 7:
      return { kind: "integers", value: fields.integers };
    case 8:
      return { kind: "strings", value: fields.strings };
  }
  const other = otherKinds[type];
  if (other !== undefined) return { kind: "other", value: other };
  throw malformed(where, `attribute ${fields.name} has no value`);
}

function decodeAttribute(bytes: Uint8Array, where: string, depth: number): [name: string, value: OnnxAttributeValue] {
  const reader = new MessageReader(bytes, where);
  const fields: AttributeFields = {
    name: "",
    reference: "",
    type: 0,
    f: 0,
    i: 0,
    s: "",
    tensor: undefined,
    graph: undefined,
    floats: [],
    integers: [],
    strings: [],
    seen: 0,
  };
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    fields.seen = typeOfField[field] ?? fields.seen;
    if (field === 1) fields.name = reader.string();
    else if (field === 2) fields.f = reader.float();
    else if (field === 3) fields.i = reader.integer();
    else if (field === 4) fields.s = reader.string();
    else if (field === 5) fields.tensor = decodeTensor(reader.bytes());
    else if (field === 6) fields.graph = decodeGraph(reader.bytes(), depth + 1);
    else if (field === 7) reader.floats(fields.floats);
    else if (field === 8) reader.integers(fields.integers);
    else if (field === 9) fields.strings.push(reader.string());
    else if (field === 20) fields.type = reader.integer();
    else if (field === 21) fields.reference = reader.string();
  }
  return [fields.name, attributeValue(fields, where)];
}

/** `depth`: how many graphs this node is inside of. */
function decodeNode(bytes: Uint8Array, depth = 0): OnnxNode {
  const reader = new MessageReader(bytes, "node");
  const [inputs, outputs]: [string[], string[]] = [[], []];
  const attributeBytes: Uint8Array[] = [];
  let [name, opType, domain, overload] = ["", "", "", ""];
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === 1) inputs.push(reader.string());
    else if (field === 2) outputs.push(reader.string());
    else if (field === 3) name = reader.string();
    else if (field === 4) opType = reader.string();
    else if (field === 5) attributeBytes.push(reader.bytes());
    else if (field === 7) domain = normalDomain(reader.string());
    else if (field === 8) overload = reader.string();
  }
  const where = `node ${name || outputs[0] || "without a name"} (${opType})`;
  const attributes = new Map(attributeBytes.map((attribute) => decodeAttribute(attribute, where, depth)));
  return { name, opType, domain, overload, inputs, outputs, attributes };
}

/** A graph that is an attribute. The model's own graph is read in pieces by scan.ts. */
function decodeGraph(bytes: Uint8Array, depth: number): OnnxGraph {
  if (depth > deepestNesting)
    throw malformed("graph", "graphs are nested too deeply", `at most ${deepestNesting}`, `${depth}`);
  const reader = new MessageReader(bytes, "graph");
  const graph = emptyGraph();
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === graphFields.initializer) graph.initializers.push(decodeTensor(reader.bytes()));
    else addGraphField(graph, field, () => reader.bytes(), depth);
  }
  return graph;
}

/** A graph while its fields arrive. */
export interface GrowingGraph {
  name: string;
  readonly nodes: OnnxNode[];
  readonly initializers: OnnxTensor[];
  readonly sparse: string[];
  readonly inputs: OnnxValueInfo[];
  readonly outputs: OnnxValueInfo[];
}

export const emptyGraph = (): GrowingGraph => ({
  name: "",
  nodes: [],
  initializers: [],
  sparse: [],
  inputs: [],
  outputs: [],
});

/** Fields of GraphProto that import reads. */
export const graphFields = { node: 1, name: 2, initializer: 5, input: 11, output: 12, sparse: 15 } as const;

/** Adds one field of GraphProto other than `initializer`; `bytes` reads its content if it is wanted. */
export function addGraphField(graph: GrowingGraph, field: number, bytes: () => Uint8Array, depth: number): void {
  if (field === graphFields.node) graph.nodes.push(decodeNode(bytes(), depth));
  else if (field === graphFields.name) graph.name = new TextDecoder().decode(bytes());
  else if (field === graphFields.input) graph.inputs.push(decodeValueInfo(bytes()));
  else if (field === graphFields.output) graph.outputs.push(decodeValueInfo(bytes()));
  else if (field === graphFields.sparse) graph.sparse.push(decodeSparseName(bytes()));
}

export function decodeFunction(bytes: Uint8Array): OnnxFunction {
  const reader = new MessageReader(bytes, "function");
  const [inputs, outputs, parameters]: [string[], string[], string[]] = [[], [], []];
  const defaults = new Map<string, OnnxAttributeValue>();
  const nodes: OnnxNode[] = [];
  const opsets = new Map<string, number>();
  let [name, domain, overload] = ["", "", ""];
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === 1) name = reader.string();
    else if (field === 4) inputs.push(reader.string());
    else if (field === 5) outputs.push(reader.string());
    else if (field === 6) parameters.push(reader.string());
    else if (field === 7) nodes.push(decodeNode(reader.bytes()));
    else if (field === 9) opsets.set(...decodeOpset(reader.bytes()));
    else if (field === 10) domain = normalDomain(reader.string());
    else if (field === 11) defaults.set(...decodeAttribute(reader.bytes(), "function", 0));
    else if (field === 13) overload = reader.string();
  }
  return { name, domain, overload, inputs, outputs, parameters, defaults, nodes, opsets };
}
