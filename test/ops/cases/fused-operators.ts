/** Cases of what onnxruntime's optimiser fuses: norms of sums, embeddings, convolutions and products with an activation. */
import { stringAttribute } from "../../../compiler/graph/attribute.ts";
import { tensor } from "../case.ts";
import { type AttentionCase, ints, make } from "./attention-operators.ts";
import { random } from "./window.ts";

const microsoft = (op: string) => make(`com.microsoft.${op}`, 1);
const row = (seed: number) => random([8], seed);
const [x, skip] = [random([2, 3, 8], 1), random([2, 3, 8], 2)];
const all = { outputCount: 4 };

const skipNorm = microsoft("SkipLayerNormalization");
const skipSimplified = microsoft("SkipSimplifiedLayerNormalization");
const simplified = make("SimplifiedLayerNormalization", 1);
const layerNorm = make("LayerNormalization", 17);
const embed = microsoft("EmbedLayerNormalization");
const [ids, segments] = [ints([1, 0, 3, 4, 2, 2], [2, 3]), ints([0, 1, 1, 0, 0, 1], [2, 3])];
const tables = [random([5, 8], 1), random([4, 8], 2), random([2, 8], 3)];

const norms: readonly AttentionCase[] = [
  skipNorm("plain", [x, skip, row(3), row(4)], { epsilon: 1e-5 }),
  skipNorm("a bias, all outputs", [x, skip, row(3), row(4), row(5)], {}, { ...all, oracle: "first" }),
  skipNorm("a skip for all batches", [x, random([3, 8], 2), row(3)], {}, { oracle: "none" }),
  skipSimplified("plain", [x, skip, row(3)], { epsilon: 1e-5 }),
  skipSimplified("a bias", [x, skip, row(3), row(5)], {}),
  simplified("plain", [x, row(3)], { axis: -1, epsilon: 1e-5 }),
  simplified("the deviation too", [x, random([3, 8], 3)], { axis: 1 }, { outputCount: 2 }),
  layerNorm("statistics, read", [x, row(3), row(4)], {}, { outputCount: 3 }),
  embed("plain", [ids, segments, ...tables, row(4), row(5), ints([1, 1, 0, 1, 1, 1], [2, 3])], {}, { outputCount: 3 }),
  embed(
    "no segments",
    [ids, undefined, tables[0], tables[1], undefined, row(4), row(5)],
    { epsilon: 1e-5 },
    { outputCount: 2 },
  ),
  microsoft("GroupNorm")(
    "channels last, SiLU",
    [random([2, 3, 4, 8], 1), row(2), row(3)],
    { groups: 2, activation: 1 },
    { oracle: "none" },
  ),
];

const conv = microsoft("FusedConv");
const [image, kernel] = [random([1, 3, 5, 5], 1), random([4, 3, 3, 3], 2)];
const relu = { activation: stringAttribute("Relu") };
const gemm = microsoft("FusedGemm");
const matmul = microsoft("FusedMatMul");

const products: readonly AttentionCase[] = [
  conv("relu", [image, kernel, random([4], 3)], { activation: "Relu", kernel_shape: [3, 3] }, { constants: [1, 2] }),
  {
    ...conv("clip", [image, kernel], {}, { constants: [1] }),
    attributes: { activation: stringAttribute("Clip"), activation_params: { kind: "floats", value: [-1, 2] } },
  },
  conv("an addend", [image, kernel, random([4], 3), random([1, 4, 3, 3], 4)], {}, { constants: [1, 2] }),
  {
    ...gemm("relu", [random([4, 6], 1), random([6, 5], 2), random([5], 3)], {}, { constants: [1, 2] }),
    attributes: relu,
  },
  matmul("scaled, both transposed", [random([2, 6, 4], 1), random([2, 5, 6], 2)], { transA: 1, transB: 1, alpha: 0.5 }),
  matmul("as MatMul", [random([2, 4, 6], 1), random([6, 5], 2)], {}, { constants: [1] }),
  microsoft("TransposeMatMul")("the second", [random([2, 4, 6], 1), random([2, 5, 6], 2)], { transB: 1, alpha: 2 }),
  microsoft("BiasSplitGelu")("plain", [x, row(2)], {}, { oracle: "none" }),
  microsoft("BiasAdd")("plain", [x, row(2), skip], {}, { oracle: "none" }),
  microsoft("QuickGelu")("plain", [tensor("float32", [-3, -1, 0, 0.5, 2])], {}),
];

export const fusedCases: readonly AttentionCase[] = [...norms, ...products];
