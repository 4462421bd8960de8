/**
 * GroupQueryAttention of com.microsoft as views, rotary embeddings, a cache and leafcutter.Attention. A cache that holds
 * exactly what came before is put in front; into a longer buffer the new tokens are scattered at positions that are data.
 * Left alone, for a host step: sinks, and buffers with a number of new tokens that is not known.
 */
import { tensorOf, zeros } from "../../../runtime/format/tensor.ts";
import { floatOf, integerAttribute, integerOf } from "../../graph/attribute.ts";
import { addDims, sameDim, subtractDims } from "../../graph/dimension.ts";
import type { Node, Value } from "../../graph/graph.ts";
import type { RewriteContext } from "../../graph/rewrite.ts";
import { type GroupedExtents, groupedExtents } from "../../ops/attention/microsoft-attention.ts";
import { operatorContext } from "../../ops/infer.ts";
import {
  behindCache,
  emitAttention,
  type HeadValue,
  headsFirst,
  isUsed,
  joinHeads,
  scalar,
  splitHeads,
} from "../emit-attention.ts";
import { reshape } from "../reshape.ts";
import { emitSlice } from "../slice.ts";
import { emitRotary, gatheredTables, type RotaryTables, slicedTables } from "./rotary.ts";

/** Where the new tokens of a batch stand: behind a cache of a known length, or at computed positions of a buffer. */
type Placement =
  | { readonly kind: "behind" }
  /** int32 [batch]: the first position, and how many tokens are valid with the new ones. */
  | { readonly kind: "scattered"; readonly starts: Value; readonly lengths: Value };

export function canonicalGroupedAttention(
  node: Node,
  context: RewriteContext,
): readonly (Value | undefined)[] | undefined {
  const [query, , , pastKey, pastValue] = node.inputs;
  const [bias, sinks] = [node.inputs[10], node.inputs[11]];
  if (query?.type.dtype !== "float32" || sinks || integerOf(node, "smooth_softmax", 0) === 1) return undefined;
  const extents = groupedExtents(operatorContext(node, context));
  const placement = placementOf(node, extents, context);
  if (!placement || (bias && !sameDim(bias.type.shape.at(-1) ?? 1, extents.present))) return undefined;
  const parts = headsOf(node, query, extents, context);
  const tables = rotaryTables(node, extents, placement, context);
  if (!parts || tables === "unknown") return undefined;
  const turned = (part: HeadValue, name: string): HeadValue | undefined => {
    if (!tables) return part;
    const interleaved = integerOf(node, "rotary_interleaved", 0) === 1;
    const value = emitRotary(context, part.value, tables, interleaved, `${node.name}/${name}`);
    return value && { ...part, value };
  };
  const [q, k] = [turned(parts[0], "query"), turned(parts[1], "key")];
  if (!q || !k) return undefined;
  const key = cached(node, pastKey, k, extents, placement, "keys", context);
  const value = cached(node, pastValue, parts[2], extents, placement, "values", context);
  if (!key || !value) return undefined;
  const result = emitAttention(
    context,
    {
      query: q,
      key,
      value,
      mask: bias,
      lengths: placement.kind === "scattered" ? placement.lengths : undefined,
      scale: floatOf(node, "scale", 0),
      causal: integerOf(node, "causal", 1) === 1,
      window: integerOf(node, "local_window_size", -1),
      softcap: floatOf(node, "softcap", 0),
      outputLayout: "BSHD",
    },
    node.name,
  );
  if (!result) return undefined;
  return [
    joinHeads(context, result, `${node.name}/joined`),
    isUsed(node, 1, context) ? headsFirst(context, key, `${node.name}/present_key`) : undefined,
    isUsed(node, 2, context) ? headsFirst(context, value, `${node.name}/present_value`) : undefined,
  ].slice(0, node.outputs.length);
}

