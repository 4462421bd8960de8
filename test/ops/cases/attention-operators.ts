/**
 * Cases of the attention operators of ONNX and com.microsoft and of what onnxruntime's optimiser puts around them.
 * Inputs named in `constants` are known when a model is compiled; `host`: the form has no canonical one.
 */
import type { Attributes } from "../../../compiler/graph/graph.ts";
import type { Tensor } from "../../../runtime/format/tensor.ts";
import { type OperatorCase, tensor } from "../case.ts";
import { attributesOf, random } from "./window.ts";

export interface AttentionCase extends OperatorCase {
  readonly constants: readonly number[];
  readonly host?: boolean;
  /** "none": onnxruntime's CPU kernels do not take this form. "first": only output 0 is specified in whole. */
  readonly oracle?: "none" | "first";
}

/** Cases of one operator. */
export const make =
  (op: string, version: number) =>
  (
    name: string,
    inputs: readonly (Tensor | undefined)[],
    attributes: Parameters<typeof attributesOf>[0] & { readonly scale?: number },
    extra: Partial<AttentionCase> = {},
  ): AttentionCase => ({
    name,
    op,
    version,
    inputs,
    attributes: floats(attributesOf(attributes)),
    constants: [],
    ...extra,
  });

const floatNames = new Set(["scale", "softcap", "mask_filter_value", "epsilon", "alpha"]);

/** Numbers under these names are floats even when they are whole. */
const floats = (attributes: Attributes): Attributes =>
  Object.fromEntries(
    Object.entries(attributes).map(([name, attribute]) =>
      floatNames.has(name) && attribute.kind === "integer"
        ? [name, { kind: "float", value: attribute.value }]
        : [name, attribute],
    ),
  );

export const ints = (values: readonly number[], shape?: readonly number[]): Tensor => tensor("int32", values, shape);

const onnx = make("Attention", 24);
const [q4, k4, v4] = [random([2, 4, 3, 8], 1), random([2, 2, 5, 8], 2), random([2, 2, 5, 6], 3)];
const [q3, k3, v3] = [random([2, 3, 32], 1), random([2, 3, 16], 2), random([2, 3, 16], 3)];
const grouped = { q_num_heads: 4, kv_num_heads: 2 };

const onnxCases: readonly AttentionCase[] = [
  onnx("heads first", [q4, k4, v4], {}),
  onnx("packed heads, causal", [q3, k3, v3], { ...grouped, is_causal: 1, scale: 0.3 }),
  onnx("a diagonal that is not the last", [q4, k4, v4], { is_causal: 1, softcap: 2 }),
  onnx("a bool mask", [q4, k4, v4, tensor("bool", [1, 0, 1, 1, 1, 0, 1, 1, 0, 1, 1, 1, 1, 0, 1], [3, 5])], {}),
  onnx("a short mask", [q4, k4, v4, random([4, 1, 3], 4)], {}, { oracle: "none" }),
  onnx(
    "a cache",
    [q3, k3, v3, random([3, 7], 4), random([2, 2, 4, 8], 5), random([2, 2, 4, 8], 6)],
    { ...grouped, is_causal: 1 },
    { outputCount: 3 },
  ),
  onnx("valid keys", [q4, k4, v4, undefined, undefined, undefined, tensor("int64", [4, 5], [2])], { is_causal: 1 }),
  onnx("the scores", [q4, k4, v4], { qk_matmul_output_mode: 3 }, { outputCount: 4, host: true }),
];

const attention = make("com.microsoft.Attention", 1);
const [x, weights, bias] = [random([2, 4, 6], 1), random([6, 24], 2), random([24], 3)];

const microsoftCases: readonly AttentionCase[] = [
  attention("plain", [x, weights, bias], { num_heads: 2 }, { constants: [1, 2] }),
  attention(
    "unidirectional, no bias",
    [x, weights],
    { num_heads: 2, unidirectional: 1 },
    { constants: [1], oracle: "none" },
  ),
  attention("ends", [x, weights, bias, ints([2, 4])], { num_heads: 2 }),
  attention("ends and starts", [x, weights, bias, ints([3, 4, 1, 0])], { num_heads: 2 }),
  attention("a mask of keys", [x, weights, bias, ints([1, 1, 0, 1, 1, 1, 1, 0], [2, 4])], { num_heads: 2, scale: 0.4 }),
  attention(
    "a mask of queries and keys",
    [
      x,
      weights,
      bias,
      ints(
        [...Array(32).keys()].map((i) => Number(i % 3 !== 0)),
        [2, 4, 4],
      ),
    ],
    { num_heads: 2, unidirectional: 1 },
  ),
  attention(
    "a mask of the longest sequence",
    [
      x,
      weights,
      bias,
      ints(
        [...Array(72).keys()].map((i) => Number(i % 5 !== 0)),
        [2, 1, 6, 6],
      ),
    ],
    { num_heads: 2 },
    { oracle: "none" },
  ),
  attention(
    "a cache",
    [x, weights, bias, undefined, random([2, 2, 2, 3, 4], 4)],
    { num_heads: 2, unidirectional: 1 },
    { outputCount: 2 },
  ),
  attention("a score bias", [x, weights, bias, undefined, undefined, random([1, 2, 4, 4], 5)], { num_heads: 2 }),
  attention("values of another width", [x, random([6, 20], 2), random([20], 3)], {
    num_heads: 2,
    qkv_hidden_sizes: [8, 8, 4],
  }),
];

