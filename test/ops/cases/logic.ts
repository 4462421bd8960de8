/** Cases of comparisons, logic, bits, tests for special values, Where. */
import { integerAttribute, stringAttribute } from "../../../compiler/graph/attribute.ts";
import type { DType } from "../../../runtime/format/dtype.ts";
import { dtypes } from "../../../runtime/format/dtype.ts";
import { floatTypes, integerTypes, type OperatorCase, specialPairs, specials, tensor, unsignedTypes } from "../case.ts";

const numeric: readonly DType[] = [...floatTypes, ...integerTypes];

const pairs = (op: string, types: readonly DType[]): readonly OperatorCase[] =>
  types.map((dtype) => ({ name: `special ${dtype}`, op, version: 19, inputs: specialPairs(dtype), attributes: {} }));

const shift = (direction: string, dtype: DType, expected: readonly number[]): OperatorCase => ({
  name: `${direction} ${dtype}`,
  op: "BitShift",
  version: 11,
  inputs: [tensor(dtype, [16, 4, 1, 200, 255]), tensor(dtype, [1, 2, 3, 64, 0])],
  attributes: { direction: stringAttribute(direction) },
  expected: [tensor(dtype, expected)],
});

const isInf = (positive: number, negative: number, expected: readonly number[]): OperatorCase => ({
  name: `positive ${positive} negative ${negative}`,
  op: "IsInf",
  version: 20,
  inputs: [tensor("float32", [Infinity, -Infinity, NaN, 1])],
  attributes: { detect_positive: integerAttribute(positive), detect_negative: integerAttribute(negative) },
  expected: [tensor("bool", expected)],
});

export const logicCases: readonly OperatorCase[] = [
  ...pairs("Equal", dtypes),
  ...["Less", "LessOrEqual", "Greater", "GreaterOrEqual"].flatMap((op) => pairs(op, numeric)),
  ...["And", "Or", "Xor"].flatMap((op) => pairs(op, ["bool"])),
  ...["BitwiseAnd", "BitwiseOr", "BitwiseXor"].flatMap((op) => pairs(op, integerTypes)),
  ...integerTypes.map((dtype) => ({
    name: dtype,
    op: "BitwiseNot",
    version: 18,
    inputs: [specials(dtype)],
    attributes: {},
  })),
  {
    name: "both",
    op: "Not",
    version: 1,
    inputs: [specials("bool")],
    attributes: {},
    expected: [tensor("bool", [1, 0])],
  },
  ...unsignedTypes.flatMap((dtype) => [
    shift("LEFT", dtype, [32, 16, 8, 0, 255]),
    shift("RIGHT", dtype, [8, 1, 0, 0, 255]),
  ]),
  ...floatTypes.map((dtype) => ({
    name: dtype,
    op: "IsNaN",
    version: 20,
    inputs: [tensor(dtype, [NaN, Infinity, 0])],
    attributes: {},
    expected: [tensor("bool", [1, 0, 0])],
  })),
  isInf(1, 1, [1, 1, 0, 0]),
  isInf(1, 0, [1, 0, 0, 0]),
  isInf(0, 1, [0, 1, 0, 0]),
  isInf(0, 0, [0, 0, 0, 0]),
  ...dtypes.map((dtype) => ({
    name: `broadcast ${dtype}`,
    op: "Where",
    version: 16,
    inputs: [tensor("bool", [1, 0], [2, 1]), tensor(dtype, [1, 0, 1]), tensor(dtype, [0, 1], [2, 1])],
    attributes: {},
    expected: [tensor(dtype, [1, 0, 1, 1, 1, 1], [2, 3])],
  })),
];
