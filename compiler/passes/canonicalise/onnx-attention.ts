/**
 * Attention of ONNX 23 and 24 as leafcutter.Attention. Left alone, for a host step: the scores as an output, and extents
 * of which the position of the causal diagonal cannot be told.
 */
import { tensorOf } from "../../../runtime/format/tensor.ts";
import { floatOf, integerAttribute, integerOf } from "../../graph/attribute.ts";
import { type Dim, sameDim, subtractDims } from "../../graph/dimension.ts";
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
  splitHeads,
  sumOf,
  tokensOf,
} from "../emit-attention.ts";
import { reshape } from "../reshape.ts";

/** The code of the type in ONNX. */
const int32 = 6;

export function canonicalOnnxAttention(
  node: Node,
  context: RewriteContext,
): readonly (Value | undefined)[] | undefined {
  const [q, k, v, mask, pastKey, pastValue, lengths] = node.inputs;
  if (!q || !k || !v || q.type.dtype !== "float32" || isUsed(node, 3, context)) return undefined;
  const headsOf = (value: Value, attribute: string, part: string): HeadValue =>
    value.type.shape.length === 4
      ? { value, layout: "BHSD" }
      : splitHeads(context, value, integerOf(node, attribute, 1), `${node.name}/${part}`);
  const query = headsOf(q, "q_num_heads", "query");
  const key = behindCache(context, pastKey, headsOf(k, "kv_num_heads", "key"), `${node.name}/keys`);
  const value = behindCache(context, pastValue, headsOf(v, "kv_num_heads", "value"), `${node.name}/values`);
  const causality = causalityOf(node, query, key, context);
  if (!causality) return undefined;
  const numbers = maskOf(mask, tokensOf(key), context, node.name);
  if (mask && !numbers) return undefined;
  const result = emitAttention(
    context,
    {
      query,
      key,
      value,
      mask: sumOf(context, [numbers, causality.mask], `${node.name}/mask`),
      lengths: lengths && lengthsOf(lengths, context, node.name),
      scale: floatOf(node, "scale", 0),
      causal: causality.causal,
      softcap: floatOf(node, "softcap", 0),
      outputLayout: q.type.shape.length === 4 ? "BHSD" : "BSHD",
    },
    node.name,
  );
  if (!result) return undefined;
  return [
    q.type.shape.length === 4 ? result : joinHeads(context, result, `${node.name}/joined`),
    isUsed(node, 1, context) ? headsFirst(context, key, `${node.name}/present_key`) : undefined,
    isUsed(node, 2, context) ? headsFirst(context, value, `${node.name}/present_value`) : undefined,
  ].slice(0, node.outputs.length);
}

const lengthsOf = (lengths: Value, context: RewriteContext, name: string): Value => {
  const flat = reshape(context, lengths, [lengths.type.shape[0] ?? 1], `${name}/lengths`);
  return flat.type.dtype === "int32"
    ? flat
    : context.emit("Cast", [flat], { to: integerAttribute(int32) }, { name: `${name}/lengths`, version: 13 });
};

/** Numbers to add; a mask that is shorter than the keys hides the rest. undefined: it is not known whether it is. */
function maskOf(mask: Value | undefined, keys: Dim, context: RewriteContext, name: string): Value | undefined {
  if (!mask) return undefined;
  const numbers = mask.type.dtype === "bool" ? additive(context, mask, -Infinity, `${name}/mask`) : mask;
  const own = mask.type.shape.at(-1) ?? 1;
  if (sameDim(own, keys)) return numbers;
  const shape = [...mask.type.shape.slice(0, -1), subtractDims(keys, own)];
  if (!shape.every((dim) => typeof dim === "number")) return undefined;
  const hidden = new Array<number>(shape.reduce((count, dim) => count * dim, 1)).fill(-Infinity);
  const rest = context.addConstant(`${name}/rest`, tensorOf("float32", shape, hidden));
  return context.emit("Concat", [numbers, rest], { axis: integerAttribute(-1) }, { name: `${name}/mask`, version: 13 });
}

/**
 * The diagonal of leafcutter.Attention ends at the last valid key. Here it starts behind the cache, or ends at the last valid
 * key when lengths are given without a cache; where the two differ it becomes part of the mask.
 */
function causalityOf(
  node: Node,
  query: HeadValue,
  key: HeadValue,
  context: RewriteContext,
): { readonly causal: boolean; readonly mask?: Value } | undefined {
  if (integerOf(node, "is_causal", 0) !== 1) return { causal: false };
  const [queries, keys] = [tokensOf(query), tokensOf(key)];
  const past = node.inputs[4]?.type.shape[2] ?? 0;
  if (node.inputs[6]) return node.inputs[4] ? undefined : { causal: true };
  if (sameDim(subtractDims(keys, queries), past)) return { causal: true };
  if (typeof queries !== "number" || typeof keys !== "number" || typeof past !== "number") return undefined;
  const values = Array.from({ length: queries * keys }, (_, at) =>
    at % keys > Math.floor(at / keys) + past ? -Infinity : 0,
  );
  const mask = context.addConstant(`${node.name}/causal`, tensorOf("float32", [queries, keys], values));
  return { causal: false, mask };
}
