/** Scores of a tile of rows with a block of keys: soft cap, mask, and what a row does not see. */
import type { Expression, Local } from "../../assemble/expression.ts";
import { i32 } from "../../assemble/scalar.ts";
import { f32x4, i32x4, v128 } from "../../assemble/vector.ts";
import { loadValid, panelWidth } from "./pack.ts";
import { packedScores } from "./packed.ts";
import { scorePitch } from "./shape.ts";
import { streamedScores, streamedTokens } from "./stream.ts";
import type { AttentionTarget, Block, ScoreTile, TileRows } from "./tile.ts";

type Address = Local<"i32">;
type Vector = Expression<"v128">;

/** The tile's scaled queries and the block's packed keys in the scratch; how many keys are valid. */
export interface ScoreSources {
  readonly query: Address;
  readonly keys: Address;
  readonly length: Address;
}

/** Scores of the columns begin..end-1 (rounded up to whole vectors) to scratch, and each row's largest. */
export function emitScores(
  target: AttentionTarget,
  block: Block,
  rows: TileRows,
  tile: ScoreTile,
  sources: ScoreSources,
): void {
  const { context, body, words, shape, packed } = target;
  const { causal, window } = shape;
  const { begin, end, largest } = tile;
  const { query, keys, length } = sources;
  const width = packed ? panelWidth : streamedTokens;
  const count = rows.outputs.length;
  /** Columns in front of which every row sees every key. */
  const safeEnd = causal
    ? body.local("i32", i32.sub(rows.reaches[0] as Address, block.start))
    : body.local("i32", block.count);
  const safeBegin = window
    ? body.local("i32", i32.sub(i32.sub(rows.reaches.at(-1) as Address, words.word("window")), block.start))
    : undefined;
  body.forRange(begin, end, width, (column) => {
    const scores = packed
      ? packedScores(context, body, shape, count, query, keys, column)
      : streamedScores(context, body, shape, count, query, block.key, column, end, words.local("keyToken"));
    const cut = i32.gtS(i32.add(column, width), safeEnd);
    const isEdge = safeBegin ? i32.or(cut, i32.ltS(column, safeBegin)) : cut;
    const place = body.local("i32", i32.add(tile.scores, i32.shl(column, 2)));
    const finish = (edge: boolean): void => {
      const counted = edge ? i32x4.add(i32x4.splat(column), i32x4.const(0, 1, 2, 3)) : undefined;
      const numbers = counted && body.local("v128", counted);
      scores.forEach((row, i) => {
        const bounds = edge ? boundsOf(target, rows, block, length, i) : undefined;
        row.forEach((sum, j) => {
          const score = capped(target, sum);
          const seen = masked(target, score, rows.masks[i], block.start, column, j, edge ? end : undefined);
          const value = bounds && numbers ? hidden(seen, numbers, j, bounds) : seen;
          const kept = body.local("v128", value);
          body.v128Store(place, kept, { offset: i * scorePitch(shape) + j * 16 });
          body.set(largest[i] as Local<"v128">, f32x4.pmax(largest[i] as Local<"v128">, kept));
        });
      });
    };
    body.if(
      isEdge,
      () => finish(true),
      () => body.scope(() => finish(false)),
    );
  });
}

/** First and last column of the block that row `i` sees, in every lane. */
function boundsOf(
  { body, words, shape }: AttentionTarget,
  rows: TileRows,
  block: Block,
  length: Address,
  i: number,
): Bounds {
  const { causal, window } = shape;
  const reach = rows.reaches[i];
  const end = causal && reach ? reach : length;
  return {
    end: body.local("v128", i32x4.splat(i32.sub(end, block.start))),
    begin:
      window && reach
        ? body.local("v128", i32x4.splat(i32.sub(i32.sub(reach, words.word("window")), block.start)))
        : undefined,
  };
}

function capped({ context, shape: { softcap } }: AttentionTarget, score: Vector): Vector {
  return softcap === undefined ? score : f32x4.mul(context.math.tanh(score), f32x4.splat(softcap));
}

/** The score plus the mask; at an edge only what the tile sees is read. */
function masked(
  { context, shape }: AttentionTarget,
  score: Vector,
  mask: Address | undefined,
  start: Address,
  column: Address,
  vector: number,
  end: Address | undefined,
): Vector {
  if (!mask) return score;
  if (shape.mask === "single") return f32x4.add(score, v128.load32Splat(mask));
  const address = i32.add(mask, i32.shl(i32.add(start, column), 2));
  const added = end
    ? loadValid(context, i32.add(address, vector * 16), i32.sub(i32.sub(end, column), vector * 4))
    : v128.load(address, { offset: vector * 16 });
  return f32x4.add(score, added);
}

interface Bounds {
  readonly begin: Local<"v128"> | undefined;
  readonly end: Local<"v128">;
}

/** -Infinity in the lanes whose column (`numbers` + 4 * vector) is outside the bounds. */
function hidden(score: Vector, numbers: Local<"v128">, vector: number, { begin, end }: Bounds): Vector {
  const column = vector === 0 ? numbers : i32x4.add(numbers, i32x4.splat(vector * 4));
  const below = i32x4.ltS(column, end);
  const visible = begin ? v128.and(below, i32x4.geS(column, begin)) : below;
  return v128.bitselect(score, f32x4.splat(Number.NEGATIVE_INFINITY), visible);
}