/** In the first call all batches start at 0; a single batch whose cache grows by the new tokens starts where it ends. */
function placementOf(
  node: Node,
  { batch, tokens, past, present }: GroupedExtents,
  context: RewriteContext,
): Placement | undefined {
  if (sameDim(present, addDims(past, tokens)) && (past === 0 || sameDim(batch, 1))) return { kind: "behind" };
  const last = node.inputs[5];
  if (typeof tokens !== "number" || last?.type.dtype !== "int32") return undefined;
  const name = `${node.name}/starts`;
  const flat = reshape(context, last, [batch], name);
  const shift = scalar(context, `${name}/shift`, 1 - tokens, "int32");
  const first = context.emit("Add", [flat, shift], {}, { name, version: 14 });
  const starts = context.emit("Max", [first, scalar(context, `${name}/zero`, 0, "int32")], {}, { name, version: 13 });
  const count = scalar(context, `${node.name}/tokens`, tokens, "int32");
  const lengths = context.emit("Add", [starts, count], {}, { name: `${node.name}/lengths`, version: 14 });
  return { kind: "scattered", starts, lengths };
}

/** q, k and v, given apart or as parts of one axis of heads. */
function headsOf(
  node: Node,
  query: Value,
  { batch, tokens, heads, groups, width, packed }: GroupedExtents,
  context: RewriteContext,
): readonly [HeadValue, HeadValue, HeadValue] | undefined {
  const [, key, value] = node.inputs;
  if (!packed) {
    if (!key || !value) return undefined;
    const split = (part: Value, count: number, name: string): HeadValue =>
      splitHeads(context, part, count, `${node.name}/${name}`);
    return [split(query, heads, "query"), split(key, groups, "key"), split(value, groups, "value")];
  }
  const all = reshape(context, query, [batch, tokens, heads + 2 * groups, width], `${node.name}/heads`);
  const part = (start: number, count: number): HeadValue => ({
    value: emitSlice(context, all, [2], [start], [start + count]),
    layout: "BSHD",
  });
  return [part(0, heads), part(heads, groups), part(heads + groups, groups)];
}

/** The rows of the rotary tables at the positions of the new tokens; undefined when nothing is turned. */
function rotaryTables(
  node: Node,
  { batch, tokens, past }: GroupedExtents,
  placement: Placement,
  context: RewriteContext,
): RotaryTables | undefined | "unknown" {
  if (integerOf(node, "do_rotary", 0) !== 1) return undefined;
  const [cos, sin, ids] = node.inputs.slice(7);
  if (!cos || !sin) return "unknown";
  if (ids) return gatheredTables(context, { cos, sin }, ids, false, node.name);
  if (placement.kind === "behind") return slicedTables(context, { cos, sin }, past, tokens, false, node.name);
  if (typeof tokens !== "number") return "unknown";
  const steps = Array.from({ length: tokens }, (_, index) => index);
  const counting = context.addConstant(`${node.name}/steps`, tensorOf("int32", [1, tokens], steps));
  const starts = reshape(context, placement.starts, [batch, 1], `${node.name}/starts`);
  const positions = context.emit("Add", [starts, counting], {}, { name: `${node.name}/positions`, version: 14 });
  return gatheredTables(context, { cos, sin }, positions, false, node.name);
}

/** The cache with the new tokens in it. */
function cached(
  node: Node,
  past: Value | undefined,
  added: HeadValue,
  { present }: GroupedExtents,
  placement: Placement,
  part: string,
  context: RewriteContext,
): HeadValue | undefined {
  const name = `${node.name}/${part}`;
  if (placement.kind === "behind") return behindCache(context, past, added, name);
  const fresh = headsFirst(context, added, `${name}/new`);
  const buffer = bufferOf(past, fresh, present, name, context);
  if (!buffer) return undefined;
  const value = context.emit(
    "TensorScatter",
    [buffer, fresh, placement.starts],
    { axis: integerAttribute(2) },
    { name, version: 24 },
  );
  return { value, layout: "BHSD" };
}

/** The cache, made as long as the present one. */
function bufferOf(
  past: Value | undefined,
  fresh: Value,
  present: GroupedExtents["present"],
  name: string,
  context: RewriteContext,
): Value | undefined {
  const [batch = 1, groups = 1, , width = 1] = fresh.type.shape;
  const own = past?.type.shape[2] ?? 0;
  if (past && sameDim(own, present)) return past;
  const shape = [batch, groups, subtractDims(present, own), width];
  if (!shape.every((dim) => typeof dim === "number")) return undefined;
  const room = context.addConstant(`${name}/room`, zeros("float32", shape));
  if (!past || own === 0) return room;
  return context.emit("Concat", [past, room], { axis: integerAttribute(2) }, { name: `${name}/buffer`, version: 13 });
}
