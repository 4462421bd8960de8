/**
 * Scores and products of a few rows with keys and values as they lie: each is read once for all rows of the tile. Four
 * keys at a time, summed along the features in four lanes; values in columns of up to four vectors.
 */
import type { BodyBuilder } from "../../assemble/body.ts";
import { type Expression, type Local, select } from "../../assemble/expression.ts";
import { i32 } from "../../assemble/scalar.ts";
import { multiplyAdd } from "../../assemble/target.ts";
import { f32x4, v128 } from "../../assemble/vector.ts";
import type { WasmKernelContext } from "../contract.ts";
import { storeValid } from "../tile/store.ts";
import { lanes, loadValid } from "./pack.ts";
import { type ProductTile, summed } from "./product.ts";
import { type AttentionShape, queryPitch } from "./shape.ts";

type Address = Local<"i32">;
type Vector = Expression<"v128">;

export const streamedTokens = 4;

/** Scores of `rows` scaled queries with the four keys at `column` of the block; none at or behind `end` is read. */
export function streamedScores(
  context: WasmKernelContext,
  body: BodyBuilder,
  shape: AttentionShape,
  rows: number,
  query: Address,
  keys: Address,
  column: Address,
  end: Address,
  step: Address,
): readonly (readonly Local<"v128">[])[] {
  const results = Array.from({ length: rows }, () => body.local("v128"));
  body.scope(() => {
    const first = body.local("i32", i32.add(keys, i32.mul(column, step)));
    const pointers = [first];
    for (let token = 1; token < streamedTokens; token++) {
      const moves = select("i32", i32.ltS(i32.add(column, token), end), step, 0);
      pointers.push(body.local("i32", i32.add(pointers[token - 1] as Address, moves)));
    }
    const sums = results.map(() => pointers.map(() => body.local("v128", f32x4.splat(0))));
    const at = body.local("i32", query);
    const four = (load: (pointer: Address) => Vector): void =>
      body.scope(() => {
        const loaded = pointers.map((pointer) => body.local("v128", load(pointer)));
        sums.forEach((row, i) => {
          const x = body.local("v128", v128.load(at, { offset: i * queryPitch(shape) }));
          row.forEach((sum, token) => body.set(sum, multiplyAdd(context.target, x, loaded[token] as Vector, sum)));
        });
      });
    body.forRange(0, shape.depth >> 2, 1, () => {
      four((pointer) => v128.load(pointer));
      for (const pointer of [at, ...pointers]) body.set(pointer, i32.add(pointer, 16));
    });
    const rest = shape.depth % 4;
    if (rest > 0) four((pointer) => loadValid(context, pointer, i32.const(rest)));
    sums.forEach((row, i) => body.set(results[i] as Local<"v128">, sumOfEach(body, row)));
  });
  return results.map((result) => [result]);
}

/** Lane k is the sum of the lanes of vector k. */
function sumOfEach(body: BodyBuilder, four: readonly Vector[]): Vector {
  const [a, b, c, d] = four as readonly [Vector, Vector, Vector, Vector];
  const pairs = (x: Vector, y: Vector): Local<"v128"> =>
    body.local("v128", f32x4.add(lanes(x, y, 0, 1, 4, 5), lanes(x, y, 2, 3, 6, 7)));
  const [ab, cd] = [pairs(a, b), pairs(c, d)];
  return f32x4.add(lanes(ab, cd, 0, 2, 4, 6), lanes(ab, cd, 1, 3, 5, 7));
}

/** Vectors of a column of values, so that its sums stay in registers. */
const columnVectors = (rows: number): number => (rows <= 3 ? 4 : 2);

/** Exponentials times values as they lie, added to what earlier blocks gave. */
export function streamedProduct(
  context: WasmKernelContext,
  body: BodyBuilder,
  shape: AttentionShape,
  tile: ProductTile,
  values: Address,
  step: Address,
): void {
  const rows = tile.outputs.length;
  const first = body.local("i32", i32.add(values, i32.mul(tile.begin, step)));
  const scores = body.local("i32", i32.add(tile.scores, i32.shl(tile.begin, 2)));
  const stop = body.local("i32", i32.add(tile.scores, i32.shl(tile.end, 2)));
  /** `vectors` neighbouring vectors of every row, the last of them with `valid` floats. */
  const columns = (offset: Expression<"i32">, vectors: number, valid: number): void => {
    const sums = tile.outputs.map(() => Array.from({ length: vectors }, () => body.local("v128", f32x4.splat(0))));
    const read = (address: Address, vector: number): Vector =>
      valid === 4 ? v128.load(address, { offset: vector * 16 }) : loadValid(context, address, i32.const(valid));
    body.scope(() => {
      const value = body.local("i32", i32.add(first, offset));
      body.forRange(scores, stop, 4, (at) => {
        const loaded = Array.from({ length: vectors }, (_, vector) => body.local("v128", read(value, vector)));
        for (let row = 0; row < rows; row++) {
          const weight = body.local("v128", v128.load32Splat(at, { offset: row * tile.scorePitch }));
          loaded.forEach((part, vector) => {
            const sum = sums[row]?.[vector];
            if (sum) body.set(sum, multiplyAdd(context.target, weight, part, sum));
          });
        }
        body.set(value, i32.add(value, step));
      });
    });
    const targets = tile.outputs.map((output) => body.local("i32", i32.add(output, offset)));
    targets.forEach((to, row) => {
      summed(context.target, body, tile, row, sums[row] ?? [], (vector) => read(to, vector));
    });
    // All rows read before any writes: a ragged last tile repeats its last row.
    targets.forEach((to, row) => {
      const rowSums = sums[row] ?? [];
      if (valid < 4) storeValid(context, body, to, rowSums, i32.const(valid));
      else for (const [vector, sum] of rowSums.entries()) body.v128Store(to, sum, { offset: vector * 16 });
    });
  };
  const width = columnVectors(rows);
  const all = shape.valueDepth >> 2;
  const whole = Math.floor(all / width) * width;
  body.forRange(0, whole * 16, width * 16, (offset) => columns(offset, width, 4));
  if (whole < all) body.scope(() => columns(i32.const(whole * 16), all - whole, 4));
  if (shape.valueDepth % 4 > 0) body.scope(() => columns(i32.const(all * 16), 1, shape.valueDepth % 4));
}
