/**
 * GroupQueryAttention of com.microsoft: causal attention with fewer key-value heads than heads over a cache that is
 * either as long as what came before or a longer buffer, into which the new keys and values are written.
 */
import type { Tensor } from "../format/tensor.ts";
import { attend, type Heads, headsFirst, tensorOfHeads, tokensFirst, tokensTogether } from "./attend.ts";
import { inputOf, integersOf, numberOf, refuse } from "./call.ts";
import { scoreBias } from "./microsoft-attention.ts";
import { numbersOf } from "./numbers.ts";
import type { Reference, ReferenceCall } from "./reference.ts";
import { rotated } from "./rotary-embedding.ts";

const totalOf = (call: ReferenceCall): number =>
  integersOf(call, "total_sequence_length", 6)?.[0] ?? refuse("the total length is missing");

interface Lengths {
  /** Tokens of the present key and value. */
  readonly present: number;
  /** Where the new tokens of a batch start. */
  readonly before: (batch: number) => number;
}

/** In the first call every batch starts at 0, however long its own prompt is. */
function lengthsOf(call: ReferenceCall, tokens: number): Lengths {
  const last = numbersOf(inputOf(call, 5));
  const total = totalOf(call);
  const past = call.inputs[3]?.shape[2] ?? 0;
  return {
    present: Math.max(total, past),
    before: (batch) => Math.max(0, (last[batch] as number) + 1 - tokens),
  };
}

/** The new tokens written over the cache. */
function written(past: Tensor | undefined, added: Heads, { present, before }: Lengths): Heads {
  const old = past && headsFirst(past);
  return {
    ...added,
    tokens: present,
    at: (b, h, s, d) => {
      const own = s - before(b);
      if (own >= 0 && own < added.tokens) return added.at(b, h, own, d);
      return old && s < old.tokens ? old.at(b, h, s, d) : 0;
    },
  };
}

/** Queries or keys turned by their positions. */
function turned(call: ReferenceCall, vectors: Heads, { before }: Lengths): Heads {
  if (numberOf(call, "do_rotary", 0) !== 1) return vectors;
  const { batch, heads, tokens, width } = vectors;
  const [cos, sin] = [inputOf(call, 7), inputOf(call, 8)];
  const ids = call.inputs[9] && numbersOf(call.inputs[9]);
  const form = {
    shape: [batch, heads, tokens, width],
    headsFirst: true,
    turned: 2 * (cos.shape[1] ?? 0),
    interleaved: numberOf(call, "rotary_interleaved", 0) === 1,
  } as const;
  return headsFirst(
    rotated(tensorOfHeads(vectors, "float64"), cos, sin, form, (b, s) =>
      ids ? (ids[b * tokens + s] as number) : before(b) + s,
    ),
  );
}

/** Inputs: query (or q, k and v packed), key, value, past key and value, last position per batch, total length, cos, sin, positions, score bias, sinks. */
export const groupQueryAttention: Reference = (call) => {
  const query = inputOf(call, 0);
  const [heads, groups] = [numberOf(call, "num_heads", 1), numberOf(call, "kv_num_heads", 1)];
  const [batch = 1, tokens = 1, size = 1] = query.shape;
  const [separateKey, separateValue] = [call.inputs[1], call.inputs[2]];
  const width = separateKey ? size / heads : size / (heads + 2 * groups);
  const q = tokensFirst(query, heads, width);
  const k = separateKey
    ? tokensFirst(separateKey, groups, width)
    : tokensFirst(query, groups, width, { offset: heads * width });
  const v = separateValue
    ? tokensFirst(separateValue, groups, (separateValue.shape[2] ?? 0) / groups)
    : tokensFirst(query, groups, width, { offset: (heads + groups) * width });
  const lengths = lengthsOf(call, tokens);
  const key = written(call.inputs[3], turned(call, k, lengths), lengths);
  const value = written(call.inputs[4], v, lengths);
  const window = numberOf(call, "local_window_size", -1);
  const isCausal = numberOf(call, "causal", 1) === 1;
  const total = totalOf(call);
  const bias = scoreBias(call.inputs[10], [batch, heads, tokens, call.inputs[10]?.shape[3] ?? 1]);
  const sinks = call.inputs[11] && numbersOf(call.inputs[11]);
  const smooth = numberOf(call, "smooth_softmax", 0) === 1;
  const { output } = attend({
    query: turned(call, q, lengths),
    key: { ...key, tokens: Math.min(key.tokens, total) },
    value,
    scale: numberOf(call, "scale", 0) || 1 / Math.sqrt(width),
    softcap: numberOf(call, "softcap", 0),
    bias: (b, h, m, t) => {
      const position = lengths.before(b) + m;
      const hidden = isCausal
        ? t > position || (window > 0 && t <= position - window)
        : t >= lengths.before(b) + tokens;
      return hidden ? Number.NEGATIVE_INFINITY : bias(b, h, m, t);
    },
    ...(sinks || smooth ? { sink: (head: number) => (sinks ? (sinks[head] as number) : 0) } : {}),
  });
  const { dtype } = query;
  const outputs = [tokensTogether(output, dtype), tensorOfHeads(key, dtype), tensorOfHeads(value, dtype)];
  return outputs.slice(0, call.outputCount);
};
