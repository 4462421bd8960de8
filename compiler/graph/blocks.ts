/** Geometry and quantised values of BlockStorage (graph.ts). */
import type { BlockStorage, Storage } from "./graph.ts";
import { nf4Code } from "./nf4.ts";

/** The zero of a block that has none of its own. */
export const symmetricZero = 8;

export const isBlockStorage = (storage: Storage | undefined): storage is BlockStorage =>
  storage?.kind === "int4" || storage?.kind === "nf4";

/** What BlockStorage says of where blocks lie. */
export type BlockLines = Pick<BlockStorage, "axis" | "blockSize">;

/** The constant's shape with the blocks in place of the axis along which they lie. */
export const blockShape = (shape: readonly number[], { axis, blockSize }: BlockLines): readonly number[] =>
  shape.map((extent, place) => (place === axis ? Math.ceil(extent / blockSize) : extent));

/** The block of the element at `index`, both in row-major order of their shapes. */
export function blockIndex(shape: readonly number[], { axis, blockSize }: BlockLines): (index: number) => number {
  const extent = shape[axis] ?? 1;
  const inner = shape.slice(axis + 1).reduce((product, dim) => product * dim, 1);
  const blocks = Math.ceil(extent / blockSize);
  return (index) => {
    const line = Math.floor(index / inner);
    const block = Math.floor((line % extent) / blockSize);
    return (Math.floor(line / extent) * blocks + block) * inner + (index % inner);
  };
}

/** The q of 0..15 that stands for `value`, which has been rounded to a block of this scale and zero. */
export function quantised(kind: BlockStorage["kind"], value: number, scale: number, zero: number): number {
  if (scale === 0) return kind === "int4" ? zero : nf4Code.indexOf(0);
  const step = value / scale;
  if (kind === "int4") return Math.max(0, Math.min(15, Math.round(step) + zero));
  let best = 0;
  for (const [q, code] of nf4Code.entries())
    if (Math.abs(code - step) < Math.abs((nf4Code[best] as number) - step)) best = q;
  return best;
}
