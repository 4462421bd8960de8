/**
 * int32 expressions over iteration axes and dimensions, for nests that read beyond borders: constants fold,
 * symbolic dims become step parameters, and a guarded load gives a padding value outside the operand.
 */
import { binary, constant, type Expression, load, parameter, select } from "../../../runtime/format/expression.ts";
import { type Dim, sameDim } from "../../graph/dimension.ts";

/** The parameters of one nest, each dim once. */
export class Parameters {
  readonly values: Dim[] = [];

  /** A dim as an int32 expression. */
  of(dim: Dim): Expression {
    if (typeof dim === "number") return constant(dim, "int32");
    const known = this.values.findIndex((value) => sameDim(value, dim));
    return parameter(known >= 0 ? known : this.values.push(dim) - 1);
  }
}

export const integer = (value: number): Expression => constant(value, "int32");

const knownValue = (expression: Expression): number | undefined =>
  expression.kind === "constant" ? expression.value : undefined;

export function plus(left: Expression, right: Expression): Expression {
  const [a, b] = [knownValue(left), knownValue(right)];
  if (a !== undefined && b !== undefined) return integer(a + b);
  if (a === 0) return right;
  return b === 0 ? left : binary("add", left, right);
}

export function minus(left: Expression, right: Expression): Expression {
  const [a, b] = [knownValue(left), knownValue(right)];
  if (a !== undefined && b !== undefined) return integer(a - b);
  return b === 0 ? left : binary("subtract", left, right);
}

export function times(left: Expression, right: Expression): Expression {
  const [a, b] = [knownValue(left), knownValue(right)];
  if (a !== undefined && b !== undefined) return integer(a * b);
  if (a === 1) return right;
  return b === 1 ? left : binary("multiply", left, right);
}

/** left / right for non-negative operands, rounded down. */
export function over(left: Expression, right: Expression): Expression {
  return knownValue(right) === 1 ? left : binary("divide", left, right);
}

export const both = (left: Expression | undefined, right: Expression): Expression =>
  left ? binary("and", left, right) : right;

/** One coordinate of a guarded load. `valid` is a further condition; without `extent` the index is known to be in bounds. */
export interface GuardedIndex {
  readonly index: Expression;
  readonly extent?: Expression;
  readonly valid?: Expression;
}

/** The element of `operand` at the coordinates, or `outside` when one of them is not in bounds. */
export function guardedLoad(operand: number, coordinates: readonly GuardedIndex[], outside: Expression): Expression {
  let condition: Expression | undefined;
  const at = coordinates.map(({ index, extent, valid }) => {
    if (valid) condition = both(condition, valid);
    if (!extent) return index;
    condition = both(condition, binary("greaterOrEqual", index, integer(0)));
    condition = both(condition, binary("less", index, extent));
    return binary("maximum", integer(0), binary("minimum", index, minus(extent, integer(1))));
  });
  const value = load(operand, at);
  return condition ? select(condition, value, outside) : value;
}
