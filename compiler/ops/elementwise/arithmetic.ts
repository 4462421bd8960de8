/** Add, Sub, Mul, Div, Mod, Pow, Min, Max, Sum, Mean, Neg, Abs, Sign. */
import { isFloat } from "../../../runtime/format/dtype.ts";
import {
  type BinaryOperation,
  binary,
  cast,
  type Expression,
  input,
  unary,
} from "../../../runtime/format/expression.ts";
import * as reference from "../../../runtime/reference/arithmetic.ts";
import { integerOf } from "../../graph/attribute.ts";
import { addDims, type Dim, multiplyDims, subtractDims } from "../../graph/dimension.ts";
import { closeTolerance, exactTolerance, type Operator, type OperatorContext } from "../operator.ts";
import { broadcastDims } from "./broadcast.ts";
import { defineElementwise, type ElementwiseDefinition, elementsBy, presentInputs, requireClass } from "./define.ts";
import { absolute, isLess, larger, modulus, quotient, smaller } from "./integer.ts";

const binaryArithmetic = (
  op: string,
  operation: BinaryOperation,
  definition: Pick<ElementwiseDefinition, "reference" | "element">,
): Operator =>
  defineElementwise({
    op,
    arity: [2, 2],
    types: "numeric",
    expression: () => binary(operation, input(0), input(1)),
    tolerance: exactTolerance,
    ...definition,
  });

const mod: Operator = {
  ...defineElementwise({
    op: "Mod",
    arity: [2, 2],
    types: "numeric",
    reference: reference.mod,
    expression: ({ node }) => binary(integerOf(node, "fmod", 0) === 0 ? "modulo" : "remainder", input(0), input(1)),
    tolerance: exactTolerance,
  }),
  elements: (context) =>
    integerOf(context.node, "fmod", 0) === 0 ? elementsBy(context, (a = 0, b = 0) => modulus(a, b)) : undefined,
};

/** Powers of the base that are cheaper as products: the usual constant exponents. */
function smallPower(context: OperatorContext): Expression | undefined {
  const exponent = context.constant(1);
  if (exponent?.data.length !== 1 || exponent.dtype === "float16" || exponent.dtype === "bfloat16") return undefined;
  const square = binary("multiply", input(0), input(0));
  switch (Number(exponent.data[0])) {
    case 1:
      return input(0);
    case 2:
      return square;
    case 3:
      return binary("multiply", square, input(0));
    default:
      return undefined;
  }
}

/** The exponent may have another type than the base; the result has that of the base. */
const pow: Operator = {
  op: "Pow",
  infer: (context) => {
    presentInputs(context, [2, 2]);
    const dtype = requireClass(context, 0, "numeric");
    requireClass(context, 1, "numeric");
    return [{ dtype, shape: broadcastDims(context, [context.type(0).shape, context.type(1).shape]) }];
  },
  reference: reference.pow,
  expression: (context) => {
    const base = context.type(0).dtype;
    const exponent = context.type(1).dtype;
    if (!isFloat(base) && isFloat(exponent)) {
      return cast(base, binary("power", cast("float64", input(0)), cast("float64", input(1))));
    }
    return smallPower(context) ?? binary("power", input(0), base === exponent ? input(1) : cast(base, input(1)));
  },
  tolerance: closeTolerance,
};

/** All inputs of a variadic operator combined from left to right. */
const chain = (context: OperatorContext, operation: BinaryOperation): Expression =>
  context.node.inputs
    .slice(1)
    .reduce<Expression>((left, _, index) => binary(operation, left, input(index + 1)), input(0));

const variadic = (op: string, definition: Omit<ElementwiseDefinition, "op" | "arity">): Operator =>
  defineElementwise({ op, arity: [1, Infinity], tolerance: exactTolerance, ...definition });

const sign = (dim: Dim = 0): Dim | undefined => {
  const [negative, positive] = [isLess(dim, 0), isLess(0, dim)];
  if (positive === 1) return 1;
  if (negative === undefined || positive === undefined) return undefined;
  return negative === 1 ? -1 : 0;
};

const unaryArithmetic = (
  op: string,
  operation: "negate" | "abs" | "sign",
  definition: Pick<ElementwiseDefinition, "types" | "reference" | "element">,
) =>
  defineElementwise({
    op,
    arity: [1, 1],
    expression: () => unary(operation, input(0)),
    tolerance: exactTolerance,
    ...definition,
  });

export const arithmeticOperators: readonly Operator[] = [
  binaryArithmetic("Add", "add", { reference: reference.add, element: (a = 0, b = 0) => addDims(a, b) }),
  binaryArithmetic("Sub", "subtract", { reference: reference.sub, element: (a = 0, b = 0) => subtractDims(a, b) }),
  binaryArithmetic("Mul", "multiply", { reference: reference.mul, element: (a = 0, b = 0) => multiplyDims(a, b) }),
  binaryArithmetic("Div", "divide", { reference: reference.div, element: (a = 0, b = 0) => quotient(a, b) }),
  mod,
  pow,
  variadic("Min", {
    types: "numeric",
    reference: reference.min,
    expression: (context) => chain(context, "minimum"),
    element: (first = 0, ...rest) => rest.reduce<Dim>(smaller, first),
  }),
  variadic("Max", {
    types: "numeric",
    reference: reference.max,
    expression: (context) => chain(context, "maximum"),
    element: (first = 0, ...rest) => rest.reduce<Dim>(larger, first),
  }),
  variadic("Sum", {
    types: "float",
    reference: reference.sum,
    expression: (context) => chain(context, "add"),
    tolerance: closeTolerance,
  }),
  variadic("Mean", {
    types: "float",
    reference: reference.mean,
    expression: (context, literal) => binary("divide", chain(context, "add"), literal(context.node.inputs.length)),
    tolerance: closeTolerance,
  }),
  unaryArithmetic("Neg", "negate", {
    types: "signed",
    reference: reference.neg,
    element: (a = 0) => subtractDims(0, a),
  }),
  unaryArithmetic("Abs", "abs", { types: "numeric", reference: reference.abs, element: (a = 0) => absolute(a) }),
  unaryArithmetic("Sign", "sign", { types: "numeric", reference: reference.sign, element: sign }),
];
