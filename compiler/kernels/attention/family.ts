/**
 * Attention with online softmax over blocks of keys. A row is one query of one of the heads that share a key-value
 * head, in the order [query][head of the group]; the range is batch * key-value heads * blocks of rows. Operands may have
 * any strides but on their last axis.
 */
import { addDims, ceilDivideDims, type Dim, multiplyDims, sameDim } from "../../graph/dimension.ts";
import type { BoundStep, Buffer, Family, View } from "../contract.ts";
import { keyOf } from "../expression/memo.ts";
import type { AttentionLayout, AttentionProblem } from "../problem.ts";
import { addressWord, integerWord, type NamedArguments } from "../tile/words.ts";
import { type AttentionShape, scratchLayout } from "./shape.ts";
import { type AttentionVariant, attentionVariants, blockOf, fewRows, rowsPerUnit, streamRows } from "./variants.ts";
import { emitAttention } from "./wasm.ts";
import { attentionWgsl } from "./wgsl.ts";

const groupOf = ({ heads, keyHeads }: AttentionProblem): number => heads / keyHeads;
const rowsOf = (problem: AttentionProblem): Dim => multiplyDims(problem.queries, groupOf(problem));

/** Operations of the packing of one element, in products. */
const packingCost = 8;
/** How much longer a product takes where nothing is packed. */
const streamingCost = 2;

export const attentionFamily: Family<AttentionProblem, AttentionVariant> = {
  name: "attention",
  variants: attentionVariants,
  strided: true,
  accepts: ({ packed }, { queries, keyLayout }) => packed || (typeof queries === "number" && keyLayout !== "BHDS"),
  work({ packed, rows }, problem, extent) {
    const features = problem.depth + problem.valueDepth;
    const all = extent(rowsOf(problem));
    const tiles = Math.ceil(all / rows) * rows;
    const columns = extent(problem.batch) * problem.keyHeads * extent(problem.keys) * features;
    return columns * (packed ? tiles + packingCost * Math.ceil(all / rowsPerUnit) : all * streamingCost);
  },
  overheads(_, problem, extent) {
    const rows = extent(problem.batch) * problem.keyHeads * extent(rowsOf(problem));
    return { rows, scores: rows * extent(problem.keys) };
  },
  packedOperands: () => [],
  scratchBytes: (variant, problem) => scratchLayout(shapeOf(variant, problem, "none", []), rowsPerUnit).bytes,
  bind: (variant, problem, operands, outputs, _, scratch) =>
    bindAttention(variant, problem, operands, outputs[0] as View, scratch as Buffer),
};

function shapeOf(
  variant: AttentionVariant,
  problem: AttentionProblem,
  mask: AttentionShape["mask"],
  names: readonly string[],
): AttentionShape {
  const { queries, keys, depth, valueDepth } = problem;
  const most = blockOf(depth, valueDepth);
  const single = typeof keys === "number" && keys <= most;
  const group = groupOf(problem);
  const streams = !variant.packed || (typeof queries !== "number" && problem.keyLayout !== "BHDS");
  const streamed = typeof queries === "number" ? queries * group : group;
  return {
    packedRows: variant.packed ? variant.rows : undefined,
    streamRows: streams ? streamRows(Math.max(1, streamed), 4) : undefined,
    fewRows: Math.max(fewRows, group),
    group,
    depth,
    valueDepth,
    block: single ? Math.max(8, Math.ceil(keys / 8) * 8) : most,
    single,
    transposedKeys: problem.keyLayout === "BHDS",
    mask,
    lengths: names.includes("lengths"),
    causal: problem.causal,
    window: problem.window !== undefined,
    softcap: problem.softcap,
    names,
  };
}

/** Byte strides of a view's batch, head and token axes. */
function stridesOf(view: View, layout: AttentionLayout): readonly [batch: Dim, head: Dim, token: Dim] {
  const of = (axis: string): Dim => view.strides[layout.indexOf(axis)] as Dim;
  return [of("B"), of("H"), of("S")];
}

const strideWords = (name: string, [batch, head, token]: readonly [Dim, Dim, Dim]): NamedArguments => [
  integerWord(`${name}Batch`, batch),
  integerWord(`${name}Head`, head),
  integerWord(`${name}Token`, token),
];

/** Byte strides of a mask's axes when it is broadcast to [B, H, M, T]. */
function maskStrides(mask: View): readonly [batch: Dim, head: Dim, row: Dim, key: Dim] {
  const stride = (axis: number): Dim => {
    const own = mask.shape.length - 4 + axis;
    const extent = mask.shape[own];
    return extent === undefined || sameDim(extent, 1) ? 0 : (mask.strides[own] as Dim);
  };
  return [stride(0), stride(1), stride(2), stride(3)];
}

function bindAttention(
  variant: AttentionVariant,
  problem: AttentionProblem,
  operands: readonly (View | undefined)[],
  output: View,
  scratch: Buffer,
): BoundStep {
  const [q, k, v, mask, lengths] = operands as readonly [View, View, View, View | undefined, View | undefined];
  const { batch, keyHeads, queries, keys, depth, valueDepth, keyLayout } = problem;
  const [maskBatch, maskHead, maskRow, maskKey] = mask ? maskStrides(mask) : [0, 0, 0, 0];
  const named: NamedArguments = [
    addressWord("query", q, "read"),
    addressWord("key", k, "read"),
    addressWord("value", v, "read"),
    addressWord("output", output, "read-write"),
    addressWord("scratch", { buffer: scratch, offset: 0 }, "scratch"),
    ...(mask ? [addressWord("mask", mask, "read")] : []),
    ...(lengths ? [addressWord("lengths", lengths, "read")] : []),
    integerWord("queries", queries),
    integerWord("keys", keys),
    integerWord("keyHeads", keyHeads),
    ...strideWords("query", stridesOf(q, problem.queryLayout)),
    ...strideWords("key", stridesOf(k, keyLayout)),
    ...strideWords("value", stridesOf(v, problem.valueLayout)),
    ...strideWords("output", stridesOf(output, problem.outputLayout)),
    ...(keyLayout === "BHDS" ? [integerWord("keyFeature", k.strides[2] as Dim)] : []),
    ...(mask ? strideWords("mask", [maskBatch, maskHead, maskRow]) : []),
    ["scale", { kind: "float", value: problem.scale / (problem.softcap ?? 1) }],
    ...(problem.window === undefined ? [] : [integerWord("window", problem.window)]),
  ];
  const shape = shapeOf(
    variant,
    problem,
    mask ? (maskKey === 0 ? "single" : "keys") : "none",
    named.map(([name]) => name),
  );
  const scores = multiplyDims(batch, problem.heads, queries, keys);
  const rows = multiplyDims(batch, problem.heads, queries);
  const tokens = multiplyDims(batch, keyHeads, keys);
  const elements = addDims(multiplyDims(rows, depth + valueDepth), multiplyDims(tokens, depth + valueDepth));
  return {
    kernel: {
      key: `attention ${keyOf(shape)}`,
      name: `attention ${variant.name}`,
      emitWasm: (context) => emitAttention(context, shape),
      emitWgsl: () => attentionWgsl(shape),
    },
    arguments: named.map(([, argument]) => argument),
    range: multiplyDims(batch, keyHeads, ceilDivideDims(rowsOf(problem), rowsPerUnit)),
    flops: multiplyDims(scores, 2 * (depth + valueDepth)),
    bytes: multiplyDims(elements, 4),
    invocations: rows,
  };
}
