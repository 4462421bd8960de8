/**
 * Node to kernels: each node's lowering with a variant chosen for every family problem by the cost table.
 * Nodes without a lowering become host steps.
 */

import { type Dim, upperBound } from "../graph/dimension.ts";
import type { Facts } from "../graph/facts.ts";
import type { Graph, Node, TensorType } from "../graph/graph.ts";
import type { Family, Variant } from "../kernels/contract.ts";
import { type CostTable, costOf } from "../kernels/cost-table.ts";
import { familyOf } from "../kernels/families.ts";
import { isBindable } from "../kernels/loop/bind.ts";
import type { Problem } from "../kernels/problem.ts";
import { lowerElementwise } from "../ops/elementwise/lower.ts";
import { operatorOf } from "../ops/index.ts";
import { operatorContext } from "../ops/infer.ts";
import type { LoweredStep, NestStep, StepOperand } from "../ops/operator.ts";
import { countsOf } from "./step-time.ts";

export type SelectedStep =
  | NestStep
  | {
      readonly kind: "family";
      readonly family: Family<Problem>;
      readonly variant: Variant;
      readonly problem: Problem;
      /** By the cost table, at the bounds of the symbols; undefined when it does not know the variant. */
      readonly nanoseconds: number | undefined;
      readonly operands: readonly (StepOperand | undefined)[];
      readonly outputs: readonly StepOperand[];
    };

export type SelectedNode =
  | { readonly kind: "view"; readonly node: Node }
  | { readonly kind: "host"; readonly node: Node; readonly reference: string }
  | {
      readonly kind: "steps";
      readonly node: Node;
      readonly steps: readonly SelectedStep[];
      readonly temporaries: readonly TensorType[];
    };

/** Lowers `node` and picks variants. */
export function selectNode(node: Node, facts: Facts, graph: Graph, costs: CostTable): SelectedNode {
  const operator = operatorOf(node);
  const context = operatorContext(node, facts);
  const expression = operator.lower ? undefined : operator.expression?.(context);
  const lowering = operator.lower ? operator.lower(context) : expression && lowerElementwise(context, expression);
  if (!lowering) return { kind: "host", node, reference: operator.referenceName ?? operator.op };
  if (lowering.kind === "view") return { kind: "view", node };
  const extent = (dim: Dim): number => upperBound(dim, graph.symbols);
  const steps: SelectedStep[] = [];
  for (const step of lowering.steps) {
    const selected = step.kind === "family" ? selectStep(step, extent, costs) : step;
    if (!selected || (selected.kind === "nest" && !isBindable(selected.nest)))
      return { kind: "host", node, reference: operator.referenceName ?? operator.op };
    steps.push(selected);
  }
  return { kind: "steps", node, steps, temporaries: lowering.temporaries };
}

function selectStep(
  step: Extract<LoweredStep, { readonly kind: "family" }>,
  extent: (dim: Dim) => number,
  costs: CostTable,
): SelectedStep | undefined {
  const { problem, operands, outputs, otherwise } = step;
  const family = familyOf(problem);
  const variant = family && selectVariant(family, problem, extent, costs);
  if (!variant) return otherwise;
  const counts = countsOf(family, variant, problem, extent);
  const nanoseconds = costOf(costs, family.name, variant.name, counts, storageOf(problem));
  return { kind: "family", problem, operands, outputs, family, variant, nanoseconds };
}

/** The cheapest variant that accepts the problem; undefined when none does. */
export function selectVariant(
  family: Family<Problem>,
  problem: Problem,
  extent: (dim: Dim) => number,
  costs: CostTable,
): Variant | undefined {
  let best: { readonly variant: Variant; readonly cost: number } | undefined;
  for (const variant of family.variants) {
    if (!family.accepts(variant, problem)) continue;
    const counts = countsOf(family, variant, problem, extent);
    const cost = costOf(costs, family.name, variant.name, counts, storageOf(problem)) ?? 1e15 + counts.work;
    if (!best || cost < best.cost) best = { variant, cost };
  }
  return best?.variant;
}

/**
 * By what the cost table tells problems of a variant apart: how weights are stored, integers that the relaxed dot can take,
 * what a pool does with what.
 */
export function storageOf(problem: Problem): string | undefined {
  if ("storage" in problem) return problem.storage;
  if (problem.family === "pool") return problem.dtype === "float32" ? problem.mode : `${problem.mode} ${problem.dtype}`;
  return "inputBits" in problem && problem.inputBits === 7 ? "7-bit" : undefined;
}
