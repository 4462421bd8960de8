/**
 * DequantizeLinear of a constant: a float32 constant that is stored as int8, where its integers less their zero point
 * are such, or as int4 where it has blocks of integers of four bits. Any other is computed like every operator on constants.
 * Part of fold-constants.ts.
 */
import type { Tensor } from "../../runtime/format/tensor.ts";
import { integerOf } from "../graph/attribute.ts";
import { symmetricZero } from "../graph/blocks.ts";
import type { Int8Storage, Node, Value } from "../graph/graph.ts";
import { storedTensor } from "../graph/int8-storage.ts";
import type { RewriteContext } from "../graph/rewrite.ts";
import { blockConstant, blockSizeOf } from "./block-constant.ts";

export function dequantisedConstant(node: Node, context: RewriteContext): Value | undefined {
  const [output] = node.outputs;
  const [source, scale, zero] = node.inputs.map((value) => value && context.constant(value));
  if (!/^(com\.microsoft\.)?DequantizeLinear$/.test(node.op) || output?.type.dtype !== "float32") return undefined;
  if (!source || !scale || (node.inputs[2] && !zero) || !/^u?int8$/.test(source.dtype)) return undefined;
  if (integerOf(node, "block_size", 0) !== 0) return blocksOf(node, context, source, scale, zero);
  const storage = storageOf(node, source, scale);
  const integers = storage && centred(source, zero, storage.axis);
  if (!storage || !integers || !storage.scales.every((value) => Number.isFinite(value) && value !== 0))
    return undefined;
  return context.addConstant(output.name, storedTensor(source.shape, integers, storage), storage);
}

/** One scale for all is repeated along the first axis. */
function storageOf(node: Node, { shape }: Tensor, scale: Tensor): Int8Storage | undefined {
  if (shape.length === 0) return undefined;
  const scales = scale.data as Float32Array;
  if (scales.length === 1)
    return { kind: "int8", axis: 0, scales: new Float32Array(shape[0] as number).fill(scales[0] as number) };
  const given = integerOf(node, "axis", 1);
  const axis = given < 0 ? given + shape.length : given;
  return scale.shape.length === 1 && scales.length === shape[axis] ? { kind: "int8", axis, scales } : undefined;
}

/** Integers of -8..7 or of 0..15, in int8 or uint8. */
function blocksOf(
  node: Node,
  context: RewriteContext,
  { data, shape, dtype }: Tensor,
  scale: Tensor,
  zero: Tensor | undefined,
): Value | undefined {
  const blockSize = blockSizeOf(node, 0);
  const shift = dtype === "int8" ? symmetricZero : 0;
  const given = integerOf(node, "axis", 1);
  const scales = scale.data as Float32Array;
  const shifted = (values: Tensor["data"]): readonly number[] =>
    Array.from(values as ArrayLike<number>, (value) => value + shift);
  const q = shifted(data);
  const zeros = zero ? shifted(zero.data) : new Array<number>(scales.length).fill(shift);
  const fits = (value: number): boolean => value >= 0 && value <= 15;
  if (!blockSize || !q.every(fits) || !zeros.every(fits)) return undefined;
  return blockConstant(context, (node.outputs[0] as Value).name, {
    shape,
    axis: given < 0 ? given + shape.length : given,
    blockSize,
    q: Uint8Array.from(q),
    scales,
    zeros: Uint8Array.from(zeros),
  });
}

/** The integers less their zero points. */
function centred({ data, shape }: Tensor, zero: Tensor | undefined, axis: number): Int16Array | undefined {
  const inner = shape.slice(axis + 1).reduce((product, extent) => product * extent, 1);
  const count = shape[axis] as number;
  const result = new Int16Array(data.length);
  for (let flat = 0; flat < data.length; flat++) {
    const channel = zero && zero.data.length > 1 ? Math.floor(flat / inner) % count : 0;
    const value = Number(data[flat]) - Number(zero?.data[channel] ?? 0);
    if (value < -128 || value > 127) return undefined;
    result[flat] = value;
  }
  return result;
}
