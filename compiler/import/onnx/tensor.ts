/**
 * Elements of an ONNX tensor -> Tensor, for every encoding: raw_data, the typed fields, external data. Raw bytes
 * are little-endian and become a view where their alignment allows it, so weights are copied at most once.
 * The number of elements must be that of the shape; nothing is allocated before that is known.
 */

import { LeafcutterError } from "../../../runtime/format/diagnostic.ts";
import { byteSize, type DType } from "../../../runtime/format/dtype.ts";
import { allocate, elementCount, type Tensor, viewOf } from "../../../runtime/format/tensor.ts";
import { type ByteSource, missingFile } from "../source.ts";
import { dtypeOfCode, nameOfCode, type SmallType, smallTypeOfCode } from "./data-type.ts";
import { decodeTensor, tensorPayload } from "./decode.ts";
import { malformed } from "./message.ts";
import type { OnnxTensor } from "./model.ts";
import { packedBytes, unpack } from "./small-type.ts";
import { countVarints, decodeVarints } from "./varint.ts";

/** The payload of a tensor, chunk by chunk, all of it in memory. */
interface Payload {
  readonly field: number;
  readonly bytes: Uint8Array;
}

/** A tensor of the model in `source`, its payload read now. Throws model-invalid, model-unsupported, file-missing, file-refused. */
export async function loadTensor(tensor: OnnxTensor, source: ByteSource): Promise<Tensor> {
  const { dtype, where } = checkedType(tensor);
  if (tensor.external) return loadExternal(tensor, dtype, tensor.external, source, where);
  const payloads: Payload[] = [];
  for (const { field, payload } of tensor.chunks)
    payloads.push({
      field,
      bytes: payload instanceof Uint8Array ? payload : await source.read(payload.offset, payload.length),
    });
  return assemble(tensor, dtype, payloads, where);
}

/** A serialised TensorProto (a `.pb` file of a data set); `file` names it in errors. External data is refused here. */
export function readTensorProto(bytes: Uint8Array, file?: string): Tensor & { readonly name: string } {
  const tensor = decodeTensor(bytes);
  if (tensor.segmented) throw unsupported(file ?? "tensor", notATensor);
  const { dtype, where } = checkedType(tensor, file);
  if (tensor.external) throw unsupported(where, "a tensor file with external data");
  const payloads = tensor.chunks.map(({ field, payload }) => {
    if (payload instanceof Uint8Array) return { field, bytes: payload };
    throw malformed(where, "the payload is not in the file");
  });
  try {
    return { ...assemble(tensor, dtype, payloads, where), name: tensor.name };
  } catch (error) {
    throw hasContainerName(tensor) ? unsupported(where, notATensor) : error;
  }
}

const notATensor = "the file holds a sequence or an optional value, which are not supported";

/** Sequences and optionals have their name where tensors have their shape. */
const hasContainerName = ({ name, dims }: OnnxTensor): boolean =>
  name === "" && dims.length > 0 && dims.every((code) => code > 0x20 && code < 0x7f);

function unsupported(where: string, message: string, received?: string): LeafcutterError {
  return new LeafcutterError({
    code: "model-unsupported",
    where,
    message,
    ...(received === undefined
      ? {}
      : { expected: "a real type of 16 bits or more, an integer type or bool", received }),
    advice: "Convert the tensor to another type before exporting the model.",
  });
}

function checkedType(tensor: OnnxTensor, file?: string): { readonly dtype: DType; readonly where: string } {
  const where = file ?? `tensor ${tensor.name || "without a name"}`;
  const dtype = dtypeOfCode(tensor.dataType);
  if (dtype === undefined) throw unsupported(where, "the element type is not supported", nameOfCode(tensor.dataType));
  if (tensor.segmented) throw unsupported(where, "tensors in segments are not supported");
  for (const extent of tensor.dims)
    if (!Number.isSafeInteger(extent) || extent < 0)
      throw malformed(where, "the shape is not valid", "extents from 0", `[${tensor.dims.join(", ")}]`);
  return { dtype, where };
}

/** The typed field that holds elements of a type when they are not raw. */
function typedField(dtype: DType): number {
  switch (dtype) {
    case "float32":
      return tensorPayload.float;
    case "float64":
      return tensorPayload.double;
    case "int64":
      return tensorPayload.int64;
    case "uint32":
    case "uint64":
      return tensorPayload.uint64;
    case "float16":
    case "bfloat16":
    case "int8":
    case "uint8":
    case "int16":
    case "uint16":
    case "int32":
    case "bool":
      return tensorPayload.int32;
  }
}

const joined = (payloads: readonly Payload[]): Uint8Array => {
  const [first] = payloads;
  if (payloads.length === 1 && first) return first.bytes;
  const whole = new Uint8Array(payloads.reduce((sum, { bytes }) => sum + bytes.byteLength, 0));
  let position = 0;
  for (const { bytes } of payloads) {
    whole.set(bytes, position);
    position += bytes.byteLength;
  }
  return whole;
};

