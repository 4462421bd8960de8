/** Cases of leafcutter.Attention: layouts, grouped heads, masks of every broadcast, causality, windows, lengths, caps. */
import { floatAttribute } from "../../../compiler/graph/attribute.ts";
import { noise, sizeOf } from "../../kernels/tensors.ts";
import { type OperatorCase, tensor } from "../case.ts";
import { attributesOf, random } from "./window.ts";

type Layout = "BHSD" | "BSHD" | "BHDS";

export interface AttentionShape {
  readonly batch: number;
  readonly heads: number;
  readonly keyHeads: number;
  readonly queries: number;
  readonly keys: number;
  readonly depth: number;
  readonly valueDepth: number;
}

const small: AttentionShape = {
  batch: 2,
  heads: 4,
  keyHeads: 4,
  queries: 5,
  keys: 7,
  depth: 6,
  valueDepth: 3,
};

const shapeIn = (layout: Layout, batch: number, heads: number, tokens: number, features: number): readonly number[] => {
  switch (layout) {
    case "BHSD":
      return [batch, heads, tokens, features];
    case "BSHD":
      return [batch, tokens, heads, features];
    case "BHDS":
      return [batch, heads, features, tokens];
  }
};

interface Options {
  readonly shape?: Partial<AttentionShape>;
  /** Of Q, K, V and output. */
  readonly layouts?: readonly [Layout, Layout, Layout, Layout];
  readonly mask?: readonly number[];
  /** Every second element of the mask. */
  readonly hidden?: number;
  readonly lengths?: readonly number[];
  readonly scale?: number;
  readonly softcap?: number;
  readonly attributes?: Readonly<Record<string, number>>;
}

function attentionCase(name: string, options: Options = {}): OperatorCase {
  const { batch, heads, keyHeads, queries, keys, depth, valueDepth } = { ...small, ...options.shape };
  const [query, key, value, output] = options.layouts ?? ["BHSD", "BHSD", "BHSD", "BHSD"];
  const { mask, hidden = 0 } = options;
  const scores = mask && noise(sizeOf(mask), 5).map((score, index) => (index % 2 === 0 ? score : score + hidden));
  return {
    name,
    op: "leafcutter.Attention",
    version: 1,
    inputs: [
      random(shapeIn(query, batch, heads, queries, depth), 1),
      random(shapeIn(key, batch, keyHeads, keys, depth), 2),
      random(shapeIn(value, batch, keyHeads, keys, valueDepth), 3),
      mask && scores && tensor("float32", scores, mask),
      options.lengths && tensor("int32", options.lengths),
    ],
    attributes: {
      ...attributesOf({ queryLayout: query, keyLayout: key, valueLayout: value, outputLayout: output }),
      ...attributesOf(options.attributes ?? {}),
      scale: floatAttribute(options.scale ?? 1.7),
      ...(options.softcap === undefined ? {} : { softcap: floatAttribute(options.softcap) }),
    },
  };
}

export const attentionCases: readonly OperatorCase[] = [
  attentionCase("plain"),
  attentionCase("tokens before heads", { layouts: ["BSHD", "BSHD", "BSHD", "BSHD"] }),
  attentionCase("keys transposed", { layouts: ["BHSD", "BHDS", "BSHD", "BSHD"] }),
  attentionCase("grouped heads", { shape: { keyHeads: 2 }, layouts: ["BSHD", "BHSD", "BHSD", "BHSD"] }),
  attentionCase("one query of many heads", { shape: { heads: 9, keyHeads: 3, queries: 1, keys: 33 } }),
  attentionCase("many queries", { shape: { batch: 1, heads: 2, keyHeads: 1, queries: 37, keys: 41, depth: 16 } }),
  attentionCase("full mask", { mask: [2, 4, 5, 7] }),
  attentionCase("mask per batch", { mask: [2, 1, 1, 7], hidden: -1e9 }),
  attentionCase("mask per row", { mask: [5, 7], hidden: -Infinity }),
  attentionCase("mask per head", { mask: [4, 5, 7], hidden: -3.4e38 }),
  attentionCase("one mask value a row", { mask: [2, 1, 5, 1] }),
  attentionCase("causal", { attributes: { causal: 1 } }),
  attentionCase("causal, more queries than keys", { shape: { queries: 9 }, attributes: { causal: 1 } }),
  attentionCase("window", { shape: { keys: 12 }, attributes: { causal: 1, window: 3 } }),
  attentionCase("lengths", { lengths: [4, 7] }),
  attentionCase("lengths, causal, mask", { lengths: [0, 6], mask: [5, 7], attributes: { causal: 1 } }),
  attentionCase("softcap", { mask: [5, 7], hidden: -Infinity, softcap: 1.5, scale: 9 }),
  attentionCase("rows hidden whole", { mask: [2, 4, 5, 1], hidden: -Infinity }),
];
