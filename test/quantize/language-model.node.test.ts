import { expect, test } from "vitest";
import { integerAttribute } from "../../compiler/graph/attribute.ts";
import { GraphBuilder } from "../../compiler/graph/build.ts";
import type { Graph } from "../../compiler/graph/graph.ts";
import { inferNode } from "../../compiler/ops/infer.ts";
import { applySchemes } from "../../compiler/quantize/apply-schemes.ts";
import { calibrate } from "../../compiler/quantize/calibrate.ts";
import { type LanguageModel, languageModelOf } from "../../compiler/quantize/language-model.ts";
import { layersOf } from "../../compiler/quantize/layer.ts";
import { calibrateOnOwnText, writeOwnText } from "../../compiler/quantize/own-text.ts";
import { perplexity, windowsOf } from "../../compiler/quantize/perplexity.ts";
import type { Scheme } from "../../compiler/quantize/scheme.ts";
import { fillRandom } from "../../runtime/format/random.ts";
import { type Tensor, tensorOf } from "../../runtime/format/tensor.ts";
import { evaluateGraph } from "../graph/evaluate.ts";

const vocabulary = 24;
const width = 32;
const context = 20;

function random(shape: readonly number[], seed: number, scale: number): Tensor<"float32"> {
  const tensor = tensorOf("float32", shape, []);
  fillRandom("float32", tensor.data, seed);
  return { ...tensor, data: tensor.data.map((value) => value * scale) };
}

/** What follows a token depends on that token alone. The table is tied to the last product. */
function bigrams(): Graph {
  const builder = new GraphBuilder("bigrams", inferNode);
  const tokens = builder.input("input_ids", "int64", [1, context]);
  builder.input("attention_mask", "int64", [1, context]);
  builder.input("position_ids", "int64", [1, context]);
  builder.input("past_key_values.0.key", "float32", [1, 2, 0, 4]);
  const table = builder.constant("table", random([vocabulary, width], 3, 2));
  const hidden = builder.add("Gather", [table, tokens], { axis: integerAttribute(0) }, { name: "embedding" });
  const weights = builder.constant("weights", random([width, width], 8, 0.1));
  const mixed = builder.add("leafcutter.MatMul", [hidden, weights], {}, { name: "mix" });
  builder.output(
    "logits",
    builder.add("leafcutter.MatMul", [mixed, table], { transposeB: integerAttribute(1) }, { name: "head" }),
  );
  return builder.finish();
}

const graph = bigrams();
const model = languageModelOf(graph) as LanguageModel;
const open = async (opened: Graph) => ({
  run: async (sample: Readonly<Record<string, Tensor>>) => evaluateGraph(opened, sample),
  close: () => undefined,
});

test("a language model is known by its tokens and logits; anything else is none", () => {
  expect(model).toMatchObject({ logits: "logits", vocabulary, context, anyLength: false });
  const { inputs, ...rest } = graph;
  expect(languageModelOf({ ...rest, inputs: inputs.slice(1) })).toBeUndefined();
});

test("a sample has the tokens, a mask of ones, counting positions and an empty cache", () => {
  const sample = model.sample(Array.from({ length: context }, (_, i) => (i * 5) % vocabulary));
  expect(Object.keys(sample)).toEqual(graph.inputs.map(({ name }) => name));
  expect([...(sample.input_ids?.data ?? [])].slice(0, 6)).toEqual([0n, 5n, 10n, 15n, 20n, 1n]);
  expect([...(sample.attention_mask?.data ?? [])]).toEqual(Array(context).fill(1n));
  expect([...(sample.position_ids?.data ?? [])].at(-1)).toBe(BigInt(context - 1));
  expect(sample["past_key_values.0.key"]).toMatchObject({ shape: [1, 2, 0, 4], data: new Float32Array(0) });
});