function assemble(tensor: OnnxTensor, dtype: DType, payloads: readonly Payload[], where: string): Tensor {
  const raw = payloads.filter(({ field }) => field === tensorPayload.raw);
  const typed = payloads.filter(({ field, bytes }) => field !== tensorPayload.raw && bytes.byteLength > 0);
  const wrong = typed.find(({ field }) => field !== typedField(dtype));
  if (wrong || (typed.length > 0 && raw.some(({ bytes }) => bytes.byteLength > 0)))
    throw malformed(
      where,
      `the elements stand in the wrong field for ${dtype}`,
      "raw_data or the field of the type",
      "another field, or both",
    );
  const count = elementCount(tensor.dims);
  const small = smallTypeOfCode(tensor.dataType);
  if (typed.length === 0) return fromRaw(dtype, tensor.dims, joined(raw), where, small);
  const bytes = joined(typed);
  if (small) return fromRaw(dtype, tensor.dims, bytesOfVarints(bytes, where), where, small);
  if (dtype === "float32" || dtype === "float64") return fromRaw(dtype, tensor.dims, bytes, where, undefined);
  checkCount(where, tensor.dims, countVarints(bytes));
  const data = allocate(dtype, count);
  const view = new DataView(data.buffer);
  const width = byteSize[dtype];
  // Small types are stored as the low bits of the varint; typed arrays are little-endian on every engine with WASM.
  decodeVarints(bytes, where, (index, low, high) => {
    if (width === 1) view.setUint8(index, low);
    else if (width === 2) view.setUint16(index * 2, low, true);
    else view.setUint32(index * width, low, true);
    if (width === 8) view.setUint32(index * 8 + 4, high, true);
  });
  return { dtype, shape: tensor.dims, data: dtype === "bool" ? normalBools(data as Uint8Array) : data };
}

function checkCount(where: string, dims: readonly number[], received: number): void {
  const count = elementCount(dims);
  if (count !== received)
    throw malformed(
      where,
      "the number of elements is not that of the shape",
      `${count} ([${dims.join(", ")}])`,
      `${received}`,
    );
}

/** The low byte of every number. */
function bytesOfVarints(bytes: Uint8Array, where: string): Uint8Array {
  const data = new Uint8Array(countVarints(bytes));
  decodeVarints(bytes, where, (index, low) => {
    data[index] = low;
  });
  return data;
}

function fromRaw(
  dtype: DType,
  dims: readonly number[],
  bytes: Uint8Array,
  where: string,
  small: SmallType | undefined,
): Tensor {
  if (small) {
    const count = elementCount(dims);
    const needed = packedBytes(count, small);
    if (needed !== bytes.byteLength)
      throw malformed(where, "the number of bytes is not that of the shape", `${needed}`, `${bytes.byteLength}`);
    return { dtype, shape: dims, data: unpack(bytes, count, small) };
  }
  checkCount(where, dims, bytes.byteLength / byteSize[dtype]);
  const aligned = bytes.byteOffset % byteSize[dtype] === 0 ? bytes : new Uint8Array(bytes);
  const data = viewOf(dtype, aligned.buffer, aligned.byteOffset, elementCount(dims));
  return { dtype, shape: dims, data: dtype === "bool" ? normalBools(data as Uint8Array) : data };
}

/** Bools are 0 or 1; a file may hold any byte. */
const normalBools = (data: Uint8Array): Uint8Array =>
  data.some((value) => value > 1) ? data.map((value) => (value === 0 ? 0 : 1)) : data;

async function loadExternal(
  tensor: OnnxTensor,
  dtype: DType,
  entries: ReadonlyMap<string, string>,
  source: ByteSource,
  where: string,
): Promise<Tensor> {
  const location = entries.get("location");
  if (location === undefined) throw malformed(where, "external data without a location");
  if (!source.sibling)
    throw missingFile(
      location,
      "The weights of this model are in that file: give the folder of the model, not the file alone.",
    );
  const count = elementCount(tensor.dims);
  const small = smallTypeOfCode(tensor.dataType);
  const bytesNeeded = small ? packedBytes(count, small) : count * byteSize[dtype];
  const offset = naturalNumber(entries.get("offset") ?? "0", "offset", where);
  const length = naturalNumber(entries.get("length") ?? String(bytesNeeded), "length", where);
  if (!small) checkCount(where, tensor.dims, length / byteSize[dtype]);
  const file = await source.sibling(location);
  const size = await file.size();
  if (offset + length > size)
    throw malformed(
      `${where} in ${location}`,
      "the external data lies outside the file",
      `at most ${size} bytes`,
      `offset ${offset}, length ${length}`,
    );
  return fromRaw(dtype, tensor.dims, await file.read(offset, length), where, small);
}

function naturalNumber(value: string, name: string, where: string): number {
  const number = /^\d+$/.test(value) ? Number(value) : Number.NaN;
  if (!Number.isSafeInteger(number))
    throw malformed(where, `the ${name} of the external data is not valid`, "a number of bytes", JSON.stringify(value));
  return number;
}
