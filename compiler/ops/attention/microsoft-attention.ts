/**
 * Attention, MultiHeadAttention and GroupQueryAttention of com.microsoft, as onnxruntime's optimiser and its model
 * builders emit them. Rewritten by a pass to products, rotary embeddings and leafcutter.Attention; what cannot be runs
 * as a host step. Refused: caches of other types than the keys, and caches whose length is data.
 */
import { groupQueryAttention } from "../../../runtime/reference/group-query-attention.ts";
import { microsoftAttention, multiHeadAttention } from "../../../runtime/reference/microsoft-attention.ts";
import { integerOf, integersOf } from "../../graph/attribute.ts";
import { addDims, type Dim, divideDims, maximumDim, multiplyDims, sameDim } from "../../graph/dimension.ts";
import type { TensorType } from "../../graph/graph.ts";
import { isAtLeast } from "../movement/copy.ts";
import { defineOperator, type Operator, type OperatorContext, sumTolerance } from "../operator.ts";

const outputsOf = (context: OperatorContext, types: readonly TensorType[]): readonly TensorType[] =>
  types.slice(0, Math.max(1, context.node.outputs.length));

function headCount(context: OperatorContext, name: string): number {
  const heads = integerOf(context.node, name, 0);
  return heads > 0 ? heads : context.fail(`attribute ${name} is missing`, "a positive number", String(heads));
}

function refuse(context: OperatorContext, inputs: readonly number[], attributes: readonly string[]): void {
  for (const index of inputs) if (context.has(index)) context.fail(`input ${index} is not supported`, "absent");
  for (const name of attributes)
    if (integerOf(context.node, name, 0) > 0) context.fail(`attribute ${name} is not supported`, "0", "1");
}

/** Masks of up to 4 axes; of one axis only ends, or ends and starts. */
function checkMask(context: OperatorContext, index: number, batch: Dim): void {
  if (!context.has(index)) return;
  const { shape } = context.type(index);
  const [first] = shape;
  const known =
    shape.length > 1 || first === undefined || sameDim(first, batch) || sameDim(first, multiplyDims(batch, 2));
  if (!known || shape.length > 4)
    context.fail("the mask has an unknown form", "[batch], [2*batch] or 2 to 4 axes", JSON.stringify(shape));
}

/** Extents of q, k and v in the columns of the projection. */
function projectedSizes(context: OperatorContext): readonly [Dim, Dim, Dim] {
  const columns = context.type(1).shape[1] ?? 0;
  const third = divideDims(columns, 3);
  const [q, k, v] = integersOf(context.node, "qkv_hidden_sizes") ?? [];
  return q === undefined || k === undefined || v === undefined ? [third, third, third] : [q, k, v];
}

function inferAttention(context: OperatorContext): readonly TensorType[] {
  const { dtype, shape } = context.type(0);
  const heads = headCount(context, "num_heads");
  const [batch = 1, tokens = 1] = shape;
  if (shape.length !== 3) context.fail("input 0 has the wrong rank", "3", String(shape.length));
  refuse(context, [6], ["past_present_share_buffer", "do_rotary"]);
  checkMask(context, 3, batch);
  const [, key, value] = projectedSizes(context);
  const past = context.has(4) ? (context.type(4).shape[3] ?? 0) : 0;
  const present = [2, batch, heads, addDims(past, tokens), divideDims(key, heads)];
  return outputsOf(context, [
    { dtype, shape: [batch, tokens, value] },
    { dtype, shape: present },
  ]);
}

