/** Indices that come from data, as int32 expressions that stay inside an axis whatever the data say. */
import type { DType } from "../../../runtime/format/dtype.ts";
import { binary, cast, constant, type Expression, input, select } from "../../../runtime/format/expression.ts";
import type { OperatorContext } from "../operator.ts";

const zero = constant(0, "int32");

/** low <= value <= high, in int32. */
export const clampIndex = (value: Expression, low: Expression, high: Expression): Expression =>
  binary("minimum", binary("maximum", value, low), high);

/** Last index of an axis of `extent`. */
export const lastOf = (extent: Expression): Expression =>
  extent.kind === "constant" ? constant(extent.value - 1, "int32") : binary("subtract", extent, constant(1, "int32"));

/** The int32 value of an index expression of type `dtype`, counted from the end when negative, clamped to the axis. */
export function wrapExpression(value: Expression, dtype: DType, extent: Expression): Expression {
  const index = dtype === "int32" ? value : cast("int32", value);
  return clampIndex(select(binary("less", index, zero), binary("add", index, extent), index), zero, lastOf(extent));
}

/** wrapExpression of operand `operand`, read at the current point. */
export const wrapIndex = (operand: number, dtype: DType, extent: Expression): Expression =>
  wrapExpression(input(operand), dtype, extent);

/** Fails unless input `index` holds int32 or int64 indices. */
export function checkIndexType(context: OperatorContext, index: number): void {
  const { dtype } = context.type(index);
  if (dtype !== "int32" && dtype !== "int64")
    context.fail(`input ${index} holds indices of the wrong type`, "int32 or int64", dtype);
}
