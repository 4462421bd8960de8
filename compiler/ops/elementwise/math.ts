/** Functions of one number: Reciprocal, Sqrt, Exp, Log, rounding, trigonometric and hyperbolic functions, Erf. */
import { input, type UnaryOperation, unary } from "../../../runtime/format/expression.ts";
import * as reference from "../../../runtime/reference/math.ts";
import type { Reference } from "../../../runtime/reference/reference.ts";
import type { Operator } from "../operator.ts";
import { defineElementwise } from "./define.ts";

const functions: readonly (readonly [op: string, operation: UnaryOperation, reference: Reference])[] = [
  ["Reciprocal", "reciprocal", reference.reciprocal],
  ["Sqrt", "sqrt", reference.sqrt],
  ["Exp", "exp", reference.exp],
  ["Log", "log", reference.log],
  ["Floor", "floor", reference.floor],
  ["Ceil", "ceil", reference.ceil],
  ["Round", "round", reference.round],
  ["Sin", "sin", reference.sin],
  ["Cos", "cos", reference.cos],
  ["Tan", "tan", reference.tan],
  ["Asin", "asin", reference.asin],
  ["Acos", "acos", reference.acos],
  ["Atan", "atan", reference.atan],
  ["Sinh", "sinh", reference.sinh],
  ["Cosh", "cosh", reference.cosh],
  ["Tanh", "tanh", reference.tanh],
  ["Asinh", "asinh", reference.asinh],
  ["Acosh", "acosh", reference.acosh],
  ["Atanh", "atanh", reference.atanh],
];

export const mathOperators: readonly Operator[] = [
  ...functions.map(([op, operation, meaning]) =>
    defineElementwise({
      op,
      arity: [1, 1],
      types: "float",
      reference: meaning,
      expression: () => unary(operation, input(0)),
    }),
  ),
  // Defined for integers too, where it has no use: those run as a host step.
  defineElementwise({
    op: "Erf",
    arity: [1, 1],
    types: "numeric",
    reference: reference.erf,
    expression: (context) => (/float/.test(context.type(0).dtype) ? unary("erf", input(0)) : undefined),
  }),
];
