/**
 * Time of one step by the cost table, at the bounds of the symbols: what a family's work takes and the epilogue behind it,
 * or the expressions of a loop nest. undefined where the table has no word on it.
 */
import type { Expression } from "../../runtime/format/expression.ts";
import { type Dim, productOf } from "../graph/dimension.ts";
import type { BoundStep, View } from "../kernels/contract.ts";
import { type CostTable, pointNanoseconds } from "../kernels/cost-table.ts";
import type { Problem } from "../kernels/problem.ts";

type Upper = (dim: Dim) => number;

export function nestNanoseconds({ elementwise }: BoundStep, costs: CostTable, upper: Upper): number | undefined {
  const known = costs.elementwise;
  if (!elementwise || !known) return undefined;
  return elementwise.reduce(
    (sum, { points, form, expression }) => sum + upper(points) * pointNanoseconds(expression, form, known),
    costs.stepOverhead,
  );
}

/** `nanoseconds`: of the product, pool or reduction alone. */
export function familyNanoseconds(
  nanoseconds: number | undefined,
  problem: Problem,
  output: View | undefined,
  costs: CostTable,
  upper: Upper,
): number | undefined {
  const epilogue: Expression | undefined = "epilogue" in problem ? problem.epilogue : undefined;
  if (nanoseconds === undefined || !epilogue || !output || !costs.elementwise) return nanoseconds;
  // The point's own reading and writing happens on registers or in the nearest cache.
  const { operations } = costs.elementwise;
  const alone = pointNanoseconds(epilogue, "vector", { vector: 0, scalar: 0, copy: 0, operations });
  return nanoseconds + upper(productOf(output.shape)) * alone;
}
