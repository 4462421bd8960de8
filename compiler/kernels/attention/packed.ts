/** Scores and products of a tile of rows with a packed block: the tile loops of the matrix products on panels of eight. */
import type { BodyBuilder } from "../../assemble/body.ts";
import type { Expression, Local } from "../../assemble/expression.ts";
import { i32 } from "../../assemble/scalar.ts";
import { f32x4, v128 } from "../../assemble/vector.ts";
import type { WasmKernelContext } from "../contract.ts";
import { emitMultiply } from "../tile/multiply.ts";
import { storeValid } from "../tile/store.ts";
import { loadValid, panelWidth } from "./pack.ts";
import { type ProductTile, summed } from "./product.ts";
import { type AttentionShape, queryPitch } from "./shape.ts";

type Address = Local<"i32">;

const vectors = panelWidth / 4;
const panelBytes = panelWidth * 4;

const zeros = (body: BodyBuilder, rows: number): readonly (readonly Local<"v128">[])[] =>
  Array.from({ length: rows }, () => Array.from({ length: vectors }, () => body.local("v128", f32x4.splat(0))));

/** Scores of `rows` scaled queries with the panel of keys that starts at `column` of the block. */
export function packedScores(
  context: WasmKernelContext,
  body: BodyBuilder,
  shape: AttentionShape,
  rows: number,
  query: Address,
  keys: Address,
  column: Address,
): readonly (readonly Local<"v128">[])[] {
  const sums = zeros(body, rows);
  body.scope(() => {
    const weights = body.local("i32", i32.add(keys, i32.mul(column, shape.depth * 4)));
    const pixels = Array.from({ length: rows }, (_, row) => body.local("i32", i32.add(query, row * queryPitch(shape))));
    emitMultiply(body, context.target, [sums], weights, pixels, { inner: i32.const(shape.depth) });
  });
  return sums;
}

/** Exponentials times packed values, added to what earlier blocks gave. */
export function packedProduct(
  context: WasmKernelContext,
  body: BodyBuilder,
  shape: AttentionShape,
  tile: ProductTile,
  values: Expression<"i32">,
): void {
  const rows = tile.outputs.length;
  const count = body.local("i32", i32.sub(tile.end, tile.begin));
  const first = body.local("i32", i32.add(values, i32.mul(tile.begin, panelBytes)));
  const panel = (offset: Expression<"i32">, valid: number): void => {
    const sums = zeros(body, rows);
    body.scope(() => {
      const weights = body.local("i32", first);
      const pixels = tile.outputs.map((_, row) =>
        body.local("i32", i32.add(i32.add(tile.scores, i32.shl(tile.begin, 2)), row * tile.scorePitch)),
      );
      emitMultiply(body, context.target, [sums], weights, pixels, { inner: count });
    });
    const targets = tile.outputs.map((output) => body.local("i32", i32.add(output, offset)));
    targets.forEach((to, row) => {
      summed(context.target, body, tile, row, sums[row] ?? [], (vector) =>
        valid === panelWidth
          ? v128.load(to, { offset: vector * 16 })
          : loadValid(context, i32.add(to, vector * 16), i32.const(valid - vector * 4)),
      );
    });
    // All rows read before any writes: a ragged last tile repeats its last row.
    targets.forEach((to, row) => {
      const rowSums = sums[row] ?? [];
      if (valid < panelWidth) storeValid(context, body, to, rowSums, i32.const(valid));
      else for (const [j, sum] of rowSums.entries()) body.v128Store(to, sum, { offset: j * 16 });
    });
    body.set(first, i32.add(first, shape.block * panelBytes));
  };
  const whole = Math.floor(shape.valueDepth / panelWidth) * panelWidth;
  body.forRange(0, whole * 4, panelBytes, (offset) => panel(offset, panelWidth));
  if (whole < shape.valueDepth) body.scope(() => panel(i32.const(whole * 4), shape.valueDepth - whole));
}
