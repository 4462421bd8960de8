/**
 * IDX files, as MNIST comes: two zero bytes, the element type, the number of axes, big-endian extents, the elements.
 * Bytes only: three axes are grey pictures, one axis is labels.
 */
import { LeafcutterError } from "../../../runtime/format/diagnostic.ts";
import type { Pictures } from "./picture.ts";

interface IdxArray {
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

const byteType = 0x08;

function readIdx(bytes: Uint8Array, name: string, axes: number, what: string): IdxArray {
  const fail = (expected: string, received: string): never => {
    throw new LeafcutterError({
      code: "option-invalid",
      where: name,
      message: `this is not an IDX file of ${what}`,
      expected,
      received,
      advice: "Give files as MNIST has them: train-images-idx3-ubyte and train-labels-idx1-ubyte, gzipped or not.",
    });
  };
  const headerBytes = 4 + 4 * axes;
  if (bytes.byteLength < headerBytes) fail(`at least ${headerBytes} bytes`, `${bytes.byteLength} bytes`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [type, rank] = [view.getUint8(2), view.getUint8(3)];
  if (view.getUint16(0) !== 0 || type !== byteType || rank !== axes)
    fail(`00 00 08 0${axes}`, [...bytes.subarray(0, 4)].map((byte) => byte.toString(16).padStart(2, "0")).join(" "));
  const shape = Array.from({ length: axes }, (_, axis) => view.getUint32(4 + 4 * axis));
  const length = shape.reduce((product, extent) => product * extent, 1);
  if (bytes.byteLength - headerBytes !== length)
    fail(`${length} elements for [${shape.join(", ")}]`, `${bytes.byteLength - headerBytes} bytes`);
  return { shape, data: bytes.subarray(headerBytes) };
}

/** Grey pictures. Throws option-invalid naming `name`. */
export function readIdxPictures(bytes: Uint8Array, name: string): Pictures {
  const { shape, data } = readIdx(bytes, name, 3, "pictures");
  const [count = 0, height = 0, width = 0] = shape;
  const size = width * height;
  return {
    count,
    picture: (index) => ({ width, height, channels: 1, data: data.subarray(index * size, (index + 1) * size) }),
  };
}

/** One class a picture. Throws option-invalid naming `name`. */
export const readIdxLabels = (bytes: Uint8Array, name: string): readonly number[] => [
  ...readIdx(bytes, name, 1, "labels").data,
];
