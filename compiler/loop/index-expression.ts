/** An affine coordinate as an int32 expression; symbolic dims join the nest's `parameters`. */
import { axis, binary, constant, type Expression, parameter } from "../../runtime/format/expression.ts";
import type { Dim } from "../graph/dimension.ts";
import type { AffineIndex } from "./loop.ts";

export function indexExpression({ offset, terms }: AffineIndex, parameters: Dim[]): Expression {
  const integer = (dim: Dim): Expression =>
    typeof dim === "number" ? constant(dim, "int32") : parameter(parameters.push(dim) - 1);
  return terms.reduce((sum: Expression, { axis: of, coefficient }) => {
    const term = coefficient === 1 ? axis(of) : binary("multiply", axis(of), integer(coefficient));
    return sum.kind === "constant" && sum.value === 0 ? term : binary("add", sum, term);
  }, integer(offset));
}
