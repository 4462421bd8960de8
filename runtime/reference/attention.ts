/**
 * leafcutter.Attention: softmax(softcap(scale * Q K^T) + mask) V per head, grouped heads sharing keys and values.
 * Keys that causality, the window or the lengths hide take no part; a query that sees no key at all, or only ones
 * with a score of -Infinity, gives zeros.
 */
import { broadcastIndex } from "./broadcast.ts";
import { inputOf, numberOf, refuse, textOf } from "./call.ts";
import { numbersOf, tensorOfNumbers } from "./numbers.ts";
import type { Reference, ReferenceCall } from "./reference.ts";

/** Where batch, head, token and feature stand in a shape, by layout. */
const axesOf: Readonly<Record<string, readonly [batch: number, head: number, token: number, feature: number]>> = {
  BHSD: [0, 1, 2, 3],
  BSHD: [0, 2, 1, 3],
  BHDS: [0, 1, 3, 2],
};

interface Operand {
  readonly batch: number;
  readonly heads: number;
  readonly tokens: number;
  readonly features: number;
  readonly at: (batch: number, head: number, token: number, feature: number) => number;
}

function operandOf(layout: string, shape: readonly number[]): Operand {
  const axes = axesOf[layout] ?? refuse("a layout is unknown", Object.keys(axesOf).join(", "), layout);
  if (shape.length !== 4) refuse("an operand is not of rank 4", "rank 4", `rank ${shape.length}`);
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, extent) => product * extent, 1));
  const [batch, heads, tokens, features] = axes.map((axis) => shape[axis]) as [number, number, number, number];
  const [ofBatch, ofHead, ofToken, ofFeature] = axes.map((axis) => strides[axis]) as [number, number, number, number];
  return {
    batch,
    heads,
    tokens,
    features,
    at: (b, h, s, d) => b * ofBatch + h * ofHead + s * ofToken + d * ofFeature,
  };
}

/** The keys first..last-1 that query `row` of batch `batch` may see. */
function visibleKeys(
  call: ReferenceCall,
  queries: number,
  keys: number,
): (batch: number, row: number) => readonly [first: number, last: number] {
  const lengths = call.inputs[4] && numbersOf(call.inputs[4]);
  const causal = numberOf(call, "causal", 0) === 1;
  const window = numberOf(call, "window", 0);
  return (batch, row) => {
    const length = Math.max(0, Math.min(lengths?.[batch] ?? keys, keys));
    const position = row + length - queries;
    const first = window > 0 ? Math.max(0, position - window + 1) : 0;
    return [first, causal ? Math.min(length, position + 1) : length];
  };
}

export const attention: Reference = (call) => {
  const [q, k, v] = [inputOf(call, 0), inputOf(call, 1), inputOf(call, 2)];
  const query = operandOf(textOf(call, "queryLayout", "BHSD"), q.shape);
  const key = operandOf(textOf(call, "keyLayout", "BHSD"), k.shape);
  const value = operandOf(textOf(call, "valueLayout", "BHSD"), v.shape);
  const outputLayout = textOf(call, "outputLayout", "BHSD");
  const { batch, heads, tokens: queries, features: depth } = query;
  const { tokens: keys } = key;
  const shape =
    outputLayout === "BSHD" ? [batch, queries, heads, value.features] : [batch, heads, queries, value.features];
  const output = operandOf(outputLayout, shape);
  const [qs, ks, vs] = [numbersOf(q), numbersOf(k), numbersOf(v)];
  const mask = call.inputs[3];
  const maskValues = mask && numbersOf(mask);
  const maskIndex = mask && broadcastIndex(mask.shape, [batch, heads, queries, keys]);
  const scale = numberOf(call, "scale", 1);
  const cap = numberOf(call, "softcap", 0);
  const visible = visibleKeys(call, queries, keys);
  const group = heads / key.heads;
  const result = new Float64Array(batch * heads * queries * value.features);
  const scores = new Float64Array(keys);
  for (let b = 0; b < batch; b++)
    for (let h = 0; h < heads; h++)
      for (let m = 0; m < queries; m++) {
        const shared = Math.floor(h / group);
        const [first, last] = visible(b, m);
        let largest = Number.NEGATIVE_INFINITY;
        for (let t = first; t < last; t++) {
          let dot = 0;
          for (let d = 0; d < depth; d++) dot += qs[query.at(b, h, m, d)]! * ks[key.at(b, shared, t, d)]!;
          let score = dot * scale;
          if (cap > 0) score = cap * Math.tanh(score / cap);
          if (maskValues && maskIndex) score += maskValues[maskIndex(((b * heads + h) * queries + m) * keys + t)]!;
          scores[t] = score;
          largest = Math.max(largest, score);
        }
        if (largest === Number.NEGATIVE_INFINITY) continue;
        let sum = 0;
        for (let t = first; t < last; t++) {
          const weight = Math.exp(scores[t]! - largest);
          sum += weight;
          for (let d = 0; d < value.features; d++)
            result[output.at(b, h, m, d)]! += weight * vs[value.at(b, shared, t, d)]!;
        }
        for (let d = 0; d < value.features; d++) result[output.at(b, h, m, d)]! /= sum;
      }
  return [tensorOfNumbers(q.dtype, shape, result)];
};
