/**
 * Attention and MultiHeadAttention of com.microsoft: the projection of one input to q, k and v, or q, k and v given apart
 * or packed; masks of keys in their many forms, each 0 where a key is hidden; a cache in front of keys and values.
 */
import type { Tensor } from "../format/tensor.ts";
import {
  type Attending,
  attend,
  type Heads,
  headsFirst,
  joined,
  tensorOfHeads,
  tokensFirst,
  tokensTogether,
} from "./attend.ts";
import { broadcastIndex } from "./broadcast.ts";
import { inputOf, listOf, numberOf, refuse } from "./call.ts";
import { numbersOf, tensorOfNumbers } from "./numbers.ts";
import type { Reference, ReferenceCall } from "./reference.ts";

type Bias = Attending["bias"];

/** `filter` where the mask hides a key. `before`: how many keys lie in front of the first query's own. */
export function keyMask(mask: Tensor | undefined, batch: number, before: number, filter: number): Bias {
  if (!mask) return () => 0;
  const values = numbersOf(mask);
  const [, second = 1, third = 1, fourth = 1] = mask.shape;
  const shown = (b: number, m: number, t: number): boolean => {
    switch (mask.shape.length) {
      case 1:
        // The ends of the batches, and behind them maybe their starts.
        return t < (values[b] as number) && (mask.shape[0] === batch || t >= (values[batch + b] as number));
      case 2:
        return (values[b * second + t] as number) > 0;
      case 3:
        return (values[(b * second + m) * third + t] as number) > 0;
      default:
        return (values[(b * second * third + before + m) * fourth + t] as number) > 0;
    }
  };
  return (b, _, m, t) => (shown(b, m, t) ? 0 : filter);
}

/** A bias that broadcasts to [batch, heads, queries, keys]. */
export function scoreBias(tensor: Tensor | undefined, shape: readonly [number, number, number, number]): Bias {
  if (!tensor) return () => 0;
  const values = numbersOf(tensor);
  const index = broadcastIndex(tensor.shape, shape);
  const [, heads, queries, keys] = shape;
  return (b, h, m, t) => values[index(((b * heads + h) * queries + m) * keys + t)] as number;
}

/** The attributes that both operators have, applied. */
function attended(
  call: ReferenceCall,
  query: Heads,
  key: Heads,
  value: Heads,
  mask: Tensor | undefined,
  bias: Tensor | undefined,
): Heads {
  const before = key.tokens - query.tokens;
  const filter = numberOf(call, "mask_filter_value", -10000);
  const masked = keyMask(mask, query.batch, before, filter);
  const biased = scoreBias(bias, [query.batch, query.heads, query.tokens, key.tokens]);
  const causal = numberOf(call, "unidirectional", 0) === 1;
  return attend({
    query,
    key,
    value,
    scale: numberOf(call, "scale", 0) || 1 / Math.sqrt(query.width),
    bias: (b, h, m, t) =>
      causal && t > m + before ? Number.NEGATIVE_INFINITY : masked(b, h, m, t) + biased(b, h, m, t),
  }).output;
}

/** x [batch, tokens, n] times weights [n, columns], plus bias [columns]. */
function projected(x: Tensor, weights: Tensor, bias: Tensor | undefined): Tensor {
  const [batch = 1, tokens = 1, inner = 1] = x.shape;
  const columns = weights.shape[1] ?? 1;
  const [left, right, offsets] = [numbersOf(x), numbersOf(weights), bias && numbersOf(bias)];
  const result = new Float64Array(batch * tokens * columns);
  for (let row = 0; row < batch * tokens; row++)
    for (let column = 0; column < columns; column++) {
      let sum = offsets ? (offsets[column] as number) : 0;
      for (let k = 0; k < inner; k++)
        sum += (left[row * inner + k] as number) * (right[k * columns + column] as number);
      result[row * columns + column] = sum;
    }
  return tensorOfNumbers("float64", [batch, tokens, columns], result);
}

