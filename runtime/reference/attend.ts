/**
 * Attention as the operators of ONNX and com.microsoft share it: softmax(softcap(scale * q k^T) + bias) v for every head,
 * with what those operators can also return. Operands are functions of (batch, head, token, element), so that packed
 * and concatenated ones need no copies. A query whose scores are all -Infinity gives zeros.
 */
import type { DType } from "../format/dtype.ts";
import type { Tensor } from "../format/tensor.ts";
import { numbersOf, tensorOfNumbers } from "./numbers.ts";

/** `tokens` vectors of `width` elements for every batch and head. */
export interface Heads {
  readonly batch: number;
  readonly heads: number;
  readonly tokens: number;
  readonly width: number;
  readonly at: (batch: number, head: number, token: number, element: number) => number;
}

/** [batch, heads, tokens, width]. */
export function headsFirst(tensor: Tensor): Heads {
  const [batch = 1, heads = 1, tokens = 1, width = 1] = tensor.shape;
  const values = numbersOf(tensor);
  return {
    batch,
    heads,
    tokens,
    width,
    at: (b, h, s, d) => values[((b * heads + h) * tokens + s) * width + d] as number,
  };
}

/** [batch, tokens, …]: heads of `width` elements, `step` elements from one to the next, the first `offset` elements behind the start of a token. */
export function tokensFirst(
  tensor: Tensor,
  heads: number,
  width: number,
  { offset = 0, step = width }: { readonly offset?: number; readonly step?: number } = {},
): Heads {
  const [batch = 1, tokens = 1] = tensor.shape;
  const stride = tensor.shape.slice(2).reduce((product, extent) => product * extent, 1);
  const values = numbersOf(tensor);
  return {
    batch,
    heads,
    tokens,
    width,
    at: (b, h, s, d) => values[(b * tokens + s) * stride + offset + h * step + d] as number,
  };
}

/** The tokens of `first`, then those of `second`. */
export const joined = (first: Heads | undefined, second: Heads): Heads =>
  first
    ? {
        ...second,
        tokens: first.tokens + second.tokens,
        at: (b, h, s, d) => (s < first.tokens ? first.at(b, h, s, d) : second.at(b, h, s - first.tokens, d)),
      }
    : second;

/** As a tensor [batch, heads, tokens, width]. */
export function tensorOfHeads({ batch, heads, tokens, width, at }: Heads, dtype: DType): Tensor {
  const values: number[] = [];
  for (let b = 0; b < batch; b++)
    for (let h = 0; h < heads; h++)
      for (let s = 0; s < tokens; s++) for (let d = 0; d < width; d++) values.push(at(b, h, s, d));
  return tensorOfNumbers(dtype, [batch, heads, tokens, width], values);
}

export interface Attending {
  readonly query: Heads;
  readonly key: Heads;
  readonly value: Heads;
  readonly scale: number;
  /** cap * tanh(score / cap); 0: none. */
  readonly softcap?: number;
  /** Added to the score; -Infinity hides the key. */
  readonly bias: (batch: number, head: number, query: number, key: number) => number;
  /** A score that takes part in the softmax of every query of the head without a value. */
  readonly sink?: (head: number) => number;
}

export interface Attended {
  /** [batch, head, query, element of a value]. */
  readonly output: Heads;
  /** [batch, head, query, key] before anything is added, after the cap, after the bias, after the softmax. */
  readonly scores: Readonly<Record<"product" | "capped" | "biased" | "weights", Heads>>;
}

export function attend({ query, key, value, scale, softcap = 0, bias, sink }: Attending): Attended {
  const { batch, heads, tokens: queries } = query;
  const keys = key.tokens;
  const group = heads / key.heads;
  const count = batch * heads * queries;
  const [product, capped, biased, weights] = Array.from({ length: 4 }, () => new Float64Array(count * keys)) as [
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  const output = new Float64Array(count * value.width);
  for (let b = 0; b < batch; b++)
    for (let h = 0; h < heads; h++)
      for (let m = 0; m < queries; m++) {
        const row = (b * heads + h) * queries + m;
        const shared = Math.floor(h / group);
        let largest = sink ? sink(h) : Number.NEGATIVE_INFINITY;
        for (let t = 0; t < keys; t++) {
          let dot = 0;
          for (let d = 0; d < query.width; d++) dot += query.at(b, h, m, d) * key.at(b, shared, t, d);
          const at = row * keys + t;
          product[at] = dot * scale;
          capped[at] = softcap > 0 ? softcap * Math.tanh((dot * scale) / softcap) : dot * scale;
          biased[at] = (capped[at] as number) + bias(b, h, m, t);
          largest = Math.max(largest, biased[at] as number);
        }
        if (largest === Number.NEGATIVE_INFINITY) continue;
        let sum = sink ? Math.exp(sink(h) - largest) : 0;
        for (let t = 0; t < keys; t++) sum += Math.exp((biased[row * keys + t] as number) - largest);
        for (let t = 0; t < keys; t++) {
          const weight = Math.exp((biased[row * keys + t] as number) - largest) / sum;
          weights[row * keys + t] = weight;
          if (weight === 0) continue;
          for (let d = 0; d < value.width; d++)
            output[row * value.width + d] =
              (output[row * value.width + d] as number) + weight * value.at(b, shared, t, d);
        }
      }
  const rows = (values: Float64Array, width: number): Heads => ({
    batch,
    heads,
    tokens: queries,
    width,
    at: (b, h, m, i) => values[((b * heads + h) * queries + m) * width + i] as number,
  });
  return {
    output: rows(output, value.width),
    scores: {
      product: rows(product, keys),
      capped: rows(capped, keys),
      biased: rows(biased, keys),
      weights: rows(weights, keys),
    },
  };
}

/** The result of attention as [batch, queries, heads * width]. */
export function tokensTogether({ batch, heads, tokens, width, at }: Heads, dtype: DType): Tensor {
  const values: number[] = [];
  for (let b = 0; b < batch; b++)
    for (let s = 0; s < tokens; s++)
      for (let h = 0; h < heads; h++) for (let d = 0; d < width; d++) values.push(at(b, h, s, d));
  return tensorOfNumbers(dtype, [batch, tokens, heads * width], values);
}
