/** Questions that passes ask when they look for a pattern, from its last node backwards. */
import { integerOf } from "../graph/attribute.ts";
import type { Node, Value } from "../graph/graph.ts";
import type { RewriteContext } from "../graph/rewrite.ts";
import { parameterOf } from "./parameter.ts";

/** The node behind a value, when it is of this operator. */
export function producerOf(value: Value | undefined, op: string, context: RewriteContext): Node | undefined {
  const node = value && context.producer(value);
  return node?.op === op ? node : undefined;
}

/** Both orders of a commutative node's operands. */
export function orders(node: Node | undefined): readonly (readonly [Value, Value])[] {
  const [a, b] = node?.inputs ?? [];
  return a && b
    ? [
        [a, b],
        [b, a],
      ]
    : [];
}

/** First of the trailing axes that a mean is taken over, when it keeps them. */
export function meanAxis(node: Node | undefined, context: RewriteContext): number | undefined {
  const x = node?.inputs[0];
  if (!node || !x || integerOf(node, "keepdims", 1) !== 1) return undefined;
  const axes = parameterOf(node, "axes", 1, context);
  if (!axes || axes === "absent" || axes.length === 0) return undefined;
  const rank = x.type.shape.length;
  const sorted = axes.map((axis) => (axis < 0 ? axis + rank : axis)).sort((a, b) => a - b);
  return sorted.every((axis, index) => axis === rank - sorted.length + index) ? sorted[0] : undefined;
}

/** The only element of a constant. */
export function scalarOf(value: Value | undefined, context: RewriteContext): number | undefined {
  const tensor = value && context.constant(value);
  return tensor?.data.length === 1 ? Number(tensor.data[0]) : undefined;
}
