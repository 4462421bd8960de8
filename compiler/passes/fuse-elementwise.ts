/**
 * Turns what is still elementwise into leafcutter.Elementwise and joins chains of it into one pass over memory.
 * A producer is taken in when the node is its only reader and has the same shape, or when it is cheaper to compute
 * again in each of its readers than to store. Bounded by the number of operands a loop can stream and by the size of the expression.
 */
import { expressionType } from "../../runtime/format/expression.ts";
import { expressionAttribute } from "../graph/attribute.ts";
import { sameShape } from "../graph/dimension.ts";
import type { Value } from "../graph/graph.ts";
import type { RewriteContext } from "../graph/rewrite.ts";
import { absorb, elementwiseForm, expressionSize, isCheap } from "./elementwise.ts";
import { rewritePass } from "./pass.ts";

const maximumOperands = 8;
const maximumSize = 128;

export const fuseElementwise = rewritePass(
  "fuse-elementwise",
  "a chain of elementwise operators reads and writes memory once",
  (node, context) => {
    const form = elementwiseForm(node, context);
    const output = node.outputs[0] as Value;
    if (!form || form.inputs.length === 0) return undefined;
    for (const value of form.inputs) {
      const producer = context.producer(value);
      const inner = producer && elementwiseForm(producer, context);
      if (!inner) continue;
      const moved = context.isOnlyUse(value, node) && sameShape(value.type.shape, output.type.shape);
      const repeated = isCheap(inner.expression) && inner.inputs.length === 1 && isReadElementwise(value, context);
      if (!moved && !repeated) continue;
      const joined = absorb(form, value, inner);
      if (joined.inputs.length > maximumOperands || expressionSize(joined.expression) > maximumSize) continue;
      return context.emit("leafcutter.Elementwise", joined.inputs, {
        expression: expressionAttribute(joined.expression),
      });
    }
    const dtypes = form.inputs.map(({ type }) => type.dtype);
    if (node.op === "leafcutter.Elementwise" || expressionType(form.expression, dtypes) !== output.type.dtype)
      return undefined;
    return context.emit("leafcutter.Elementwise", form.inputs, { expression: expressionAttribute(form.expression) });
  },
);

/** Whether all readers can take the value's computation in. */
const isReadElementwise = (value: Value, context: RewriteContext): boolean =>
  !context.isOutput(value) &&
  context.consumers(value).every((consumer) => elementwiseForm(consumer, context) !== undefined);
