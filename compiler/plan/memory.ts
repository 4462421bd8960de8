/**
 * Lifetimes to offsets: buffers that are never alive together may share bytes. Greedy by size over exact
 * lifetimes, each buffer at the lowest offset that fits between the ones already placed.
 */

/** A buffer with the first and last step (inclusive) at which its bytes matter. */
export interface Lifetime<B> {
  readonly buffer: B;
  readonly bytes: number;
  readonly first: number;
  readonly last: number;
}

const bufferAlignment = 64;

export const alignUp = (bytes: number, alignment: number = bufferAlignment): number =>
  Math.ceil(bytes / alignment) * alignment;

export interface Placement<B> {
  /** Byte offset of each buffer from the arena's start. */
  readonly offsets: ReadonlyMap<B, number>;
  readonly bytes: number;
}

/** Places every lifetime; overlapping lifetimes never overlap in memory. */
export function placeBuffers<B>(lifetimes: readonly Lifetime<B>[]): Placement<B> {
  const orders: ((a: Lifetime<B>, b: Lifetime<B>) => number)[] = [
    (a, b) => b.bytes - a.bytes || a.first - b.first,
    (a, b) => b.bytes * (b.last - b.first + 1) - a.bytes * (a.last - a.first + 1) || a.first - b.first,
    (a, b) => a.first - b.first || b.bytes - a.bytes,
  ];
  let best: Placement<B> | undefined;
  for (const order of orders) {
    const placement = placeInOrder([...lifetimes].sort(order));
    if (!best || placement.bytes < best.bytes) best = placement;
  }
  return best ?? { offsets: new Map(), bytes: 0 };
}

function placeInOrder<B>(lifetimes: readonly Lifetime<B>[]): Placement<B> {
  const offsets = new Map<B, number>();
  const placed: (Lifetime<B> & { readonly offset: number })[] = [];
  let total = 0;
  for (const lifetime of lifetimes) {
    const size = alignUp(lifetime.bytes);
    const neighbours = placed
      .filter((other) => other.first <= lifetime.last && lifetime.first <= other.last)
      .sort((a, b) => a.offset - b.offset);
    let offset = 0;
    for (const other of neighbours) {
      if (offset + size <= other.offset) break;
      offset = Math.max(offset, other.offset + alignUp(other.bytes));
    }
    placed.push({ ...lifetime, offset });
    offsets.set(lifetime.buffer, offset);
    total = Math.max(total, offset + size);
  }
  return { offsets, bytes: total };
}
