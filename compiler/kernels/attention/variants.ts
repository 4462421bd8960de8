/** Schedules of attention. */
import type { Variant } from "../contract.ts";

export interface AttentionVariant extends Variant {
  /** Whether blocks of keys and values are packed into panels first, for many rows, or streamed once, for few. */
  readonly packed: boolean;
  /** Rows of a tile (of all the queries that share a key-value head). */
  readonly rows: number;
}

export const attentionVariants: readonly AttentionVariant[] = [
  { name: "6x8", packed: true, rows: 6 },
  { name: "4x8", packed: true, rows: 4 },
  { name: "stream", packed: false, rows: 4 },
];

/** At most so many rows are streamed where the number is known at run time only. */
export const fewRows = 8;

/** Rows of an iteration of the range: how much work shares one packing of keys and values. */
export const rowsPerUnit = 120;

/** Tokens of a block: keys and values of one block stay in the second cache while the rows pass over them. */
export const blockOf = (depth: number, valueDepth: number): number =>
  Math.min(512, Math.max(64, Math.floor(32768 / (depth + valueDepth) / 8) * 8));

/** Rows of a streaming tile: the fewest equal tiles of at most `most`. */
export const streamRows = (rows: number, most: number): number => Math.ceil(rows / Math.ceil(rows / most));
