/**
 * Graphs that are language models, and their samples from tokens. By the names that exports of decoders share: `input_ids`
 * [1, tokens] and first output [1, tokens, vocabulary]; `attention_mask` is of ones, `position_ids` count up, a cache
 * (past_key_values.*) is as short as the graph allows, anything else zero.
 */
import { type Tensor, tensorOf } from "../../runtime/format/tensor.ts";
import { evaluateDim } from "../graph/dimension.ts";
import type { Graph, Value } from "../graph/graph.ts";

export interface LanguageModel {
  /** Name of the output with a logit for each token of the vocabulary, at each position for the token behind it. */
  readonly logits: string;
  readonly vocabulary: number;
  /** Most tokens in a sample, and the only number of them unless `anyLength`. */
  readonly context: number;
  readonly anyLength: boolean;
  sample(tokens: ArrayLike<number>): Readonly<Record<string, Tensor>>;
}

const tokenInput = "input_ids";

export function languageModelOf(graph: Graph): LanguageModel | undefined {
  const tokens = graph.inputs.find(({ name }) => name === tokenInput);
  const [first] = graph.outputs;
  const vocabulary = first?.value.type.shape[2];
  const length = tokens?.type.shape[1];
  if (!first || tokens?.type.shape.length !== 2 || length === undefined) return undefined;
  if (first.value.type.dtype !== "float32" || typeof vocabulary !== "number") return undefined;
  const bounds = typeof length === "string" ? graph.symbols.get(length) : undefined;
  if (typeof length !== "number" && !bounds) return undefined;
  return {
    logits: first.name,
    vocabulary,
    context: typeof length === "number" ? length : (bounds?.upper ?? 1),
    anyLength: bounds !== undefined,
    sample: (ids) => {
      const sizes = new Map([...graph.symbols].map(([name, { lower }]) => [name, lower]));
      if (typeof length === "string") sizes.set(length, ids.length);
      return Object.fromEntries(graph.inputs.map((input) => [input.name, inputOf(input, ids, sizes)]));
    },
  };
}

function inputOf({ name, type }: Value, tokens: ArrayLike<number>, sizes: ReadonlyMap<string, number>): Tensor {
  const shape = type.shape.map((dim) => evaluateDim(dim, sizes));
  const count = shape.reduce((product, extent) => product * extent, 1);
  const valueAt = (i: number): number => {
    if (name === tokenInput) return tokens[i] as number;
    if (name === "attention_mask") return 1;
    return name === "position_ids" ? i % (shape.at(-1) ?? 1) : 0;
  };
  return tensorOf(
    type.dtype,
    shape,
    Array.from({ length: count }, (_, i) => valueAt(i)),
  );
}
