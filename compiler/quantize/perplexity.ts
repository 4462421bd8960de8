/** Perplexity of a language model on windows of tokens: exp of the mean of -ln p(token | the tokens before it in its window). */
import type { LanguageModel } from "./language-model.ts";
import type { OpenedGraph } from "./observe.ts";

export interface Perplexity {
  readonly perplexity: number;
  /** Tokens that were predicted. */
  readonly tokens: number;
  /** Mean of -ln p in each window. */
  readonly losses: readonly number[];
}

/** Each window holds one token more than the model sees: the last is only predicted. */
export async function perplexity(
  model: LanguageModel,
  execution: Pick<OpenedGraph, "run">,
  windows: Iterable<ArrayLike<number>>,
  onWindow?: (done: number) => void,
): Promise<Perplexity> {
  const losses: number[] = [];
  let loss = 0;
  let tokens = 0;
  for (const window of windows) {
    const seen = Array.from(window).slice(0, -1);
    const logits = (await execution.run(model.sample(seen)))[model.logits]?.data as Float32Array;
    let here = 0;
    for (let at = 0; at < seen.length; at++)
      here += surprise(logits, at * model.vocabulary, model.vocabulary, window[at + 1] as number);
    loss += here;
    tokens += seen.length;
    losses.push(here / seen.length);
    onWindow?.(losses.length);
  }
  return { perplexity: Math.exp(loss / tokens), tokens, losses };
}

/** -ln of the token's probability under the softmax of the `count` logits from `start` on. */
export function surprise(logits: ArrayLike<number>, start: number, count: number, token: number): number {
  let most = Number.NEGATIVE_INFINITY;
  for (let i = start; i < start + count; i++) most = Math.max(most, logits[i] as number);
  let sum = 0;
  for (let i = start; i < start + count; i++) sum += Math.exp((logits[i] as number) - most);
  return Math.log(sum) + most - (logits[start + token] as number);
}

/** Windows of `context` + 1 tokens, one after the other: each starts with the token that the one before predicted last. */
export function windowsOf(tokens: ArrayLike<number>, context: number): readonly ArrayLike<number>[] {
  const all = Array.from(tokens);
  const count = Math.floor((all.length - 1) / context);
  return Array.from({ length: count }, (_, i) => all.slice(i * context, (i + 1) * context + 1));
}