const multi = make("com.microsoft.MultiHeadAttention", 1);
const [query, key, value] = [random([2, 3, 8], 1), random([2, 5, 8], 2), random([2, 5, 8], 3)];

const multiCases: readonly AttentionCase[] = [
  multi("apart", [query, key, value], { num_heads: 2 }),
  multi("a bias of the projections", [query, key, value, random([24], 4)], { num_heads: 2, scale: 0.7 }),
  multi("packed keys and values", [query, random([2, 5, 2, 2, 4], 2)], { num_heads: 2 }, { oracle: "none" }),
  multi("all packed", [random([2, 3, 2, 3, 4], 1)], { num_heads: 2 }, { oracle: "none" }),
  multi("keys and values heads first", [query, random([2, 2, 5, 4], 2), random([2, 2, 5, 4], 3)], { num_heads: 2 }),
  multi("a mask of keys", [query, key, value, undefined, ints([1, 1, 1, 0, 0, 1, 1, 1, 1, 1], [2, 5])], {
    num_heads: 2,
  }),
  multi("lengths", [query, key, value, undefined, ints([2, 5])], { num_heads: 2 }),
  multi("a score bias", [query, key, value, undefined, undefined, random([1, 2, 3, 5], 6)], { num_heads: 2 }),
  multi(
    "a cache",
    [query, random([2, 3, 8], 2), random([2, 3, 8], 3), undefined, undefined, undefined].concat([
      random([2, 2, 4, 4], 7),
      random([2, 2, 4, 4], 8),
    ]),
    { num_heads: 2, unidirectional: 1 },
    { outputCount: 3 },
  ),
];

const group = make("com.microsoft.GroupQueryAttention", 1);
const [cos8, sin8] = [random([16, 8], 20), random([16, 8], 21)];
const lone = [random([1, 3, 64], 1), random([1, 3, 32], 2), random([1, 3, 32], 3)];
const pair = [random([2, 1, 64], 1), random([2, 1, 32], 2), random([2, 1, 32], 3)];
const cache = (batch: number, length: number): readonly Tensor[] => [
  random([batch, 2, length, 16], 4),
  random([batch, 2, length, 16], 5),
];
const heads = { num_heads: 4, kv_num_heads: 2 };
const known = { constants: [6], outputCount: 3 };

const groupCases: readonly AttentionCase[] = [
  group("a first call", [...lone, ...cache(1, 0), ints([2]), ints([3], [])], heads, known),
  group(
    "a growing cache, rotary",
    [...lone, ...cache(1, 4), ints([6]), ints([7], []), cos8, sin8],
    { ...heads, do_rotary: 1 },
    known,
  ),
  group(
    "packed, a window, a cap",
    [random([1, 3, 128], 1), undefined, undefined, ...cache(1, 4), ints([6]), ints([7], []), cos8, sin8],
    { ...heads, do_rotary: 1, rotary_interleaved: 1, local_window_size: 3, softcap: 1.5, scale: 0.5 },
    known,
  ),
  group(
    "a buffer",
    [...pair, ...cache(2, 8), ints([3, 6]), ints([7], []), cos8, sin8],
    { ...heads, do_rotary: 1 },
    { ...known, oracle: "first" },
  ),
  group("two batches of unequal length", [...pair, ...cache(2, 6), ints([3, 6]), ints([7], [])], heads, {
    ...known,
    oracle: "first",
  }),
  group(
    "a rotary part",
    [...lone, ...cache(1, 0), ints([2]), ints([3], []), random([16, 4], 20), random([16, 4], 21)],
    { ...heads, do_rotary: 1 },
    { ...known, oracle: "none" },
  ),
  group(
    "smooth softmax",
    [...lone, ...cache(1, 4), ints([6]), ints([7], [])],
    { ...heads, smooth_softmax: 1 },
    {
      ...known,
      host: true,
    },
  ),
];

const [cos, sin] = [random([16, 4], 20), random([16, 4], 21)];
const rotary = make("com.microsoft.RotaryEmbedding", 1);
const onnxRotary = make("RotaryEmbedding", 23);
const ids = tensor("int64", [3, 4, 5, 0, 1, 2], [2, 3]);

const rotaryCases: readonly AttentionCase[] = [
  rotary("ids", [random([2, 3, 16], 1), ids, cos, sin], {}),
  rotary("a first position", [random([2, 3, 16], 1), tensor("int64", [5]), cos, sin], { interleaved: 1 }),
  rotary(
    "a known position, heads first",
    [random([2, 2, 3, 8], 1), tensor("int64", [5]), cos, sin],
    {},
    { constants: [1] },
  ),
  rotary("a part", [random([2, 3, 24], 1), ids, cos, sin], { num_heads: 2, rotary_embedding_dim: 8 }),
  onnxRotary("ids, heads first", [random([2, 2, 3, 8], 1), cos, sin, ids], { interleaved: 1 }, { oracle: "none" }),
  onnxRotary(
    "tables a token",
    [random([2, 3, 16], 1), random([2, 3, 4], 2), random([2, 3, 4], 3)],
    { num_heads: 2 },
    { oracle: "none" },
  ),
  onnxRotary("a part", [random([2, 2, 3, 12], 1), cos, sin, ids], { rotary_embedding_dim: 8 }, { oracle: "none" }),
];

export const attentionCases: readonly AttentionCase[] = [
  ...onnxCases,
  ...microsoftCases,
  ...multiCases,
  ...groupCases,
  ...rotaryCases,
];
