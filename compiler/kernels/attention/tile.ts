/** What the parts of the generated code know of one tile of rows and of the block of keys it meets. */
import type { BodyBuilder } from "../../assemble/body.ts";
import type { Expression, Local } from "../../assemble/expression.ts";
import type { WasmKernelContext } from "../contract.ts";
import type { RecordReader } from "../tile/words.ts";
import type { AttentionShape } from "./shape.ts";

type Address = Local<"i32">;

/** Where the code goes, and what it is generated for. */
export interface AttentionTarget {
  readonly context: WasmKernelContext;
  readonly body: BodyBuilder;
  readonly words: RecordReader;
  readonly shape: AttentionShape;
  /** Whether blocks are packed into panels, rather than read as they lie. */
  readonly packed: boolean;
}

/** One block of keys in one iteration of the range. */
export interface Block {
  readonly start: Address;
  readonly count: Address;
  readonly isFirst: Expression<"i32">;
  readonly isLast: Expression<"i32">;
  /** Addresses of the block's first key and value in the operands. */
  readonly key: Address;
  readonly value: Address;
  readonly keysEnd: Address;
}

export interface TileRows {
  readonly outputs: readonly Address[];
  readonly masks: readonly Address[];
  /** Keys in front of the row's position, its own included; where causality or a window asks for it. */
  readonly reaches: readonly Address[];
  readonly states: readonly Address[];
}

/** The columns of a block that some row of the tile sees, begin..end-1, with their scores. */
export interface ScoreTile {
  readonly begin: Address;
  readonly end: Address;
  /** Address of the first row's scores in the scratch. */
  readonly scores: Address;
  /** Largest score of each row so far. */
  readonly largest: readonly Local<"v128">[];
}
