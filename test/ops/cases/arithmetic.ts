/** Cases of Add, Sub, Mul, Div, Mod, Pow, Min, Max, Sum, Mean, Neg, Abs, Sign. */
import { integerAttribute } from "../../../compiler/graph/attribute.ts";
import type { DType } from "../../../runtime/format/dtype.ts";
import { floatTypes, integerTypes, type OperatorCase, signedTypes, specialPairs, specials, tensor } from "../case.ts";

const numeric: readonly DType[] = [...floatTypes, ...integerTypes];

const pairs = (op: string, types: readonly DType[]): readonly OperatorCase[] =>
  types.map((dtype) => ({ name: `special ${dtype}`, op, version: 14, inputs: specialPairs(dtype), attributes: {} }));

const int32 = (
  name: string,
  op: string,
  a: readonly number[],
  b: readonly number[],
  expected: readonly number[],
): OperatorCase => ({
  name,
  op,
  version: 14,
  inputs: [tensor("int32", a), tensor("int32", b)],
  attributes: {},
  expected: [tensor("int32", expected)],
});

const mod = (dtype: DType, fmod: number, expected: readonly number[]): OperatorCase => ({
  name: `fmod ${fmod} ${dtype}`,
  op: "Mod",
  version: 13,
  inputs: [tensor(dtype, [-4, 7, 5, 4, -7, 8]), tensor(dtype, [2, -3, 8, -2, 3, 5])],
  attributes: { fmod: integerAttribute(fmod) },
  expected: [tensor(dtype, expected)],
});

/** Small bases and exponents, so that integers do not leave float64. */
const powers = (base: DType, exponent: DType): OperatorCase => ({
  name: `${base} to ${exponent}`,
  op: "Pow",
  version: 15,
  inputs: [tensor(base, [0, 1, 2, 3, 5, 7], [6, 1]), tensor(exponent, [0, 1, 2, 3])],
  attributes: {},
});

const broadcast = (
  name: string,
  left: readonly number[],
  right: readonly number[],
  expected: readonly number[],
): OperatorCase => {
  const ramp = (shape: readonly number[]) =>
    tensor(
      "float32",
      Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => i),
      shape,
    );
  return {
    name: `broadcast ${name}`,
    op: "Sub",
    version: 14,
    inputs: [ramp(left), ramp(right)],
    attributes: {},
    expected: [tensor("float32", expected, left.length > right.length ? left : [2, 3])],
  };
};

const variadic = (op: string, dtype: DType, expected: readonly number[]): OperatorCase => ({
  name: `three inputs ${dtype}`,
  op,
  version: 13,
  inputs: [tensor(dtype, [1, 8, 3, 4], [2, 2]), tensor(dtype, [5, 2]), tensor(dtype, [3], [])],
  attributes: {},
  expected: [tensor(dtype, expected, [2, 2])],
});

export const arithmeticCases: readonly OperatorCase[] = [
  ...["Add", "Sub", "Mul", "Div"].flatMap((op) => pairs(op, numeric)),
  ...["Min", "Max"].flatMap((op) => pairs(op, numeric)),
  ...pairs("Mod", integerTypes),
  ...pairs("Pow", ["float32", "float64"]),
  int32("wraps around", "Add", [2147483647, -2147483648], [1, -1], [-2147483648, 2147483647]),
  int32("keeps the low bits", "Mul", [65537, 123456789], [65537, 987654321], [131073, -67153019]),
  int32("truncates, by zero gives 0", "Div", [7, -7, 7, -7, 5], [2, 2, -2, -2, 0], [3, -3, -3, 3, 0]),
  {
    name: "beyond float64",
    op: "Add",
    version: 14,
    inputs: [
      { dtype: "int64", shape: [2], data: BigInt64Array.of(9007199254740993n, 2n ** 63n - 1n) },
      { dtype: "int64", shape: [2], data: BigInt64Array.of(2n, 1n) },
    ],
    attributes: {},
    expected: [{ dtype: "int64", shape: [2], data: BigInt64Array.of(9007199254740995n, -(2n ** 63n)) }],
  },
  broadcast("row", [2, 3], [3], [0, 0, 0, 3, 3, 3]),
  broadcast("column", [2, 1], [1, 3], [0, -1, -2, 1, 0, -1]),
  broadcast("scalar", [2, 2], [], [0, 1, 2, 3]),
  broadcast("middle", [2, 2, 2], [2, 1], [0, 1, 1, 2, 4, 5, 5, 6]),
  ...(["int32", "int64", "int8"] as const).map((dtype) => mod(dtype, 0, [0, -2, 5, 0, 2, 3])),
  ...(["int32", "int64", "float32", "float16"] as const).map((dtype) => mod(dtype, 1, [0, 1, 5, 0, -1, 3])),
  ...(["float32", "int32", "int64"] as const).flatMap((base) =>
    (["float32", "int32", "int64", "uint8"] as const).map((exponent) => powers(base, exponent)),
  ),
  {
    name: "NaN and one",
    op: "Pow",
    version: 13,
    inputs: [tensor("float32", [1, NaN, -1, -8]), tensor("float32", [NaN, 0, Infinity, 1 / 3])],
    attributes: {},
    expected: [tensor("float32", [1, 1, 1, NaN])],
  },
  ...["float32", "int32", "uint64", "float16"].flatMap((dtype) => [
    variadic("Min", dtype as DType, [1, 2, 3, 2]),
    variadic("Max", dtype as DType, [5, 8, 5, 4]),
  ]),
  ...(["float32", "bfloat16"] as const).flatMap((dtype) => [
    variadic("Sum", dtype, [9, 13, 11, 9]),
    variadic("Mean", dtype, [3, 13 / 3, 11 / 3, 3]),
  ]),
  ...["Neg", "Abs", "Sign"].flatMap((op) =>
    [...floatTypes, ...signedTypes].map((dtype) => ({
      name: `special ${dtype}`,
      op,
      version: 13,
      inputs: [specials(dtype)],
      attributes: {},
    })),
  ),
];
