/**
 * Scalar expressions: what happens to one element. The body of every fused elementwise step, loop nest
 * and kernel epilogue. Typed by its leaves: both sides of a binary operation have the same dtype,
 * comparisons give bool, everything else keeps the dtype of its operands; `cast` changes it.
 * Semantics are those of runtime/reference/expression.ts.
 */
import type { DType } from "./dtype.ts";

export type UnaryOperation =
  | "negate"
  | "abs"
  | "sign"
  | "reciprocal"
  | "sqrt"
  | "exp"
  | "log"
  | "floor"
  | "ceil"
  | "round"
  | "truncate"
  | "sin"
  | "cos"
  | "tan"
  | "asin"
  | "acos"
  | "atan"
  | "sinh"
  | "cosh"
  | "tanh"
  | "asinh"
  | "acosh"
  | "atanh"
  | "erf"
  | "sigmoid"
  | "softplus"
  | "not"
  | "bitNot"
  | "isNaN"
  | "isPositiveInfinity"
  | "isNegativeInfinity";

export type BinaryOperation =
  /** Integer division truncates towards zero; by zero gives 0. */
  | "add"
  | "subtract"
  | "multiply"
  | "divide"
  /** `modulo` takes the sign of the divisor, `remainder` that of the dividend. */
  | "modulo"
  | "remainder"
  /** NaN in either operand gives NaN. */
  | "minimum"
  | "maximum"
  | "power"
  | "equal"
  | "less"
  | "lessOrEqual"
  | "greater"
  | "greaterOrEqual"
  | "and"
  | "or"
  | "xor"
  | "bitAnd"
  | "bitOr"
  | "bitXor"
  | "shiftLeft"
  | "shiftRight";

export type Expression =
  /** The element of operand `index` at the current point. In an epilogue operand 0 is the accumulator. */
  | { readonly kind: "input"; readonly index: number }
  /** Loop nests only: the element of operand `operand` at computed int32 coordinates, one per axis, which must be in bounds. */
  | { readonly kind: "load"; readonly operand: number; readonly at: readonly Expression[] }
  /** Loop nests only: the int32 index of iteration axis `axis`. */
  | { readonly kind: "axis"; readonly axis: number }
  /** Loop nests only: the int32 step parameter `index` (a dimension or another integer known when dims are bound). */
  | { readonly kind: "parameter"; readonly index: number }
  | { readonly kind: "constant"; readonly dtype: DType; readonly value: number }
  | { readonly kind: "unary"; readonly operation: UnaryOperation; readonly value: Expression }
  | {
      readonly kind: "binary";
      readonly operation: BinaryOperation;
      readonly left: Expression;
      readonly right: Expression;
    }
  | {
      readonly kind: "select";
      readonly condition: Expression;
      readonly whenTrue: Expression;
      readonly whenFalse: Expression;
    }
  | { readonly kind: "cast"; readonly dtype: DType; readonly value: Expression };

/** Constructors, so that formulas read as formulas. */
export const input = (index: number): Expression => ({ kind: "input", index });
export const axis = (index: number): Expression => ({ kind: "axis", axis: index });
export const parameter = (index: number): Expression => ({ kind: "parameter", index });
export const load = (operand: number, at: readonly Expression[]): Expression => ({ kind: "load", operand, at });
export const constant = (value: number, dtype: DType = "float32"): Expression => ({ kind: "constant", dtype, value });
export const unary = (operation: UnaryOperation, value: Expression): Expression => ({
  kind: "unary",
  operation,
  value,
});
export const binary = (operation: BinaryOperation, left: Expression, right: Expression): Expression => ({
  kind: "binary",
  operation,
  left,
  right,
});
export const select = (condition: Expression, whenTrue: Expression, whenFalse: Expression): Expression => ({
  kind: "select",
  condition,
  whenTrue,
  whenFalse,
});
export const cast = (dtype: DType, value: Expression): Expression => ({ kind: "cast", dtype, value });

const comparisons: ReadonlySet<BinaryOperation> = new Set([
  "equal",
  "less",
  "lessOrEqual",
  "greater",
  "greaterOrEqual",
]);
const tests: ReadonlySet<UnaryOperation> = new Set(["isNaN", "isPositiveInfinity", "isNegativeInfinity"]);

/** The dtype of an expression whose operands have the dtypes `operands`. */
export function expressionType(expression: Expression, operands: readonly DType[]): DType {
  switch (expression.kind) {
    case "input":
      return operands[expression.index] ?? "float32";
    case "load":
      return operands[expression.operand] ?? "float32";
    case "axis":
    case "parameter":
      return "int32";
    case "constant":
    case "cast":
      return expression.dtype;
    case "unary":
      return tests.has(expression.operation) ? "bool" : expressionType(expression.value, operands);
    case "binary":
      return comparisons.has(expression.operation) ? "bool" : expressionType(expression.left, operands);
    case "select":
      return expressionType(expression.whenTrue, operands);
  }
}

/** The same expression with every leaf and node rebuilt bottom-up by `change` (return the argument to keep it). */
export function mapExpression(expression: Expression, change: (expression: Expression) => Expression): Expression {
  const recur = (child: Expression): Expression => mapExpression(child, change);
  switch (expression.kind) {
    case "input":
    case "axis":
    case "parameter":
    case "constant":
      return change(expression);
    case "load":
      return change({ ...expression, at: expression.at.map(recur) });
    case "unary":
    case "cast":
      return change({ ...expression, value: recur(expression.value) });
    case "binary":
      return change({ ...expression, left: recur(expression.left), right: recur(expression.right) });
    case "select":
      return change({
        ...expression,
        condition: recur(expression.condition),
        whenTrue: recur(expression.whenTrue),
        whenFalse: recur(expression.whenFalse),
      });
  }
}
