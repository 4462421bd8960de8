/**
 * What the rewrites of all attention operators share: heads as views, the cache in front of keys and values, masks as
 * numbers to add, and the leafcutter.Attention node that they end in.
 */
import type { DType } from "../../runtime/format/dtype.ts";
import { tensorOf } from "../../runtime/format/tensor.ts";
import { floatAttribute, integerAttribute, integersAttribute, stringAttribute } from "../graph/attribute.ts";
import { type Dim, divideDims, multiplyDims } from "../graph/dimension.ts";
import type { Node, Value } from "../graph/graph.ts";
import type { RewriteContext } from "../graph/rewrite.ts";
import { reshape } from "./reshape.ts";

export type HeadLayout = "BHSD" | "BSHD";

/** Queries, keys or values of rank 4, and which axis holds the heads. */
export interface HeadValue {
  readonly value: Value;
  readonly layout: HeadLayout;
}

/** [batch, tokens, heads * width] as [batch, tokens, heads, width]. */
export function splitHeads(context: RewriteContext, value: Value, heads: number, name: string): HeadValue {
  const [batch = 1, tokens = 1, size = 1] = value.type.shape;
  return {
    value: reshape(context, value, [batch, tokens, heads, divideDims(size, heads)], name),
    layout: "BSHD",
  };
}

/** The extent of tokens. */
export const tokensOf = ({ value, layout }: HeadValue): Dim => value.type.shape[layout === "BHSD" ? 2 : 1] ?? 1;

/** [batch, heads, tokens, width], as caches are. */
export const headsFirst = (context: RewriteContext, { value, layout }: HeadValue, name: string): Value =>
  layout === "BHSD"
    ? value
    : context.emit("Transpose", [value], { perm: integersAttribute([0, 2, 1, 3]) }, { name, version: 21 });

/** The tokens of the cache, then the new ones. */
export function behindCache(
  context: RewriteContext,
  past: Value | undefined,
  added: HeadValue,
  name: string,
): HeadValue {
  if (!past || past.type.shape[2] === 0) return added;
  const operands = [past, headsFirst(context, added, `${name}/new`)];
  return {
    value: context.emit("Concat", operands, { axis: integerAttribute(2) }, { name, version: 13 }),
    layout: "BHSD",
  };
}

/** A constant of one number. */
export const scalar = (context: RewriteContext, name: string, value: number, dtype: DType = "float32"): Value =>
  context.addConstant(name, tensorOf(dtype, [], [value]));

/** 0 where `shown` is true, `hidden` elsewhere. */
export const additive = (context: RewriteContext, shown: Value, hidden: number, name: string): Value =>
  context.emit(
    "Where",
    [shown, scalar(context, `${name}/shown`, 0), scalar(context, `${name}/hidden`, hidden)],
    {},
    {
      name,
      version: 16,
    },
  );

/** The sum of what is present. */
export function sumOf(
  context: RewriteContext,
  values: readonly (Value | undefined)[],
  name: string,
): Value | undefined {
  const [first, ...rest] = values.filter((value) => value !== undefined);
  return rest.reduce<Value | undefined>(
    (sum, value) => sum && context.emit("Add", [sum, value], {}, { name, version: 14 }),
    first,
  );
}

export interface AttentionForm {
  readonly query: HeadValue;
  readonly key: HeadValue;
  readonly value: HeadValue;
  readonly mask?: Value | undefined;
  readonly lengths?: Value | undefined;
  /** 0: 1 / sqrt(width). */
  readonly scale: number;
  readonly causal: boolean;
  /** 0: none. */
  readonly window?: number;
  /** 0: none. */
  readonly softcap?: number;
  readonly outputLayout: HeadLayout;
}

/** The attention node; undefined when the width of a head, of which the scale follows, is not known. */
export function emitAttention(context: RewriteContext, form: AttentionForm, name: string): Value | undefined {
  const { query, key, value, mask, lengths, causal, window = 0, softcap = 0 } = form;
  const width = query.value.type.shape[3];
  const scale = form.scale || (typeof width === "number" ? 1 / Math.sqrt(width) : 0);
  if (scale === 0) return undefined;
  return context.emit(
    "leafcutter.Attention",
    [query.value, key.value, value.value, mask, lengths],
    {
      queryLayout: stringAttribute(query.layout),
      keyLayout: stringAttribute(key.layout),
      valueLayout: stringAttribute(value.layout),
      outputLayout: stringAttribute(form.outputLayout),
      scale: floatAttribute(scale),
      causal: integerAttribute(causal ? 1 : 0),
      ...(window > 0 ? { window: integerAttribute(window) } : {}),
      ...(softcap > 0 ? { softcap: floatAttribute(softcap) } : {}),
    },
    { name, version: 1 },
  );
}

/** [batch, tokens, heads, width] as [batch, tokens, heads * width]. */
export function joinHeads(context: RewriteContext, value: Value, name: string): Value {
  const [batch = 1, tokens = 1, heads = 1, width = 1] = value.type.shape;
  return reshape(context, value, [batch, tokens, multiplyDims(heads, width)], name);
}

/** Whether anything reads output `index` of the node. */
export function isUsed(node: Node, index: number, context: RewriteContext): boolean {
  const output = node.outputs[index];
  return output !== undefined && (context.consumers(output).length > 0 || context.isOutput(output));
}
