/**
 * Text that a language model writes itself, to stand for real text where there is no data: inputs whose statistics are nearer to
 * those of use than random tokens have. All positions are sampled at once, each from what the model expects behind the tokens
 * of the round before (Jacobi decoding with the same Gumbel noise in every round); a few rounds make text that hangs together
 * locally, which is what second moments show. Deterministic.
 */
import { fillRandom } from "../../runtime/format/random.ts";
import type { Graph } from "../graph/graph.ts";
import { type CalibrateSettings, calibrate } from "./calibrate.ts";
import type { Calibration } from "./calibration.ts";
import { hashOfGraph, hashOfValue } from "./graph-hash.ts";
import type { LanguageModel } from "./language-model.ts";
import type { OpenedGraph } from "./observe.ts";

export interface OwnTextSettings {
  readonly windows: number;
  readonly tokens: number;
  readonly rounds: number;
  onProgress?(done: number, total: number): void;
  readonly signal?: AbortSignal | undefined;
}

const seed = 2027;

/** The tokens of each window. */
export async function writeOwnText(
  model: LanguageModel,
  execution: OpenedGraph,
  { windows, tokens, rounds, onProgress, signal }: OwnTextSettings,
): Promise<readonly Int32Array[]> {
  const { vocabulary } = model;
  const noise = new Float32Array(tokens * vocabulary);
  const texts: Int32Array[] = [];
  for (let window = 0; window < windows; window++) {
    fillRandom("float32", noise, Math.imul(seed, window + 1));
    // Uniform in (0, 1) to Gumbel; the smallest step of fillRandom is 2^-23 of its range -1..1.
    for (let i = 0; i < noise.length; i++) noise[i] = -Math.log(-Math.log(((noise[i] as number) + 1 + 2 ** -24) / 2));
    let text: Int32Array = Int32Array.from({ length: tokens }, (_, at) => mostLikely(noise, at, vocabulary));
    for (let round = 0; round < rounds; round++) {
      signal?.throwIfAborted();
      onProgress?.(window * rounds + round, windows * rounds);
      const logits = (await execution.run(model.sample(text)))[model.logits]?.data as Float32Array;
      const next: Int32Array = text.slice();
      for (let at = 1; at < tokens; at++) next[at] = mostLikely(noise, at, vocabulary, logits);
      text = next;
    }
    texts.push(text);
  }
  return texts;
}

/** The token at `at`, by its noise and the logits of the position before it. */
function mostLikely(noise: Float32Array, at: number, vocabulary: number, logits?: Float32Array): number {
  const here = at * vocabulary;
  const before = here - vocabulary;
  let best = 0;
  let most = Number.NEGATIVE_INFINITY;
  for (let token = 0; token < vocabulary; token++) {
    const value = (noise[here + token] as number) + (logits ? (logits[before + token] as number) : 0);
    if (value <= most) continue;
    most = value;
    best = token;
  }
  return best;
}

/** Fewer tokens make noisy moments; more rounds than a few add little (KL divergence of a small decoder in 4 bits). */
const ownTokens = 256;
const mostWindows = 48;
const ownRounds = 3;
/** Times that the calibration runs each window. */
const observations = 2;
/** Floating-point operations that all runs together should stay below, as far as two windows allow. */
const flopLimit = 4e11;

/** A calibration on own text, with second moments, for weights that are rounded without data. */
export async function calibrateOnOwnText(
  graph: Graph,
  model: LanguageModel,
  settings: Omit<CalibrateSettings, "source" | "secondMoments" | "norms">,
): Promise<Calibration> {
  const tokens = model.anyLength ? Math.min(ownTokens, model.context) : model.context;
  const execution = await settings.open(graph, []);
  try {
    const affordable = Math.floor(flopLimit / ((execution.flops ?? 0) * (ownRounds + observations)));
    const windows = Math.max(2, Math.min(mostWindows, affordable));
    const write = async (): Promise<readonly { readonly text: Int32Array }[]> => {
      const texts = await writeOwnText(model, execution, { ...settings, windows, tokens, rounds: ownRounds });
      return texts.map((text) => ({ text }));
    };
    const { cache } = settings;
    const key = cache && (await hashOfValue(["own text", await hashOfGraph(graph), seed, windows, tokens, ownRounds]));
    const kept = cache && key ? await cache.recall(key, write) : await write();
    const samples = kept.map(({ text = [] }) => model.sample(text));
    return await calibrate(graph, samples, { ...settings, source: "own text", secondMoments: true });
  } finally {
    execution.close();
  }
}
