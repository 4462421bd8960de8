/**
 * Operators of com.microsoft whose constants lie in blocks of four bits, as products and gathers of float32 constants that are
 * stored as such blocks (BlockStorage). Other widths, and groups in another order than that of k, stay as they are.
 */
import type { Tensor } from "../../../runtime/format/tensor.ts";
import { integerAttribute, integerOf } from "../../graph/attribute.ts";
import type { Node, Value } from "../../graph/graph.ts";
import type { RewriteContext } from "../../graph/rewrite.ts";
import { blockConstant, blockSizeOf } from "../block-constant.ts";

/** `count` nibbles of a row, the first in the lower half of byte `start`. */
function nibblesOf(bytes: Tensor["data"], rows: number, rowBytes: number, count: number): Uint8Array {
  const result = new Uint8Array(rows * count);
  for (let row = 0; row < rows; row++)
    for (let i = 0; i < count; i++)
      result[row * count + i] = (Number(bytes[row * rowBytes + (i >> 1)]) >> (4 * (i & 1))) & 15;
  return result;
}

const isBytes = (tensor: Tensor | undefined): tensor is Tensor => tensor?.dtype === "uint8";

export function canonicalMatmulNBits(node: Node, context: RewriteContext): Value | undefined {
  const [a, b, scale, zero, groups, bias] = node.inputs;
  const [packed, scales, zeros] = [b, scale, zero].map((value) => value && context.constant(value));
  const blockSize = blockSizeOf(node, 32);
  if (a?.type.dtype !== "float32" || !blockSize || integerOf(node, "bits", 4) !== 4 || groups) return undefined;
  if (!b || !isBytes(packed) || scales?.dtype !== "float32" || (zero && !isBytes(zeros))) return undefined;
  const [columns, inner] = [integerOf(node, "N", 0), integerOf(node, "K", 0)];
  const blocks = Math.ceil(inner / blockSize);
  const weights = blockConstant(context, b.name, {
    shape: [columns, inner],
    axis: 1,
    blockSize,
    q: nibblesOf(packed.data, columns, (blocks * blockSize) / 2, inner),
    scales: scales.data as Float32Array,
    zeros: zeros && nibblesOf(zeros.data, columns, Math.ceil(blocks / 2), blocks),
  });
  return context.emit("leafcutter.MatMul", [a, weights, bias], { transposeB: integerAttribute(1) });
}

/** The table of a GatherBlockQuantized whose bytes hold two elements, along its last axis. */
export function canonicalGatherBlocks(node: Node, context: RewriteContext): Value | undefined {
  const [data, indices, scale, zero] = node.inputs;
  const [packed, scales, zeros] = [data, scale, zero].map((value) => value && context.constant(value));
  const blockSize = blockSizeOf(node, 128);
  const isPacked = isBytes(packed) && integerOf(node, "data_type", 0) === 0;
  if (!blockSize || !isPacked || integerOf(node, "bits", 4) !== 4 || !data || !indices) return undefined;
  if (scales?.dtype !== "float32" || (zero && !isBytes(zeros))) return undefined;
  const rank = packed.shape.length;
  const shape = packed.shape.map((extent, axis) => (axis === rank - 1 ? extent * 2 : extent));
  const given = integerOf(node, "quantize_axis", 1);
  const lastBlocks = scales.shape[rank - 1] ?? 1;
  const zeroBytes = Math.ceil(lastBlocks / 2);
  const table = blockConstant(context, data.name, {
    shape,
    axis: given < 0 ? given + rank : given,
    blockSize,
    q: nibblesOf(packed.data, 1, 0, packed.data.length * 2),
    scales: scales.data as Float32Array,
    zeros: zeros && nibblesOf(zeros.data, zeros.data.length / zeroBytes, zeroBytes, lastBlocks),
  });
  const axis = integerAttribute(integerOf(node, "gather_axis", 0));
  return context.emit("Gather", [table, indices], { axis }, { version: 13 });
}
