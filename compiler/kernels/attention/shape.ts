/** What is fixed when a kernel of attention is generated, and how its scratch is divided. */

export interface AttentionShape {
  /** Rows of a tile over packed blocks; undefined when every call streams. */
  readonly packedRows: number | undefined;
  /** Rows of a tile over streamed keys and values; undefined when no call streams. */
  readonly streamRows: number | undefined;
  /** Calls with at most so many rows stream, where both forms exist. */
  readonly fewRows: number;
  /** Query heads per key-value head. */
  readonly group: number;
  readonly depth: number;
  readonly valueDepth: number;
  /** Tokens of a block, a multiple of 8. */
  readonly block: number;
  /** All keys fit one block. */
  readonly single: boolean;
  readonly transposedKeys: boolean;
  /** How the mask runs along the keys. */
  readonly mask: "none" | "keys" | "single";
  readonly lengths: boolean;
  readonly causal: boolean;
  readonly window: boolean;
  readonly softcap: number | undefined;
  /** Words of the record. */
  readonly names: readonly string[];
}

/** Bytes from row to row of the scaled queries: whole vectors. */
export const queryPitch = ({ depth }: AttentionShape): number => Math.ceil(depth / 4) * 16;

/** Bytes from row to row of the scores. */
export const scorePitch = ({ block }: AttentionShape): number => block * 4;

/** Bytes of a row's largest score and sum so far. */
export const stateBytes = 8;

/** Offsets in the scratch of one worker. */
export interface ScratchLayout {
  readonly query: number;
  readonly scores: number;
  readonly state: number;
  readonly keys: number;
  readonly values: number;
  readonly bytes: number;
}

export function scratchLayout(shape: AttentionShape, rowsPerUnit: number): ScratchLayout {
  const rows = Math.max(shape.packedRows ?? 0, shape.streamRows ?? 0);
  const scores = rows * queryPitch(shape);
  const state = scores + rows * scorePitch(shape);
  const keys = state + rowsPerUnit * stateBytes;
  const packed = shape.packedRows !== undefined;
  const values = keys + (packed ? shape.block * shape.depth * 4 : 0);
  const bytes = values + (packed ? shape.block * Math.ceil(shape.valueDepth / 8) * 32 : 0);
  return { query: 0, scores, state, keys, values, bytes };
}
