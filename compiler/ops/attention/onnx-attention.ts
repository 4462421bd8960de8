/**
 * Attention of ONNX 23 and 24. Rewritten by a pass to leafcutter.Attention; the forms that this cannot express (the
 * scores as an output) run as a host step.
 */
import { onnxAttention } from "../../../runtime/reference/onnx-attention.ts";
import { integerOf } from "../../graph/attribute.ts";
import { addDims, type Dim, divideDims, multiplyDims } from "../../graph/dimension.ts";
import type { TensorType } from "../../graph/graph.ts";
import { defineOperator, type OperatorContext, sumTolerance } from "../operator.ts";

/** Extents of q, k or v, of rank 3 or heads first. */
export interface HeadExtents {
  readonly batch: Dim;
  readonly heads: Dim;
  readonly tokens: Dim;
  readonly width: Dim;
}

function headsOf(context: OperatorContext, index: number, name: string): HeadExtents {
  const { shape } = context.type(index);
  const [batch = 1, second = 1, third = 1, fourth = 1] = shape;
  if (shape.length === 4) return { batch, heads: second, tokens: third, width: fourth };
  const heads = integerOf(context.node, name, 0);
  if (shape.length !== 3 || heads <= 0)
    context.fail(`input ${index} has the wrong form`, `rank 4, or rank 3 and ${name}`, `rank ${shape.length}`);
  if (typeof third === "number" && third % heads !== 0)
    context.fail(`input ${index} is not made of heads`, `a multiple of ${heads}`, String(third));
  return { batch, heads, tokens: second, width: divideDims(third, heads) };
}

/** Queries, and keys and values with what the cache holds in front of them. */
function onnxAttentionExtents(context: OperatorContext) {
  const query = headsOf(context, 0, "q_num_heads");
  const cached = (index: number, past: number): HeadExtents => {
    const own = headsOf(context, index, "kv_num_heads");
    return context.has(past) ? { ...own, tokens: addDims(own.tokens, context.type(past).shape[2] ?? 0) } : own;
  };
  const key = cached(1, 4);
  const value = cached(2, 5);
  if (typeof query.heads === "number" && typeof key.heads === "number" && query.heads % key.heads !== 0)
    context.fail("heads are no multiple of the key-value heads", `a multiple of ${key.heads}`, String(query.heads));
  return { query, key, value };
}

const asShape = ({ batch, heads, tokens, width }: HeadExtents): readonly Dim[] => [batch, heads, tokens, width];

function infer(context: OperatorContext): readonly TensorType[] {
  const { query, key, value } = onnxAttentionExtents(context);
  const { dtype, shape } = context.type(0);
  const result: readonly Dim[] =
    shape.length === 4
      ? [query.batch, query.heads, query.tokens, value.width]
      : [query.batch, query.tokens, multiplyDims(query.heads, value.width)];
  return [
    { dtype, shape: result },
    { dtype: context.type(1).dtype, shape: asShape(key) },
    { dtype: context.type(2).dtype, shape: asShape(value) },
    { dtype, shape: [query.batch, query.heads, query.tokens, key.tokens] },
  ].slice(0, Math.max(1, context.node.outputs.length));
}

export const onnxAttentionOperator = defineOperator({
  op: "Attention",
  infer,
  reference: onnxAttention,
  tolerance: sumTolerance,
});
