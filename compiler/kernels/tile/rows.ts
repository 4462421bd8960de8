/** The rows of a tile of a product, one address each. */
import type { BodyBuilder } from "../../assemble/body.ts";
import { type Expression, type Local, select } from "../../assemble/expression.ts";
import { i32 } from "../../assemble/scalar.ts";

/** Moves from row to row of an operand. */
export interface RowCursor {
  readonly at: Local<"i32">;
  readonly step: Expression<"i32"> | number;
}

/** Addresses of the next `count` rows of each cursor, which moves past them; behind the last of `left` rows that one repeats. */
export function takeRows(
  body: BodyBuilder,
  count: number,
  left: Local<"i32">,
  cursors: readonly RowCursor[],
): readonly (readonly Local<"i32">[])[] {
  const rows = cursors.map(() => Array.from({ length: count }, () => body.local("i32")));
  for (let index = 0; index < count; index++) {
    const moves = index + 1 === count ? undefined : body.local("i32", i32.gtS(left, index + 1));
    cursors.forEach(({ at, step }, k) => {
      body.set(rows[k]?.[index] as Local<"i32">, at);
      body.set(at, moves ? select("i32", moves, i32.add(at, step), at) : i32.add(at, step));
    });
  }
  return rows;
}