/** Extents of keys or values before the cache is joined, whatever their form. */
function inferMultiHead(context: OperatorContext): readonly TensorType[] {
  const { dtype, shape } = context.type(0);
  const heads = headCount(context, "num_heads");
  const [batch = 1, tokens = 1, size = 1, , packedWidth = 1] = shape;
  refuse(context, [8, 9], []);
  checkMask(context, 4, batch);
  const packed = shape.length === 5;
  if (!packed && shape.length !== 3) context.fail("input 0 has the wrong rank", "3 or 5", String(shape.length));
  const width = packed ? packedWidth : divideDims(size, heads);
  const extents = (index: number): readonly [tokens: Dim, width: Dim] => {
    if (packed) return [tokens, width];
    const own = context.type(index).shape;
    if (own.length === 5) return [own[1] ?? 1, own[4] ?? 1];
    return own.length === 4 ? [own[2] ?? 1, own[3] ?? 1] : [own[1] ?? 1, divideDims(own[2] ?? 1, heads)];
  };
  const [keyTokens, keyWidth] = extents(1);
  const isPair = !packed && context.type(1).shape.length === 5;
  const [, valueWidth] = packed || isPair ? [keyTokens, keyWidth] : extents(2);
  const total = addDims(context.has(6) ? (context.type(6).shape[2] ?? 0) : 0, keyTokens);
  return outputsOf(context, [
    { dtype, shape: [batch, tokens, multiplyDims(heads, valueWidth)] },
    { dtype, shape: [batch, heads, total, keyWidth] },
    { dtype, shape: [batch, heads, total, valueWidth] },
  ]);
}

/** What a GroupQueryAttention node says about its extents. */
export interface GroupedExtents {
  readonly batch: Dim;
  readonly tokens: Dim;
  readonly heads: number;
  readonly groups: number;
  readonly width: Dim;
  readonly packed: boolean;
  readonly past: Dim;
  readonly present: Dim;
}

/** The greater one, as one of the two wherever that can be told. */
const longerOf = (left: Dim, right: Dim): Dim =>
  isAtLeast(left, right) ? left : isAtLeast(right, left) ? right : maximumDim(left, right);

export function groupedExtents(context: OperatorContext): GroupedExtents {
  const { shape } = context.type(0);
  const [heads, groups] = [headCount(context, "num_heads"), headCount(context, "kv_num_heads")];
  const [batch = 1, tokens = 1, size = 1] = shape;
  if (shape.length !== 3) context.fail("input 0 has the wrong rank", "3", String(shape.length));
  if (heads % groups !== 0)
    context.fail("heads are no multiple of kv_num_heads", `a multiple of ${groups}`, `${heads}`);
  const packed = !context.has(1);
  const width = divideDims(size, packed ? heads + 2 * groups : heads);
  const past = context.has(3) ? (context.type(3).shape[2] ?? 0) : 0;
  const total = context.integers("total_sequence_length", 6)?.[0];
  if (total === undefined)
    context.fail(
      "the total length must follow from the shapes of the inputs",
      "an integer known when the model is compiled, or the extent of an input",
      "a computed value",
    );
  return { batch, tokens, heads, groups, width, packed, past, present: longerOf(total, past) };
}

function inferGrouped(context: OperatorContext): readonly TensorType[] {
  const { dtype } = context.type(0);
  refuse(context, [12, 13, 14, 15], ["sliding_window_cache", "qk_output"]);
  const { batch, tokens, heads, groups, width, present } = groupedExtents(context);
  for (const index of [3, 4])
    if (context.has(index) && context.type(index).dtype !== dtype)
      context.fail(`input ${index} is a quantised cache`, dtype, context.type(index).dtype);
  const cache = { dtype, shape: [batch, groups, present, width] };
  return outputsOf(context, [{ dtype, shape: [batch, tokens, multiplyDims(heads, width)] }, cache, cache]);
}

const record = (op: string, infer: Operator["infer"], reference: Operator["reference"]): Operator =>
  defineOperator({ op: `com.microsoft.${op}`, infer, reference, tolerance: sumTolerance });

export const microsoftAttentionOperators: readonly Operator[] = [
  record("Attention", inferAttention, microsoftAttention),
  record("MultiHeadAttention", inferMultiHead, multiHeadAttention),
  record("GroupQueryAttention", inferGrouped, groupQueryAttention),
];
