import { describe, expect, test } from "vitest";
import { dtypeOfCode } from "../../compiler/import/onnx/data-type.ts";
import { readTensorProto } from "../../compiler/import/onnx/tensor.ts";
import { LeafcutterError } from "../../runtime/format/diagnostic.ts";
import { dtypes } from "../../runtime/format/dtype.ts";
import { type Tensor, tensorOf } from "../../runtime/format/tensor.ts";
import { rawBytes, type TensorFields, tensorBytes } from "./onnx-writer.ts";

const codeThrownBy = (act: () => unknown): string => {
  try {
    act();
  } catch (error) {
    if (error instanceof LeafcutterError) return error.code;
    throw error;
  }
  return "nothing thrown";
};

const samples: readonly Tensor[] = dtypes.map((dtype) =>
  tensorOf(dtype, [2, 3], dtype === "bool" ? [0, 1, 1, 0, 0, 1] : [0, 1, 2, 100, 7, dtype.startsWith("u") ? 200 : -3]),
);

/** The element type of each code of TensorProto. */
const codes = Array.from({ length: 17 }, (_, code) => dtypeOfCode(code));

/** The typed field of ONNX for each element type, from the comments of onnx.proto. */
function typed(tensor: Tensor): Partial<TensorFields> {
  const numbers = Array.from(tensor.data as ArrayLike<number | bigint>, Number);
  switch (tensor.dtype) {
    case "float32":
      return { floats: numbers };
    case "float64":
      return { doubles: numbers };
    case "int64":
      return { int64s: numbers };
    case "uint32":
    case "uint64":
      return { uint64s: numbers };
    default:
      return { int32s: numbers };
  }
}

describe("every element type in every encoding", () => {
  for (const sample of samples) {
    const head = { name: "t", dims: [2, 3], type: codes.indexOf(sample.dtype) };
    const encodings: Record<string, TensorFields> = {
      raw: { ...head, raw: rawBytes(sample.data) },
      typed: { ...head, ...typed(sample) },
      unpacked: { ...head, ...typed(sample), unpacked: true },
    };
    for (const [encoding, fields] of Object.entries(encodings))
      test(`${sample.dtype} ${encoding}`, () => {
        expect(readTensorProto(tensorBytes(fields))).toEqual({ ...sample, name: "t" });
      });
  }
});

test.each([
  ["uint4", 21, [0x21, 0xf8, 0x09], [1, 2, 8, 15, 9], "uint8"],
  ["int4", 22, [0x21, 0xf8, 0x09], [1, 2, -8, -1, -7], "int8"],
  ["uint2", 25, [0b11_10_01_00, 0b01], [0, 1, 2, 3, 1], "uint8"],
  ["int2", 26, [0b11_10_01_00, 0b01], [0, 1, -2, -1, 1], "int8"],
] as const)("%s is unpacked, the lowest bits first", (_, type, bytes, values, dtype) => {
  const expected = tensorOf(dtype, [5], values);
  for (const fields of [{ raw: new Uint8Array(bytes) }, { int32s: bytes }])
    expect(readTensorProto(tensorBytes({ type, dims: [5], ...fields }))).toMatchObject(expected);
});

test("64-bit integers are exact", () => {
  // int64_data of -1 and 2^63 - 1 as varints; pbf cannot write the latter.
  const varints = [...Array(9).fill(0xff), 0x01, ...Array(8).fill(0xff), 0x7f];
  const head = tensorBytes({ dims: [2], type: 7 });
  const bytes = new Uint8Array([...head, (7 << 3) | 2, varints.length, ...varints]);
  expect(readTensorProto(bytes).data).toEqual(new BigInt64Array([-1n, 2n ** 63n - 1n]));
});

test("a scalar has no dims, an empty tensor no elements", () => {
  expect(readTensorProto(tensorBytes({ type: 1, floats: [2.5] }))).toMatchObject({
    shape: [],
    data: new Float32Array([2.5]),
  });
  expect(readTensorProto(tensorBytes({ type: 7, dims: [0, 4] }))).toMatchObject({
    shape: [0, 4],
    data: new BigInt64Array(0),
  });
});

test("a bool is 0 or 1 whatever byte stands for true", () => {
  expect(readTensorProto(tensorBytes({ type: 9, dims: [3], raw: new Uint8Array([0, 255, 1]) })).data).toEqual(
    new Uint8Array([0, 1, 1]),
  );
});

describe("refused", () => {
  const cases: Record<string, readonly [TensorFields, string]> = {
    "too few raw bytes": [{ type: 1, dims: [3], raw: new Uint8Array(8) }, "model-invalid"],
    "raw bytes that are no whole elements": [{ type: 1, dims: [2], raw: new Uint8Array(9) }, "model-invalid"],
    "too many typed elements": [{ type: 7, dims: [2], int64s: [1, 2, 3] }, "model-invalid"],
    "a hostile shape": [{ type: 1, dims: [2 ** 40, 2 ** 40], floats: [1] }, "model-invalid"],
    "a hostile shape without data": [{ type: 1, dims: [2 ** 31] }, "model-invalid"],
    "a negative extent": [{ type: 1, dims: [-1], floats: [1] }, "model-invalid"],
    "elements in the field of another type": [{ type: 1, dims: [1], int64s: [1] }, "model-invalid"],
    "raw and typed at once": [{ type: 1, dims: [1], floats: [1], raw: new Uint8Array(4) }, "model-invalid"],
    strings: [{ type: 8, dims: [0] }, "model-unsupported"],
    "4-bit integers, too few": [{ type: 22, dims: [3], int32s: [1] }, "model-invalid"],
    "4-bit integers, a hostile shape": [{ type: 21, dims: [2 ** 40], raw: new Uint8Array(4) }, "model-invalid"],
    "8-bit floats": [{ type: 17, dims: [1], int32s: [1] }, "model-unsupported"],
    "complex numbers": [{ type: 14, dims: [1], floats: [1, 2] }, "model-unsupported"],
  };
  for (const [name, [fields, code]] of Object.entries(cases))
    test(name, () => {
      expect(codeThrownBy(() => readTensorProto(tensorBytes(fields)))).toBe(code);
    });
});

test("a wrong count names the tensor, what was expected and what came", () => {
  expect(() => readTensorProto(tensorBytes({ name: "w", type: 1, dims: [2, 3], floats: [1, 2] }))).toThrow(
    /tensor w: .*expected 6 \(\[2, 3\]\); received 2/,
  );
});

test("every truncation of a tensor is a typed error", () => {
  const bytes = tensorBytes({ type: 6, dims: [2, 2], int32s: [1, 300, 70000, -1] });
  for (let length = 0; length < bytes.byteLength; length++)
    expect(["model-invalid", "model-unsupported"]).toContain(
      codeThrownBy(() => readTensorProto(bytes.subarray(0, length))),
    );
});
