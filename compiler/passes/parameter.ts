/** Integers of a node that may stand in an operand or in an attribute, when all of them are plain numbers. */
import type { Node } from "../graph/graph.ts";
import type { RewriteContext } from "../graph/rewrite.ts";
import { operatorContext } from "../ops/infer.ts";

/** "absent" when the node has neither the operand nor the attribute; undefined when some integer is not known. */
export function parameterOf(
  node: Node,
  name: string,
  index: number,
  context: RewriteContext,
): readonly number[] | "absent" | undefined {
  if (!node.inputs[index] && !node.attributes[name]) return "absent";
  const integers = operatorContext(node, context).integers(name, index);
  return integers?.every((value) => typeof value === "number") ? integers : undefined;
}
