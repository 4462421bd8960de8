/**
 * Constant weights of integer products: int8 numbers with a sum for each output channel, by which the zero point of the
 * other operand is corrected: sum((x - z) * w) = sum(x * w) - z * sum(w).
 */
import { binary, cast, type Expression, input } from "../../runtime/format/expression.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import type { Value } from "../graph/graph.ts";
import type { RewriteContext } from "../graph/rewrite.ts";

export interface IntegerWeights {
  readonly tensor: Tensor;
  /** Sum of each output channel. */
  readonly sums: Int32Array;
}

/** Sums along all axes but one. */
function channelSums(integers: Int8Array, shape: readonly number[], axis: number): Int32Array {
  const inner = shape.slice(axis + 1).reduce((product, extent) => product * extent, 1);
  const channels = shape[axis] as number;
  const sums = new Int32Array(channels);
  for (let flat = 0; flat < integers.length; flat++) {
    const channel = Math.floor(flat / inner) % channels;
    sums[channel] = (sums[channel] as number) + (integers[flat] as number);
  }
  return sums;
}

/** Constant weights less their zero points, which are one number or one for each index along `axis`; undefined when int8 does not hold them. */
export function centredWeights(
  weights: Value | undefined,
  zero: Value | undefined,
  axis: number,
  context: RewriteContext,
): IntegerWeights | undefined {
  const tensor = weights && context.constant(weights);
  const zeros = zero && context.constant(zero);
  if (!tensor || (zero && !zeros) || !/^u?int8$/.test(tensor.dtype) || tensor.data.length === 0) return undefined;
  const { shape } = tensor;
  const inner = shape.slice(axis + 1).reduce((product, extent) => product * extent, 1);
  const channels = shape[axis] as number;
  if (zeros && zeros.data.length !== 1 && zeros.data.length !== channels) return undefined;
  const integers = new Int8Array(tensor.data.length);
  for (let flat = 0; flat < integers.length; flat++) {
    const channel = zeros && zeros.data.length > 1 ? Math.floor(flat / inner) % channels : 0;
    const value = Number(tensor.data[flat]) - Number(zeros?.data[channel] ?? 0);
    if (value < -128 || value > 127) return undefined;
    integers[flat] = value;
  }
  return { tensor: { dtype: "int8", shape, data: integers }, sums: channelSums(integers, shape, axis) };
}

/** What corrects a sum for the zero point of its input: constant offsets, or operands of the epilogue. */
export interface Correction {
  readonly offsets: Value | undefined;
  readonly operands: readonly Value[];
  /** Over the sum as input 0 and the operands; undefined where the sum is right already. */
  readonly sum: Expression | undefined;
}

/** undefined when the zero point is not one number. */
export function correctionFor(
  zero: Value | undefined,
  sums: Int32Array,
  name: string,
  context: RewriteContext,
): Correction | undefined {
  if (!zero) return { offsets: undefined, operands: [], sum: undefined };
  const known = context.constant(zero);
  if (!zero.type.shape.every((extent) => extent === 1)) return undefined;
  const vector = (part: string, data: Int32Array): Value =>
    context.addConstant(`${name}/${part}`, { dtype: "int32", shape: [data.length], data });
  if (known) {
    const number = Number(known.data[0]);
    const offsets =
      number === 0
        ? undefined
        : vector(
            "offsets",
            sums.map((sum) => -number * sum),
          );
    return { offsets, operands: [], sum: undefined };
  }
  const shift = binary("multiply", cast("int32", input(1)), input(2));
  return { offsets: undefined, operands: [zero, vector("sums", sums)], sum: binary("subtract", input(0), shift) };
}
