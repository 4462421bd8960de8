/** Cases of Cast, CastLike, BitCast, Identity, Dropout and the fused elementwise node. */
import { expressionAttribute, floatAttribute, integerAttribute } from "../../../compiler/graph/attribute.ts";
import { dtypes } from "../../../runtime/format/dtype.ts";
import { binary, cast, constant, input, select, unary } from "../../../runtime/format/expression.ts";
import { numberOfDtype } from "../../../runtime/reference/data-type.ts";
import { type OperatorCase, specials, tensor } from "../case.ts";

const largeIntegers = BigInt64Array.of(
  2n ** 53n + 1n,
  -(2n ** 62n) - 3n,
  16777217n,
  2n ** 40n + 2n ** 16n + 1n,
  -1n,
  2n ** 63n - 1n,
);

const x = tensor("float32", [1, -2, 3], [3]);

export const convertCases: readonly OperatorCase[] = [
  ...dtypes.flatMap((from) =>
    dtypes.map((to) => ({
      name: `${from} to ${to}`,
      op: "Cast",
      version: 19,
      inputs: [specials(from)],
      attributes: { to: integerAttribute(numberOfDtype(to)) },
    })),
  ),
  ...(["float32", "float16", "bfloat16", "int32", "uint64"] as const).map((to) => ({
    name: `large int64 to ${to}`,
    op: "Cast",
    version: 19,
    inputs: [{ dtype: "int64" as const, shape: [6], data: largeIntegers }],
    attributes: { to: integerAttribute(numberOfDtype(to)) },
  })),
  {
    name: "int64 is rounded once",
    op: "Cast",
    version: 19,
    inputs: [
      { dtype: "int64", shape: [2], data: BigInt64Array.of(2n ** 60n + 2n ** 36n + 1n, 2n ** 60n + 2n ** 36n - 1n) },
    ],
    attributes: { to: integerAttribute(numberOfDtype("float32")) },
    expected: [tensor("float32", [2 ** 60 + 2 ** 37, 2 ** 60])],
  },
  {
    name: "float32 to int32 truncates and saturates",
    op: "Cast",
    version: 13,
    inputs: [tensor("float32", [1.9, -1.9, 3e9, -3e9, NaN])],
    attributes: { to: integerAttribute(numberOfDtype("int32")) },
    expected: [tensor("int32", [1, -1, 2147483647, -2147483648, 0])],
  },
  {
    name: "float32 as int32",
    op: "BitCast",
    version: 26,
    inputs: [tensor("float32", [1, -0, -2])],
    attributes: { to: integerAttribute(numberOfDtype("int32")) },
    expected: [tensor("int32", [0x3f800000, -2147483648, -1073741824])],
  },
  {
    name: "shape of the example does not matter",
    op: "CastLike",
    version: 19,
    inputs: [x, tensor("int32", [1, 2, 3, 4], [2, 2])],
    attributes: {},
    expected: [tensor("int32", [1, -2, 3])],
  },
  ...dtypes.map((dtype) => ({ name: dtype, op: "Identity", version: 19, inputs: [specials(dtype)], attributes: {} })),
  {
    name: "one output",
    op: "Dropout",
    version: 7,
    inputs: [x],
    attributes: { ratio: floatAttribute(0.3) },
    expected: [x],
  },
  {
    name: "mask of the input's type",
    op: "Dropout",
    version: 7,
    inputs: [x],
    attributes: {},
    outputCount: 2,
    expected: [x, tensor("float32", [1, 1, 1])],
  },
  {
    name: "mask of bools",
    op: "Dropout",
    version: 13,
    inputs: [x, tensor("float32", [0.3], [])],
    attributes: {},
    outputCount: 2,
    expected: [x, tensor("bool", [1, 1, 1])],
  },
  {
    name: "(a + b) * 2, negative ones as int32",
    op: "leafcutter.Elementwise",
    version: 1,
    inputs: [tensor("float32", [1, -2, 3, -4], [2, 2]), tensor("float32", [0.5, 1.5])],
    attributes: {
      expression: expressionAttribute(
        cast(
          "int32",
          select(
            binary("less", input(0), constant(0)),
            binary("multiply", binary("add", input(0), input(1)), constant(2)),
            unary("negate", input(1)),
          ),
        ),
      ),
    },
    expected: [tensor("int32", [0, -1, 0, -5], [2, 2])],
  },
];
