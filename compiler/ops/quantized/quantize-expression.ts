/** Formulas of quantisation, as expressions: what runtime/reference/quantize.ts says of one element. */
import type { DType } from "../../../runtime/format/dtype.ts";
import { binary, cast, constant, type Expression, unary } from "../../../runtime/format/expression.ts";
import type { QuantizedType } from "../../../runtime/reference/quantized-type.ts";

const toFloat = (value: Expression): Expression => cast("float32", value);

/** saturate(round(ratio) + zero): `ratio` of float32, `zero` of any integer type or absent. */
export function quantized(ratio: Expression, zero: Expression | undefined, type: QuantizedType): Expression {
  const rounded = unary("round", ratio);
  const shifted = zero ? binary("add", rounded, toFloat(zero)) : rounded;
  const above = binary("maximum", shifted, constant(type.low));
  return cast(type.dtype, binary("minimum", above, constant(type.high)));
}

/** value - zero as int32. */
export const centred = (value: Expression, zero: Expression | undefined): Expression =>
  zero ? binary("subtract", cast("int32", value), cast("int32", zero)) : cast("int32", value);

/** (value - zero) * scale, in float32. */
export const dequantized = (value: Expression, scale: Expression, zero: Expression | undefined): Expression =>
  binary("multiply", toFloat(centred(value, zero)), scale);

/** An int32 sum times the product of its operands' scales (float32), divided by `result` and quantised. */
export function requantized(
  sum: Expression,
  [left, right]: readonly [Expression, Expression],
  result: Expression,
  zero: Expression | undefined,
  type: QuantizedType,
): Expression {
  const multiplier = binary("divide", binary("multiply", left, right), result);
  return quantized(binary("multiply", toFloat(sum), multiplier), zero, type);
}

/** A value of `from` as float32, without a cast that does nothing. */
export const asFloat = (value: Expression, from: DType): Expression => (from === "float32" ? value : toFloat(value));
