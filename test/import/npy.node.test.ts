import { describe, expect, test } from "vitest";
import { readNpy, writeNpy } from "../../compiler/import/npy.ts";
import { dtypes } from "../../runtime/format/dtype.ts";
import { tensorOf } from "../../runtime/format/tensor.ts";

const text = (bytes: Uint8Array): string => String.fromCharCode(...bytes);

describe("write then read", () => {
  for (const dtype of dtypes)
    for (const version of [1, 2, 3] as const)
      for (const fortranOrder of [false, true])
        test(`${dtype}, version ${version}, ${fortranOrder ? "Fortran" : "C"} order`, () => {
          const tensor = tensorOf(dtype, [2, 3, 2], [0, 1, 1, 0, 1, 1, 0, 0, 1, 0, 1, 0]);
          expect(readNpy(writeNpy(tensor, { version, fortranOrder }))).toEqual(tensor);
        });
});

test("the header is that of numpy: padded to 64 bytes, ending in a newline", () => {
  const file = writeNpy(tensorOf("float32", [3], [1, 2, 3]));
  expect(text(file.subarray(1, 6))).toBe("NUMPY");
  expect(text(file.subarray(10, 63))).toBe("{'descr': '<f4', 'fortran_order': False, 'shape': (3,".padEnd(53));
  expect(file.byteLength).toBe(128 + 12);
  expect(file[127]).toBe(10);
});

/** A version 1 file with a header written by hand. */
function handMade(header: string, data: ArrayLike<number>): Uint8Array {
  const bytes = new TextEncoder().encode(header);
  return new Uint8Array([
    0x93,
    ...new TextEncoder().encode("NUMPY"),
    1,
    0,
    bytes.length & 0xff,
    bytes.length >> 8,
    ...bytes,
    ...Array.from(data),
  ]);
}

test("Fortran order is column by column", () => {
  const file = handMade("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }\n", [1, 4, 2, 5, 3, 6]);
  expect(readNpy(file)).toEqual(tensorOf("uint8", [2, 3], [1, 2, 3, 4, 5, 6]));
});

test("big-endian elements are swapped", () => {
  const file = handMade("{'descr': '>i2', 'fortran_order': False, 'shape': (2,), }\n", [0, 1, 1, 0]);
  expect(readNpy(file)).toEqual(tensorOf("int16", [2], [1, 256]));
});

test("a scalar has the shape ()", () => {
  expect(readNpy(writeNpy(tensorOf("float64", [], [0.5])))).toEqual(tensorOf("float64", [], [0.5]));
});

describe("refused with the file's name", () => {
  const good = writeNpy(tensorOf("float32", [2], [1, 2]));
  const cases: Record<string, Uint8Array> = {
    "another file": new TextEncoder().encode("PK\x03\x04 something else"),
    "an empty file": new Uint8Array(0),
    "an unknown version": good.with(6, 9),
    "truncated in the header": good.subarray(0, 30),
    "truncated in the data": good.subarray(0, good.byteLength - 1),
    objects: handMade("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n", [0]),
    "structured elements": handMade(
      "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }\n",
      [0, 0, 0, 0],
    ),
    "a hostile shape": handMade(
      "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 9999999), }\n",
      [0, 0, 0, 0],
    ),
  };
  for (const [name, file] of Object.entries(cases))
    test(name, () => {
      expect(() => readNpy(file, "x.npy")).toThrow(/^x\.npy: .*\[option-invalid\]$/);
    });
});
