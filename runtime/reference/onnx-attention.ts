/**
 * Attention of ONNX 23 and 24: q, k, v of rank 3 ([batch, tokens, heads * width]) or 4 (heads first), a mask, a cache
 * that is put in front of keys and values, and (24) how many keys of each batch are valid.
 */
import { attend, type Heads, headsFirst, joined, tensorOfHeads, tokensFirst, tokensTogether } from "./attend.ts";
import { broadcastIndex } from "./broadcast.ts";
import { inputOf, numberOf, refuse } from "./call.ts";
import { numbersOf } from "./numbers.ts";
import type { Reference, ReferenceCall } from "./reference.ts";

function headsOf(call: ReferenceCall, index: number, count: number): Heads {
  const tensor = inputOf(call, index);
  if (tensor.shape.length === 4) return headsFirst(tensor);
  return tokensFirst(tensor, count, (tensor.shape[2] ?? 0) / count);
}

/** How far the mask is from 0; a mask that is shorter than the keys hides the rest. */
function maskOf(call: ReferenceCall, batch: number, heads: number, queries: number) {
  const mask = call.inputs[3];
  if (!mask) return () => 0;
  const own = mask.shape[mask.shape.length - 1] ?? 1;
  const values = numbersOf(mask);
  const index = broadcastIndex(mask.shape, [batch, heads, queries, own]);
  return (b: number, h: number, m: number, t: number): number => {
    if (t >= own) return Number.NEGATIVE_INFINITY;
    const value = values[index(((b * heads + h) * queries + m) * own + t)] as number;
    return mask.dtype !== "bool" ? value : value ? 0 : Number.NEGATIVE_INFINITY;
  };
}

export const onnxAttention: Reference = (call) => {
  const query = headsOf(call, 0, numberOf(call, "q_num_heads", 0));
  const [pastKey, pastValue] = [call.inputs[4], call.inputs[5]];
  const key = joined(pastKey && headsFirst(pastKey), headsOf(call, 1, numberOf(call, "kv_num_heads", 0)));
  const value = joined(pastValue && headsFirst(pastValue), headsOf(call, 2, numberOf(call, "kv_num_heads", 0)));
  if (query.heads % key.heads !== 0) refuse("heads are no multiple of the key-value heads");
  const { batch, heads, tokens: queries } = query;
  const mask = maskOf(call, batch, heads, queries);
  const lengths = call.inputs[6] && numbersOf(call.inputs[6]);
  const causal = numberOf(call, "is_causal", 0) === 1;
  const before = (b: number): number =>
    pastKey ? (pastKey.shape[2] ?? 0) : lengths ? (lengths[b] as number) - queries : 0;
  const { output, scores } = attend({
    query,
    key,
    value,
    scale: numberOf(call, "scale", 1 / Math.sqrt(query.width)),
    softcap: numberOf(call, "softcap", 0),
    bias: (b, h, m, t) => {
      const hidden = (causal && t > m + before(b)) || (lengths !== undefined && t >= (lengths[b] as number));
      return hidden ? Number.NEGATIVE_INFINITY : mask(b, h, m, t);
    },
  });
  const { dtype, shape } = inputOf(call, 0);
  const mode = (["product", "capped", "biased", "weights"] as const)[numberOf(call, "qk_matmul_output_mode", 0)];
  const outputs = [
    shape.length === 4 ? tensorOfHeads(output, dtype) : tokensTogether(output, dtype),
    tensorOfHeads(key, inputOf(call, 1).dtype),
    tensorOfHeads(value, inputOf(call, 2).dtype),
    tensorOfHeads(scores[mode ?? "product"], dtype),
  ];
  return outputs.slice(0, call.outputCount);
};
