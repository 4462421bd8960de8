/**
 * Named tensors as one byte string, for the way between Node and a page: a JSON header's length (uint32), the header
 * (name, dtype, shape of each, in order), then the data, each tensor on a multiple of 8 bytes.
 */
import type { DType } from "../runtime/format/dtype.ts";
import { elementCount, type Tensor, viewOf, zeros } from "../runtime/format/tensor.ts";

export type Tensors = Readonly<Record<string, Tensor>>;

interface HeaderRow {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
}

const aligned = (offset: number): number => Math.ceil(offset / 8) * 8;

export function encodeTensors(tensors: Tensors): Uint8Array<ArrayBuffer> {
  const rows: readonly HeaderRow[] = Object.entries(tensors).map(([name, { dtype, shape }]) => ({
    name,
    dtype,
    shape,
  }));
  const header = new TextEncoder().encode(JSON.stringify(rows));
  const parts = Object.values(tensors).map(({ data }) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  const start = aligned(4 + header.length);
  const bytes = new Uint8Array(parts.reduce((end, part) => end + aligned(part.length), start));
  new DataView(bytes.buffer).setUint32(0, header.length, true);
  bytes.set(header, 4);
  let offset = start;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += aligned(part.length);
  }
  return bytes;
}

/** The tensors of `bytes`, each with data of its own. */
export function decodeTensors(bytes: Uint8Array): Tensors {
  const headerLength = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const rows = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + headerLength))) as readonly HeaderRow[];
  let offset = aligned(4 + headerLength);
  const entries = rows.map(({ name, dtype, shape }): readonly [string, Tensor] => {
    const tensor = zeros(dtype, shape);
    const raw = viewOf("uint8", tensor.data.buffer, 0, tensor.data.byteLength);
    raw.set(bytes.subarray(offset, offset + raw.length));
    offset += aligned(raw.length);
    if (tensor.data.length !== elementCount(shape)) throw new RangeError(`${name}: not ${shape.join("x")} elements`);
    return [name, tensor];
  });
  return Object.fromEntries(entries);
}

/** The tensors of several runs as one byte string. */
export function encodeRuns(runs: readonly Tensors[]): Uint8Array<ArrayBuffer> {
  const named = runs.flatMap((tensors, run) =>
    Object.entries(tensors).map(([name, tensor]) => [`${run}/${name}`, tensor] as const),
  );
  return encodeTensors(Object.fromEntries(named));
}

/** Runs without a tensor at the end are not told apart from no runs. */
export function decodeRuns(bytes: Uint8Array): readonly Tensors[] {
  const runs: Record<string, Tensor>[] = [];
  for (const [key, tensor] of Object.entries(decodeTensors(bytes))) {
    const slash = key.indexOf("/");
    const run = Number(key.slice(0, slash));
    while (runs.length <= run) runs.push({});
    (runs[run] ?? {})[key.slice(slash + 1)] = tensor;
  }
  return runs;
}
