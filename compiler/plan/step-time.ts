/**
 * Time of one step by the cost table, at the bounds of the symbols: what a family's work takes and the epilogue behind it,
 * or the expressions of a loop nest. undefined where the table has no word on it.
 */
import type { Expression } from "../../runtime/format/expression.ts";
import { type Dim, productOf } from "../graph/dimension.ts";
import type { BoundStep, Family, Variant, View } from "../kernels/contract.ts";
import { type CostTable, type Counts, elementwiseNanoseconds, operationNanoseconds } from "../kernels/cost-table.ts";
import type { Problem } from "../kernels/problem.ts";
import { epilogueForm } from "../kernels/tile/finish.ts";

type Upper = (dim: Dim) => number;

/** What the cost table has prices for. */
export const countsOf = (family: Family<Problem>, variant: Variant, problem: Problem, extent: Upper): Counts => ({
  ...family.overheads?.(variant, problem, extent),
  work: family.work(variant, problem, extent),
});

export function nestNanoseconds({ elementwise }: BoundStep, costs: CostTable, upper: Upper): number | undefined {
  const known = costs.elementwise;
  if (!elementwise || !known) return undefined;
  return elementwise.reduce(
    (sum, work) => sum + elementwiseNanoseconds(work, upper(work.points), upper(work.rows), known),
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
  if (nanoseconds === undefined || !output) return nanoseconds;
  return nanoseconds + upper(productOf(output.shape)) * epilogueNanoseconds(problem, costs);
}

/** Nanoseconds of what follows one output; that integer products pass over their sums again is part of their own rates. */
export function epilogueNanoseconds(problem: Problem, costs: Pick<CostTable, "epilogue" | "elementwise">): number {
  const epilogue: Expression | undefined = "epilogue" in problem ? problem.epilogue : undefined;
  if (!epilogue || !costs.epilogue) return 0;
  const { inline, pass, operations, integer } = costs.epilogue;
  // Depthwise bytes call the functions that the others have written in place.
  if (problem.family === "depthwise-i8")
    return operationNanoseconds(epilogue, { ...integer, ...functionsOf(costs.elementwise?.operations) });
  if ("outputType" in problem) return operationNanoseconds(epilogue, integer);
  const operands = "epilogueOperands" in problem ? problem.epilogueOperands : 0;
  switch (epilogueForm(epilogue, operands, true)) {
    case "none":
      return 0;
    case "inline":
      return operationNanoseconds(epilogue, { add: inline });
    case "pass":
      return pass + operationNanoseconds(epilogue, operations);
  }
}

/** What WebAssembly has no instruction for. */
const functions = ["exp", "log", "sin", "cos", "tanh", "sigmoid", "softplus", "erf", "power"] as const;

const functionsOf = (operations: Readonly<Record<string, number>> = {}): Readonly<Record<string, number>> =>
  Object.fromEntries(functions.flatMap((name) => (operations[name] === undefined ? [] : [[name, operations[name]]])));