/** Inputs: x, weights, bias, mask, past [2, batch, heads, tokens, width], score bias. Outputs: result, present. */
export const microsoftAttention: Reference = (call) => {
  const x = inputOf(call, 0);
  const heads = numberOf(call, "num_heads", 1);
  const qkv = projected(x, inputOf(call, 1), call.inputs[2]);
  const third = (qkv.shape[2] ?? 0) / 3;
  const [q, k, v] = (listOf(call, "qkv_hidden_sizes") ?? [third, third, third]) as [number, number, number];
  const part = (offset: number, size: number): Heads => tokensFirst(qkv, heads, size / heads, { offset });
  const past = call.inputs[4];
  const [pastKey, pastValue] = past ? halves(past) : [];
  const key = joined(pastKey, part(q, k));
  const value = joined(pastValue, part(q + k, v));
  const output = attended(call, part(0, q), key, value, call.inputs[3], call.inputs[5]);
  const outputs = [tokensTogether(output, x.dtype)];
  if (call.outputCount > 1) {
    const [present, other] = [tensorOfHeads(key, x.dtype), tensorOfHeads(value, x.dtype)];
    const values = [...Array.from(numbersOf(present)), ...Array.from(numbersOf(other))];
    outputs.push(tensorOfNumbers(x.dtype, [2, ...present.shape], values));
  }
  return outputs;
};

function halves(past: Tensor): readonly [Heads, Heads] {
  const values = numbersOf(past);
  const [, batch = 1, heads = 1, tokens = 1, width = 1] = past.shape;
  const half = (first: number): Heads => ({
    batch,
    heads,
    tokens,
    width,
    at: (b, h, s, d) => values[(((first * batch + b) * heads + h) * tokens + s) * width + d] as number,
  });
  return [half(0), half(1)];
}

/** The vectors with `bias` added, whose entries for them start at `offset`. */
const withBias = (from: Heads, bias: Tensor | undefined, offset: number): Heads => {
  if (!bias) return from;
  const values = numbersOf(bias);
  return {
    ...from,
    at: (b, h, s, d) => from.at(b, h, s, d) + (values[offset + h * from.width + d] as number),
  };
};

/**
 * Inputs: query, key, value, bias of their projections, mask, score bias, past key, past value. Query may be packed
 * [batch, tokens, heads, 3, width], key [batch, tokens, heads, 2, width]; keys and values of rank 4 are heads first.
 */
export const multiHeadAttention: Reference = (call) => {
  const query = inputOf(call, 0);
  const heads = numberOf(call, "num_heads", 1);
  const [q, k, v] = separated(call, query, heads);
  const bias = call.inputs[3];
  const [pastKey, pastValue] = [call.inputs[6], call.inputs[7]];
  const size = heads * q.width;
  const ownKeys = call.inputs[1]?.shape.length !== 4;
  const key = joined(pastKey && headsFirst(pastKey), ownKeys ? withBias(k, bias, size) : k);
  const value = joined(pastValue && headsFirst(pastValue), ownKeys ? withBias(v, bias, 2 * size) : v);
  const output = attended(call, withBias(q, bias, 0), key, value, call.inputs[4], call.inputs[5]);
  const outputs = [
    tokensTogether(output, query.dtype),
    tensorOfHeads(key, query.dtype),
    tensorOfHeads(value, query.dtype),
  ];
  return outputs.slice(0, call.outputCount);
};

function separated(call: ReferenceCall, query: Tensor, heads: number): readonly [Heads, Heads, Heads] {
  if (query.shape.length === 5) {
    const width = query.shape[4] ?? 1;
    const part = (index: number): Heads => tokensFirst(query, heads, width, { offset: index * width, step: 3 * width });
    return [part(0), part(1), part(2)];
  }
  const q = tokensFirst(query, heads, (query.shape[2] ?? 0) / heads);
  const key = inputOf(call, 1);
  if (key.shape.length === 5) {
    const width = key.shape[4] ?? 1;
    const part = (index: number): Heads => tokensFirst(key, heads, width, { offset: index * width, step: 2 * width });
    return [q, part(0), part(1)];
  }
  const value = call.inputs[2] ?? refuse("input 2 is missing");
  const own = (tensor: Tensor): Heads =>
    tensor.shape.length === 4 ? headsFirst(tensor) : tokensFirst(tensor, heads, (tensor.shape[2] ?? 0) / heads);
  return [q, own(key), own(value)];
}