/** p(next | token), found one token at a time. */
function probabilities(token: number): readonly number[] {
  const logits = evaluateGraph(graph, model.sample(Array(context).fill(token))).logits?.data as Float32Array;
  const powers = Array.from(logits.subarray(0, vocabulary), (value) => Math.exp(value));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

test("perplexity is the inverse of the geometric mean of the tokens' probabilities", async () => {
  const tokens = Array.from({ length: 2 * context + 7 }, (_, i) => (i * i + 3 * i) % vocabulary);
  const windows = windowsOf(tokens, context);
  expect(windows.map((window) => [window.length, window[0]])).toEqual([
    [context + 1, tokens[0]],
    [context + 1, tokens[context]],
  ]);
  const measured = await perplexity(model, await open(graph), windows);
  let product = 1;
  for (let i = 0; i < 2 * context; i++)
    product *= (probabilities(tokens[i] as number)[tokens[i + 1] as number] as number) ** (-1 / (2 * context));
  expect(measured.tokens).toBe(2 * context);
  expect(measured.perplexity / product).toBeCloseTo(1, 4);
});

test("own text is the same every time, and far likelier than random tokens", async () => {
  const settings = { windows: 6, tokens: context, rounds: 30 };
  const text = await writeOwnText(model, await open(graph), settings);
  expect(await writeOwnText(model, await open(graph), settings)).toEqual(text);
  expect(new Set(text.map(String)).size).toBe(6);
  const surprise = (windows: readonly Int32Array[]): number =>
    windows.reduce(
      (sum, window) =>
        sum - window.slice(1).reduce((a, next, i) => a + Math.log(probabilities(window[i] ?? 0)[next] ?? 0), 0),
      0,
    );
  const first = await writeOwnText(model, await open(graph), { ...settings, rounds: 0 });
  expect(surprise([...text])).toBeLessThan(0.8 * surprise([...first]));
}, 120_000);

test("second moments are those of the products' inputs, and make four bits lose less", async () => {
  const seen = await calibrate(graph, [model.sample(Array.from({ length: context }, (_, i) => i))], {
    open,
    source: "samples",
    secondMoments: true,
  });
  expect([...(seen.moments?.keys() ?? [])]).toEqual(
    layersOf(graph)
      .slice(1)
      .map(({ node }) => node.inputs[0]?.name),
  );
  const hidden = seen.moments?.get(layersOf(graph)[1]?.node.inputs[0]?.name ?? "") as Float64Array;
  const table = graph.constants.get(layersOf(graph)[0]?.weights as never)?.data as Float32Array;
  for (const [i, j] of [
    [0, 0],
    [3, 17],
    [17, 3],
  ] as const) {
    let sum = 0;
    for (let token = 0; token < context; token++)
      sum += (table[token * width + i] as number) * (table[token * width + j] as number);
    expect(hidden[i * width + j]).toBeCloseTo(sum / context, 5);
  }
  const scheme: Scheme = { kind: "int4", blockSize: 16, zeros: true };
  const mix = layersOf(graph)[1]?.node;
  const lossOf = async (calibration: typeof seen | undefined): Promise<number> => {
    const rounded = applySchemes(graph, new Map(mix ? [[mix, scheme]] : []), calibration, { correctBias: false });
    let loss = 0;
    for (let token = 0; token < vocabulary; token += context) {
      const sample = model.sample(Array.from({ length: context }, (_, i) => (token + i) % vocabulary));
      const expected = evaluateGraph(graph, sample).logits?.data as Float32Array;
      const received = evaluateGraph(rounded, sample).logits?.data as Float32Array;
      loss += expected.reduce((sum, value, i) => sum + (value - (received[i] ?? 0)) ** 2, 0);
    }
    return loss;
  };
  const informed = await calibrateOnOwnText(graph, model, { open });
  expect(informed.source).toBe("own text");
  const blind = await lossOf(undefined);
  expect(await lossOf(seen)).toBeLessThan(0.9 * blind);
  expect(await lossOf(informed)).toBeLessThan(0.9 * blind);
}, 120_000);
