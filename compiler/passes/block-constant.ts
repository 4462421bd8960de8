/** A float32 constant from the integers, scales and zeros of int4 blocks. */
import { float16ToNumber, numberToFloat16 } from "../../runtime/format/half.ts";
import { integerOf } from "../graph/attribute.ts";
import { blockIndex, symmetricZero } from "../graph/blocks.ts";
import type { BlockStorage, Node, Value } from "../graph/graph.ts";
import type { RewriteContext } from "../graph/rewrite.ts";

const sizes = [16, 32, 64, 128] as const;

/** Attribute block_size where blocks of that size can be stored. */
export function blockSizeOf(node: Node, fallback: number): BlockStorage["blockSize"] | undefined {
  const given = integerOf(node, "block_size", fallback);
  return sizes.find((size) => size === given);
}

export interface BlockIntegers {
  readonly shape: readonly number[];
  readonly axis: number;
  readonly blockSize: BlockStorage["blockSize"];
  /** 0..15, row-major. */
  readonly q: Uint8Array;
  readonly scales: Float32Array;
  readonly zeros: Uint8Array | undefined;
}

/** Scales are stored as float16 where all of them are such numbers; zeros only where they are not all 8. */
export function blockConstant(context: RewriteContext, name: string, integers: BlockIntegers): Value {
  const { shape, axis, blockSize, q, scales, zeros } = integers;
  const isHalf = scales.every((scale) => float16ToNumber(numberToFloat16(scale)) === scale);
  const ownZeros = zeros?.some((zero) => zero !== symmetricZero) ? zeros : undefined;
  const storage: BlockStorage = {
    kind: "int4",
    axis,
    blockSize,
    scales,
    ...(isHalf ? {} : { scaleType: "float32" }),
    ...(ownZeros ? { zeros: ownZeros } : {}),
  };
  const blockOf = blockIndex(shape, storage);
  const data = new Float32Array(q.length);
  for (let index = 0; index < data.length; index++) {
    const block = blockOf(index);
    data[index] = ((q[index] as number) - (ownZeros?.[block] ?? symmetricZero)) * (scales[block] as number);
  }
  return context.addConstant(name, { dtype: "float32", shape, data }, storage);
}
