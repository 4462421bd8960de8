/**
 * NumPy's .npy files, versions 1 to 3 (numpy.lib.format), for every element type: read in either byte order and
 * either memory order, written little-endian. bfloat16 is "<V2", as ml_dtypes saves it.
 */
import { LeafcutterError } from "../../runtime/format/diagnostic.ts";
import { byteSize, type DType } from "../../runtime/format/dtype.ts";
import { elementCount, type Tensor, viewOf } from "../../runtime/format/tensor.ts";

const kinds: ReadonlyMap<string, DType> = new Map<string, DType>([
  ["f4", "float32"],
  ["f8", "float64"],
  ["f2", "float16"],
  ["V2", "bfloat16"],
  ["i1", "int8"],
  ["u1", "uint8"],
  ["i2", "int16"],
  ["u2", "uint16"],
  ["i4", "int32"],
  ["u4", "uint32"],
  ["i8", "int64"],
  ["u8", "uint64"],
  ["b1", "bool"],
]);

const magic = "\x93NUMPY";

function invalid(where: string, message: string, expected: string, received: string): LeafcutterError {
  return new LeafcutterError({
    code: "option-invalid",
    where,
    message,
    expected,
    received,
    advice: "Save the array again with numpy.save.",
  });
}

/** The array in a file; `name` names it in errors (option-invalid). */
export function readNpy(bytes: Uint8Array, name = "array"): Tensor {
  const start = [...bytes.subarray(0, 6)].map((byte) => String.fromCharCode(byte)).join("");
  if (start !== magic || bytes.byteLength < 10)
    throw invalid(name, "this is not a .npy file", "\\x93NUMPY", JSON.stringify(start));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = view.getUint8(6);
  if (version < 1 || version > 3) throw invalid(name, "the version is not known", "1, 2 or 3", `${version}`);
  const headerStart = version === 1 ? 10 : 12;
  const headerLength =
    version === 1 ? view.getUint16(8, true) : headerStart <= bytes.byteLength ? view.getUint32(8, true) : 0;
  const dataStart = headerStart + headerLength;
  if (dataStart > bytes.byteLength)
    throw invalid(name, "the header is truncated", `${dataStart} bytes`, `${bytes.byteLength}`);
  const header = new TextDecoder(version === 3 ? "utf-8" : "latin1").decode(bytes.subarray(headerStart, dataStart));
  const { dtype, bigEndian, fortranOrder, shape } = parseHeader(header, name);
  const length = elementCount(shape) * byteSize[dtype];
  if (bytes.byteLength - dataStart !== length)
    throw invalid(
      name,
      "the data does not fill the shape",
      `${length} bytes for ${dtype} [${shape.join(", ")}]`,
      `${bytes.byteLength - dataStart}`,
    );
  // A copy even of a Node Buffer, whose slice() shares the memory.
  const content = new Uint8Array(bytes.subarray(dataStart));
  if (bigEndian) swapBytes(content, byteSize[dtype]);
  const ordered = fortranOrder ? reorder(content, [...shape].reverse(), byteSize[dtype]) : content;
  return { dtype, shape, data: viewOf(dtype, ordered.buffer, 0, elementCount(shape)) };
}

interface Header {
  readonly dtype: DType;
  readonly bigEndian: boolean;
  readonly fortranOrder: boolean;
  readonly shape: readonly number[];
}

function parseHeader(header: string, name: string): Header {
  const type = /['"]descr['"]\s*:\s*['"]([<>|=])(\w+)['"]/.exec(header);
  const order = /['"]fortran_order['"]\s*:\s*(True|False)/.exec(header)?.[1];
  const extents = /['"]shape['"]\s*:\s*\(([\d\sL,]*)\)/.exec(header)?.[1];
  const dtype = kinds.get(type?.[2] ?? "");
  if (dtype === undefined || order === undefined || extents === undefined)
    throw invalid(
      name,
      "the header is not that of a plain numeric array",
      `one of ${[...kinds.keys()].join(", ")}`,
      header.trim().slice(0, 200),
    );
  const shape = extents.split(",").flatMap((extent) => (extent.trim() === "" ? [] : [Number.parseInt(extent, 10)]));
  return { dtype, bigEndian: type?.[1] === ">", fortranOrder: order === "True", shape };
}

function swapBytes(bytes: Uint8Array, width: number): void {
  for (let offset = 0; offset < bytes.byteLength; offset += width) bytes.subarray(offset, offset + width).reverse();
}

/** Row-major elements of `shape` -> row-major elements of the transposed shape. */
function reorder(source: Uint8Array, shape: readonly number[], width: number): Uint8Array {
  const target = new Uint8Array(source.byteLength);
  const count = elementCount(shape);
  // Where one step along each axis of `shape` lands in the transposed order.
  const strides: number[] = [];
  for (let axis = 0, stride = 1; axis < shape.length; axis++) {
    strides.push(stride);
    stride *= shape[axis] ?? 1;
  }
  const index = shape.map(() => 0);
  let position = 0;
  for (let element = 0; element < count; element++) {
    target.set(source.subarray(element * width, (element + 1) * width), position * width);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const stride = strides[axis] ?? 0;
      index[axis] = (index[axis] ?? 0) + 1;
      position += stride;
      if (index[axis] !== shape[axis]) break;
      position -= stride * (shape[axis] ?? 0);
      index[axis] = 0;
    }
  }
  return target;
}

export interface NpyForm {
  readonly version?: 1 | 2 | 3;
  readonly fortranOrder?: boolean;
}

/** The tensor as a file. */
export function writeNpy(tensor: Tensor, { version = 1, fortranOrder = false }: NpyForm = {}): Uint8Array {
  const width = byteSize[tensor.dtype];
  const kind = [...kinds].find(([, dtype]) => dtype === tensor.dtype)?.[0] ?? "";
  const shape = tensor.shape.length === 1 ? `${tensor.shape[0]},` : tensor.shape.join(", ");
  const fields = `{'descr': '${width === 1 ? "|" : "<"}${kind}', 'fortran_order': ${fortranOrder ? "True" : "False"}, 'shape': (${shape}), }`;
  const headerStart = version === 1 ? 10 : 12;
  const total = Math.ceil((headerStart + fields.length + 1) / 64) * 64;
  const header = `${fields.padEnd(total - headerStart - 1)}\n`;
  const { buffer, byteOffset, byteLength } = tensor.data;
  const raw = new Uint8Array(buffer, byteOffset, byteLength);
  const content = fortranOrder ? reorder(raw, tensor.shape, width) : raw;
  const file = new Uint8Array(total + byteLength);
  const view = new DataView(file.buffer);
  for (let i = 0; i < magic.length; i++) file[i] = magic.charCodeAt(i);
  view.setUint8(6, version);
  if (version === 1) view.setUint16(8, header.length, true);
  else view.setUint32(8, header.length, true);
  file.set(new TextEncoder().encode(header), headerStart);
  file.set(content, total);
  return file;
}
