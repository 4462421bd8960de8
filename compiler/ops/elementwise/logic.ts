/** Comparisons, logic on bools, operations on bits, tests for special values, Where. */
import { byteSize } from "../../../runtime/format/dtype.ts";
import {
  type BinaryOperation,
  binary,
  constant,
  type Expression,
  input,
  select,
  unary,
} from "../../../runtime/format/expression.ts";
import * as reference from "../../../runtime/reference/logic.ts";
import type { Reference } from "../../../runtime/reference/reference.ts";
import { integerOf, stringOf } from "../../graph/attribute.ts";
import { type Dim, sameDim } from "../../graph/dimension.ts";
import { exactTolerance, type Operator } from "../operator.ts";
import { broadcastDims } from "./broadcast.ts";
import {
  defineElementwise,
  type ElementwiseDefinition,
  elementsBy,
  presentInputs,
  requireClass,
  type TypeClass,
} from "./define.ts";
import { isEqual, isLess, isLessOrEqual } from "./integer.ts";

type Element = ElementwiseDefinition["element"];

const comparison = (
  op: string,
  operation: BinaryOperation,
  types: TypeClass,
  meaning: Reference,
  element: (a: Dim, b: Dim) => Dim | undefined,
): Operator =>
  defineElementwise({
    op,
    arity: [2, 2],
    types,
    output: "bool",
    reference: meaning,
    expression: () => binary(operation, input(0), input(1)),
    element: (a = 0, b = 0) => element(a, b),
    tolerance: exactTolerance,
  });

const pair = (
  op: string,
  operation: BinaryOperation,
  types: TypeClass,
  meaning: Reference,
  element?: Element,
): Operator =>
  defineElementwise({
    op,
    arity: [2, 2],
    types,
    reference: meaning,
    expression: () => binary(operation, input(0), input(1)),
    ...(element ? { element } : {}),
    tolerance: exactTolerance,
  });

const truth = (a: Dim, b: Dim, test: (a: boolean, b: boolean) => boolean): Dim | undefined =>
  typeof a === "number" && typeof b === "number" ? Number(test(a !== 0, b !== 0)) : undefined;

/** Counts that reach the width shift every bit out; the scalar shifts take counts modulo 32 or 64. */
const bitShift: Operator = defineElementwise({
  op: "BitShift",
  arity: [2, 2],
  types: "unsigned",
  reference: reference.bitShift,
  expression: ({ node, fail }, literal, dtype) => {
    const direction = stringOf(node, "direction", "");
    if (direction !== "LEFT" && direction !== "RIGHT")
      fail("attribute direction is unknown", "LEFT or RIGHT", direction);
    const shifted = binary(direction === "LEFT" ? "shiftLeft" : "shiftRight", input(0), input(1));
    return select(binary("less", input(1), literal(byteSize[dtype] * 8)), shifted, literal(0));
  },
  tolerance: exactTolerance,
});

const isInf: Operator = defineElementwise({
  op: "IsInf",
  arity: [1, 1],
  types: "float",
  output: "bool",
  reference: reference.isInfinite,
  expression: ({ node }) => {
    const positive = integerOf(node, "detect_positive", 1) !== 0;
    const negative = integerOf(node, "detect_negative", 1) !== 0;
    const tests: Expression[] = [];
    if (positive) tests.push(unary("isPositiveInfinity", input(0)));
    if (negative) tests.push(unary("isNegativeInfinity", input(0)));
    const [first, second] = tests;
    if (!first) return constant(0, "bool");
    return second ? binary("or", first, second) : first;
  },
  tolerance: exactTolerance,
});

const where: Operator = {
  op: "Where",
  infer: (context) => {
    presentInputs(context, [3, 3]);
    requireClass(context, 0, "bool");
    const { dtype } = context.type(1);
    const other = context.type(2).dtype;
    if (other !== dtype) context.fail("the two choices have different element types", dtype, other);
    return [
      {
        dtype,
        shape: broadcastDims(
          context,
          [0, 1, 2].map((index) => context.type(index).shape),
        ),
      },
    ];
  },
  elements: (context) =>
    elementsBy(context, (condition, yes = 0, no = 0) =>
      typeof condition === "number" ? (condition ? yes : no) : sameDim(yes, no) ? yes : undefined,
    ),
  reference: reference.where,
  expression: () => select(input(0), input(1), input(2)),
  tolerance: exactTolerance,
};

export const logicOperators: readonly Operator[] = [
  comparison("Equal", "equal", "any", reference.equal, isEqual),
  comparison("Less", "less", "numeric", reference.less, isLess),
  comparison("LessOrEqual", "lessOrEqual", "numeric", reference.lessOrEqual, isLessOrEqual),
  comparison("Greater", "greater", "numeric", reference.greater, (a, b) => isLess(b, a)),
  comparison("GreaterOrEqual", "greaterOrEqual", "numeric", reference.greaterOrEqual, (a, b) => isLessOrEqual(b, a)),
  pair("And", "and", "bool", reference.and, (a = 0, b = 0) => truth(a, b, (left, right) => left && right)),
  pair("Or", "or", "bool", reference.or, (a = 0, b = 0) => truth(a, b, (left, right) => left || right)),
  pair("Xor", "xor", "bool", reference.xor, (a = 0, b = 0) => truth(a, b, (left, right) => left !== right)),
  defineElementwise({
    op: "Not",
    arity: [1, 1],
    types: "bool",
    reference: reference.not,
    expression: () => unary("not", input(0)),
    element: (a = 0) => (typeof a === "number" ? Number(a === 0) : undefined),
    tolerance: exactTolerance,
  }),
  pair("BitwiseAnd", "bitAnd", "integer", reference.bitwiseAnd),
  pair("BitwiseOr", "bitOr", "integer", reference.bitwiseOr),
  pair("BitwiseXor", "bitXor", "integer", reference.bitwiseXor),
  defineElementwise({
    op: "BitwiseNot",
    arity: [1, 1],
    types: "integer",
    reference: reference.bitwiseNot,
    expression: () => unary("bitNot", input(0)),
    tolerance: exactTolerance,
  }),
  bitShift,
  defineElementwise({
    op: "IsNaN",
    arity: [1, 1],
    types: "float",
    output: "bool",
    reference: reference.isNotANumber,
    expression: () => unary("isNaN", input(0)),
    tolerance: exactTolerance,
  }),
  isInf,
  where,
];
