/**
 * A constant in int4 or nf4 blocks that loop nests read: nibbles of all elements in row-major order, two a byte, then the
 * zeros of all blocks likewise where they have any, then the scales.
 */
import { binary, constant, type Expression } from "../../runtime/format/expression.ts";
import { numberToFloat16 } from "../../runtime/format/half.ts";
import { blockIndex, blockShape, quantised, symmetricZero } from "../graph/blocks.ts";
import type { BlockStorage } from "../graph/graph.ts";
import type { Buffer, PackedReading } from "../kernels/contract.ts";
import { blockValue, nibbleOf } from "../kernels/tile/block-element.ts";

export interface PackedTable {
  readonly bytes: Uint8Array;
  readIn(buffer: Buffer): PackedReading;
}

const aligned = (bytes: number): number => Math.ceil(bytes / 4) * 4;

/** Values of 0..15, two a byte, the first in the lower half. */
function packNibbles(to: Uint8Array, offset: number, values: ArrayLike<number>): void {
  for (let i = 0; i < values.length; i++) {
    const at = offset + (i >> 1);
    to[at] = (to[at] as number) | ((values[i] as number) << (4 * (i & 1)));
  }
}

export function packTable(values: Float32Array, shape: readonly number[], storage: BlockStorage): PackedTable {
  const { kind, axis, blockSize, scales, zeros, scaleType } = storage;
  const zeroPlace = aligned(values.length / 2);
  const scalePlace = zeroPlace + (zeros ? aligned(zeros.length / 2) : 0);
  const bytes = new Uint8Array(aligned(scalePlace + scales.length * (scaleType ? 4 : 2)));
  const blockOf = blockIndex(shape, storage);
  const q = Uint8Array.from(values, (value, i) => {
    const block = blockOf(i);
    return quantised(kind, value, scales[block] ?? 0, zeros?.[block] ?? symmetricZero);
  });
  packNibbles(bytes, 0, q);
  if (zeros) packNibbles(bytes, zeroPlace, zeros);
  const view = new DataView(bytes.buffer);
  scales.forEach((scale, i) => {
    if (scaleType) view.setFloat32(scalePlace + i * 4, scale, true);
    else view.setUint16(scalePlace + i * 2, numberToFloat16(scale), true);
  });
  const ofBlocks = blockShape(shape, storage);
  const readIn = (buffer: Buffer): PackedReading => {
    const list = (offset: number, dtype: "uint8" | "float16" | "float32", count: number, bytesEach: number) => ({
      buffer,
      offset,
      dtype,
      shape: [count],
      strides: [bytesEach],
    });
    return {
      views: [
        list(0, "uint8", zeroPlace, 1),
        list(scalePlace, scaleType ?? "float16", scales.length, scaleType ? 4 : 2),
        ...(zeros ? [list(zeroPlace, "uint8", scalePlace - zeroPlace, 1)] : []),
      ],
      value: (coordinates, load) => {
        const place = rowMajor(coordinates, shape);
        const block = rowMajor(
          coordinates.map((at, i) => (i === axis ? binary("divide", at, integer(blockSize)) : at)),
          ofBlocks,
        );
        const half = (index: Expression): Expression => binary("shiftRight", index, integer(1));
        const zero = zeros && nibbleOf(load(2, [half(block)]), block);
        return blockValue(kind, nibbleOf(load(0, [half(place)]), place), zero, load(1, [block]));
      },
    };
  };
  return { bytes, readIn };
}

const integer = (value: number): Expression => constant(value, "int32");

function rowMajor(coordinates: readonly Expression[], shape: readonly number[]): Expression {
  return coordinates.reduce(
    (index, at, axis) => binary("add", binary("multiply", index, integer(shape[axis] ?? 1)), at),
    integer(0),
  );
}
