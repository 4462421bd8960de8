/**
 * Attention and MultiHeadAttention of com.microsoft as products, views and leafcutter.Attention. The masks of keys, in
 * all their forms, become numbers to add.
 */
import { tensorOf } from "../../../runtime/format/tensor.ts";
import { floatOf, integerAttribute, integerOf, integersOf } from "../../graph/attribute.ts";
import { addDims, type Dim, multiplyDims, sameDim, subtractDims } from "../../graph/dimension.ts";
import type { Node, Value } from "../../graph/graph.ts";
import type { RewriteContext } from "../../graph/rewrite.ts";
import {
  additive,
  behindCache,
  emitAttention,
  type HeadValue,
  headsFirst,
  isUsed,
  joinHeads,
  scalar,
  splitHeads,
  sumOf,
  tokensOf,
} from "../emit-attention.ts";
import { reshape } from "../reshape.ts";
import { emitSlice } from "../slice.ts";

type Replacement = readonly (Value | undefined)[] | undefined;

export function canonicalMicrosoftAttention(node: Node, context: RewriteContext): Replacement {
  const [x, weights, bias, mask, past, scoreBias] = node.inputs;
  if (!x || !weights || x.type.dtype !== "float32") return undefined;
  const product = context.emit("MatMul", [x, weights], {}, { name: `${node.name}/qkv`, version: 13 });
  const qkv = bias ? context.emit("Add", [product, bias], {}, { name: `${node.name}/bias`, version: 14 }) : product;
  const parts = projectedHeads(node, qkv, context);
  if (!parts) return undefined;
  const [query, ownKey, ownValue] = parts;
  const cache = (index: number, part: string): Value | undefined => {
    if (!past) return undefined;
    const half = emitSlice(context, past, [0], [index], [index + 1]);
    return reshape(context, half, past.type.shape.slice(1), `${node.name}/past_${part}`);
  };
  const key = behindCache(context, cache(0, "key"), ownKey, `${node.name}/keys`);
  const value = behindCache(context, cache(1, "value"), ownValue, `${node.name}/values`);
  const result = attended(node, context, { query, key, value, mask, scoreBias });
  if (!result) return undefined;
  if (!isUsed(node, 1, context)) return node.outputs.length > 1 ? [result, undefined] : [result];
  const halves = [key, value].map((half, index) => {
    const first = headsFirst(context, half, `${node.name}/present_${index}`);
    return reshape(context, first, [1, ...first.type.shape], `${node.name}/half_${index}`);
  });
  return [
    result,
    context.emit("Concat", halves, { axis: integerAttribute(0) }, { name: `${node.name}/present`, version: 13 }),
  ];
}

/** Heads of equal width are parts of one axis, so that slices of it need no copy. */
function projectedHeads(
  node: Node,
  qkv: Value,
  context: RewriteContext,
): readonly [HeadValue, HeadValue, HeadValue] | undefined {
  const heads = integerOf(node, "num_heads", 1);
  const [batch = 1, tokens = 1, columns] = qkv.type.shape;
  if (typeof columns !== "number") return undefined;
  const third = columns / 3;
  const [q = third, k = third, v = third] = integersOf(node, "qkv_hidden_sizes") ?? [];
  if (q === k && k === v) {
    const all = reshape(context, qkv, [batch, tokens, 3 * heads, q / heads], `${node.name}/heads`);
    const part = (index: number): HeadValue => ({
      value: emitSlice(context, all, [2], [index * heads], [(index + 1) * heads]),
      layout: "BSHD",
    });
    return [part(0), part(1), part(2)];
  }
  const part = (start: number, size: number): HeadValue =>
    splitHeads(context, emitSlice(context, qkv, [2], [start], [start + size]), heads, `${node.name}/heads`);
  return [part(0, q), part(q, k), part(q + k, v)];
}

export function canonicalMultiHead(node: Node, context: RewriteContext): Replacement {
  const [query, , , , mask, scoreBias, pastKey, pastValue] = node.inputs;
  if (query?.type.dtype !== "float32") return undefined;
  const parts = separateHeads(node, context);
  if (!parts) return undefined;
  const [q, k, v] = withBias(node, parts, context);
  const key = behindCache(context, pastKey, k, `${node.name}/keys`);
  const value = behindCache(context, pastValue, v, `${node.name}/values`);
  const result = attended(node, context, { query: q, key, value, mask, scoreBias });
  if (!result) return undefined;
  return [
    result,
    isUsed(node, 1, context) ? headsFirst(context, key, `${node.name}/present_key`) : undefined,
    isUsed(node, 2, context) ? headsFirst(context, value, `${node.name}/present_value`) : undefined,
  ].slice(0, node.outputs.length);
}

