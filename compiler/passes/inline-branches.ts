/**
 * An If whose condition has turned out to be constant becomes the nodes of the branch that it takes. Valid because the
 * condition can have no other value. Import does the same for conditions that it knows; this is for those that folding found.
 */
import { graphOf } from "../graph/attribute.ts";
import type { Graph, Value } from "../graph/graph.ts";
import type { RewriteContext } from "../graph/rewrite.ts";
import { rewritePass } from "./pass.ts";
import { widenHalf } from "./widen-half.ts";

export const inlineBranches = rewritePass(
  "inline-branches",
  "a branch that is never taken is neither computed nor shipped",
  (node, context) => {
    if (node.op !== "If") return undefined;
    const [condition, ...captured] = node.inputs;
    const known = condition && context.constant(condition)?.data[0];
    if (known === undefined) return undefined;
    return inlined(graphOf(node, Number(known) === 0 ? "else_branch" : "then_branch"), captured, context);
  },
);

/** The outputs of `graph` with its nodes in the graph around it, which has been widened already. */
function inlined(
  graph: Graph,
  captured: readonly (Value | undefined)[],
  context: RewriteContext,
): readonly (Value | undefined)[] {
  const { inputs, constants, nodes, outputs } = widenHalf.run(graph);
  const values = new Map<Value, Value | undefined>(inputs.map((input, index) => [input, captured[index]]));
  for (const [value, tensor] of constants)
    if (!context.constant(value)) values.set(value, context.addConstant(value.name, tensor, value.type.storage));
  const here = (value: Value | undefined): Value | undefined =>
    value && (values.has(value) ? values.get(value) : value);
  for (const { op, version, name, inputs: operands, attributes, outputs: results } of nodes) {
    const made = context.emitNode(op, operands.map(here), attributes, { name, version, outputCount: results.length });
    results.forEach((result, index) => {
      values.set(result, made[index]);
    });
  }
  return outputs.map(({ value }) => here(value));
}
