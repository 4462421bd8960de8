/** CIFAR-10's binary files: per picture a byte with the label, then 32 x 32 bytes of red, of green and of blue. */
import { LeafcutterError } from "../../../runtime/format/diagnostic.ts";
import { fromPlanes, type Pictures } from "./picture.ts";

const edge = 32;
const recordBytes = 1 + 3 * edge * edge;

/** Throws option-invalid naming `name` when the file is no whole number of records. */
export function readCifar(bytes: Uint8Array, name: string): Pictures {
  const count = bytes.byteLength / recordBytes;
  if (!Number.isInteger(count) || count === 0)
    throw new LeafcutterError({
      code: "option-invalid",
      where: name,
      message: "this is not a CIFAR-10 binary file",
      expected: `a multiple of ${recordBytes} bytes (label, then 3 planes of 32 x 32)`,
      received: `${bytes.byteLength} bytes`,
      advice: "Give one of the data_batch_N.bin files, or the pictures as .png files.",
    });
  return {
    count,
    labels: Array.from({ length: count }, (_, index) => bytes[index * recordBytes] as number),
    picture: (index) => fromPlanes(bytes.subarray(index * recordBytes + 1, (index + 1) * recordBytes), edge, edge),
  };
}