function separateHeads(node: Node, context: RewriteContext): readonly [HeadValue, HeadValue, HeadValue] | undefined {
  const [query, key, value] = node.inputs;
  const heads = integerOf(node, "num_heads", 1);
  /** Part `index` of [batch, tokens, heads, parts, width]. */
  const unpacked = (packed: Value, index: number): HeadValue => {
    const [batch = 1, tokens = 1, , , width = 1] = packed.type.shape;
    const part = emitSlice(context, packed, [3], [index], [index + 1]);
    return { value: reshape(context, part, [batch, tokens, heads, width], `${node.name}/part`), layout: "BSHD" };
  };
  const own = (given: Value, name: string): HeadValue =>
    given.type.shape.length === 4
      ? { value: given, layout: "BHSD" }
      : splitHeads(context, given, heads, `${node.name}/${name}`);
  if (!query) return undefined;
  if (query.type.shape.length === 5) return [unpacked(query, 0), unpacked(query, 1), unpacked(query, 2)];
  const q = own(query, "query");
  if (key?.type.shape.length === 5) return [q, unpacked(key, 0), unpacked(key, 1)];
  return key && value ? [q, own(key, "key"), own(value, "value")] : undefined;
}

/** The bias of the projections, which comes before keys and values that are heads first. */
function withBias(
  node: Node,
  [q, k, v]: readonly [HeadValue, HeadValue, HeadValue],
  context: RewriteContext,
): readonly [HeadValue, HeadValue, HeadValue] {
  const bias = node.inputs[3];
  if (!bias) return [q, k, v];
  const sizeOf = ({ value: { type } }: HeadValue): Dim => multiplyDims(type.shape[2] ?? 1, type.shape[3] ?? 1);
  const size = sizeOf(q);
  const biased = (part: HeadValue, start: Dim): HeadValue => {
    if (part.layout === "BHSD") return part;
    const own = emitSlice(context, bias, [0], [start], [addDims(start, sizeOf(part))]);
    const shaped = reshape(context, own, part.value.type.shape.slice(2), `${node.name}/bias`);
    return {
      ...part,
      value: context.emit("Add", [part.value, shaped], {}, { name: `${node.name}/bias`, version: 14 }),
    };
  };
  return [biased(q, 0), biased(k, size), biased(v, multiplyDims(size, 2))];
}

interface Operands {
  readonly query: HeadValue;
  readonly key: HeadValue;
  readonly value: HeadValue;
  readonly mask: Value | undefined;
  readonly scoreBias: Value | undefined;
}

/** The part that both operators have. */
function attended(node: Node, context: RewriteContext, operands: Operands): Value | undefined {
  const { query, key, value, mask, scoreBias } = operands;
  const hidden = mask && keyMask(node, mask, query, key, context);
  if (mask && !hidden) return undefined;
  const result = emitAttention(
    context,
    {
      query,
      key,
      value,
      mask: sumOf(context, [hidden, scoreBias], `${node.name}/mask`),
      scale: floatOf(node, "scale", 0),
      causal: integerOf(node, "unidirectional", 0) === 1,
      outputLayout: "BSHD",
    },
    node.name,
  );
  return result && joinHeads(context, result, `${node.name}/joined`);
}

/** mask_filter_value where the mask hides a key, broadcastable to [batch, heads, queries, keys]. */
function keyMask(
  node: Node,
  mask: Value,
  query: HeadValue,
  key: HeadValue,
  context: RewriteContext,
): Value | undefined {
  const name = `${node.name}/key_mask`;
  const [batch = 1] = query.value.type.shape;
  const [queries, keys] = [tokensOf(query), tokensOf(key)];
  const hidden = floatOf(node, "mask_filter_value", -10000);
  const { dtype, shape } = mask.type;
  if (shape.length === 1) {
    if (typeof keys !== "number") return undefined;
    const index = Array.from({ length: keys }, (_, key) => key);
    const positions = context.addConstant(`${name}/positions`, tensorOf(dtype, [1, 1, 1, keys], index));
    const bound = (start: Dim): Value =>
      reshape(context, emitSlice(context, mask, [0], [start], [addDims(start, batch)]), [batch, 1, 1, 1], name);
    const before = context.emit("Less", [positions, bound(0)], {}, { name, version: 13 });
    if (sameDim(shape[0] as Dim, batch)) return additive(context, before, hidden, name);
    const after = context.emit("GreaterOrEqual", [positions, bound(batch)], {}, { name, version: 16 });
    return additive(context, context.emit("And", [before, after], {}, { name, version: 7 }), hidden, name);
  }
  const shown = context.emit("Greater", [mask, scalar(context, `${name}/zero`, 0, dtype)], {}, { name, version: 13 });
  const numbers = additive(context, shown, hidden, name);
  if (shape.length === 2) return reshape(context, numbers, [shape[0] as Dim, 1, 1, shape[1] as Dim], name);
  if (shape.length === 3) return reshape(context, numbers, [shape[0] as Dim, 1, ...shape.slice(1)], name);
  const before = subtractDims(keys, queries);
  return emitSlice(context, numbers, [2, 3], [before, 0], [addDims(before, queries), keys]);
}
