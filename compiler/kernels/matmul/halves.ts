/**
 * float16 panels of eight columns: bias in float32, then four steps of k after four, each a vector per pair of columns whose
 * lanes are the steps: the even column in the lower half, the odd one in the upper. Steps behind the last are zeros.
 */
import type { BodyBuilder } from "../../assemble/body.ts";
import type { Expression, FunctionReference, Local } from "../../assemble/expression.ts";
import { i32 } from "../../assemble/scalar.ts";
import { multiplyAdd, type WasmTarget } from "../../assemble/target.ts";
import { f32x4, i32x4, v128 } from "../../assemble/vector.ts";
import type { WasmKernelContext } from "../contract.ts";
import { panelFront } from "../tile/panel.ts";
import { lanes } from "./order.ts";
import { rowScale } from "./prepare-rows.ts";
import { matmulWidth } from "./variants.ts";

type Address = Local<"i32">;
type Vector = Expression<"v128">;

const pairs = matmulWidth / 2;
const columns = Array.from({ length: matmulWidth }, (_, column) => column);
/** Bytes of four steps. */
export const quadBytes = pairs * 16;
export const halvesFront = panelFront("float16", matmulWidth);

export const halvesBytes = (depth: number): number => halvesFront + Math.ceil(depth / 4) * quadBytes;
/** What `widenHalves` writes beyond the last step at most. */
export const widenedBeyond = 3 * matmulWidth * 4;

/** Place of a half among those of its panel. */
export const placeOfHalf = (k: number, column: number): number =>
  (k >> 2) * (quadBytes / 2) + (column >> 1) * 8 + (k & 3) * 2 + (column & 1);

/** Columns whose sums are in registers at once, by rows: enough to hide the latency of a sum, and room for weights. */
const columnsAtOnce = [8, 4, 3, 2] as const;
/** More rows are taken in two parts. */
const mostRows = columnsAtOnce.length;

/** `rows` rows, scaled at `prepared`, by a panel: sums with the bias, four columns a vector. */
export function multiplyHalves(
  body: BodyBuilder,
  target: WasmTarget,
  panel: Address,
  prepared: Address,
  inner: Address,
  rows: number,
): readonly (readonly Local<"v128">[])[] {
  const quads = body.local("i32", i32.shrU(i32.add(inner, 3), 2));
  const sources = Array.from({ length: rows }, (_, row) =>
    body.local("i32", i32.add(prepared, i32.mul(quads, row * 16))),
  );
  /** Lanes are steps. */
  const sums = sources.map(() => columns.map(() => body.local("v128")));
  body.hoistConstants(() => {
    const middle = rows > mostRows ? Math.ceil(rows / 2) : rows;
    for (const [first, count] of [
      [0, middle],
      [middle, rows - middle],
    ] as const) {
      const atOnce = columnsAtOnce[count - 1] ?? matmulWidth;
      for (let column = 0; count > 0 && column < matmulWidth; column += atOnce) {
        const parts = sums.slice(first, first + count).map((row) => row.slice(column, column + atOnce));
        multiplyColumns(body, target, panel, column, sources.slice(first, first + count), quads, parts);
      }
    }
  });
  return sums.map((row) => {
    // Both columns of a pair over even lanes, then over odd ones.
    const pair = (column: number): Local<"v128"> => {
      const [a, b] = row.slice(column) as [Local<"v128">, Local<"v128">];
      return body.local("v128", f32x4.add(lanes(a, b, [0, 4, 1, 5]), lanes(a, b, [2, 6, 3, 7])));
    };
    const quad = (left: Vector, right: Vector, offset: number): Local<"v128"> => {
      const sum = f32x4.add(lanes(left, right, [0, 1, 4, 5]), lanes(left, right, [2, 3, 6, 7]));
      return body.local("v128", multiplyAdd(target, sum, f32x4.splat(bias / rowScale), v128.load(panel, { offset })));
    };
    return [quad(pair(0), pair(2), 0), quad(pair(4), pair(6), 16)];
  });
}

/** Sets `sums[row][i]` to the products of column `first` + i, four steps a vector. */
function multiplyColumns(
  body: BodyBuilder,
  target: WasmTarget,
  panel: Address,
  first: number,
  sources: readonly Address[],
  quads: Address,
  sums: readonly (readonly Local<"v128">[])[],
): void {
  const held = (value: Vector): Local<"v128"> => body.local("v128", value);
  body.scope(() => {
    for (const row of sums) for (const sum of row) body.set(sum, f32x4.const(0, 0, 0, 0));
    const at = body.local("i32", i32.add(panel, halvesFront + (first >> 1) * 16));
    const rows = sources.map((source) => body.local("i32", source));
    const multiply = (count: number): void => {
      for (let quad = 0; quad < count; quad++)
        body.scope(() => {
          const xs = rows.map((row) => held(v128.load(row, { offset: quad * 16 })));
          sums[0]?.forEach((_, index) => {
            const column = (first & 1) + index;
            body.scope(() => {
              const w = held(weightsAt(at, quad * quadBytes + (column >> 1) * 16, column & 1));
              xs.forEach((x, row) => {
                const sum = sums[row]?.[index] as Local<"v128">;
                body.set(sum, multiplyAdd(target, x, w, sum));
              });
            });
          });
        });
      body.set(at, i32.add(at, count * quadBytes));
      for (const row of rows) body.set(row, i32.add(row, count * 16));
    };
    const left = body.local("i32", i32.sub(quads, 2));
    body.if(i32.geS(left, 0), () =>
      body.loop((again) => {
        multiply(2);
        body.branchIf(again, i32.geS(body.tee(left, i32.sub(left, 2)), 0));
      }),
    );
    body.if(i32.eq(left, -1), () => multiply(1));
  });
}

/** What the exponents' bias makes halves too small by. */
const bias = 2 ** 112;

/**
 * The even (0) or odd column of the pair at `address + offset`: exact, but 2^112 times too small. The even one is read two
 * bytes before, in the upper halves like the other.
 */
function weightsAt(address: Address, offset: number, column: number): Vector {
  const place = offset - (column === 0 ? 2 : 0);
  const upper = place < 0 ? v128.load(i32.sub(address, -place)) : v128.load(address, { offset: place });
  const mask = 0x8fffe000 | 0;
  return v128.and(i32x4.shrS(upper, 3), i32x4.const(mask, mask, mask, mask));
}

type WidenReference = FunctionReference<readonly ["i32", "i32", "i32"], readonly []>;

/** Function (panel, scratch, depth): the panel as float32, bias [8] and then [k][8], four steps at a time. */
export function widenHalves(context: WasmKernelContext): WidenReference {
  const define = (): FunctionReference =>
    context.module.function(
      "widen_halves",
      { params: ["i32", "i32", "i32"], results: [] },
      (body, panel, to, depth) => {
        for (const offset of [0, 16]) body.v128Store(to, v128.load(panel, { offset }), { offset });
        body.set(panel, i32.add(panel, halvesFront));
        body.set(to, i32.add(to, matmulWidth * 4));
        body.hoistConstants(() =>
          body.forRange(0, depth, 4, () => {
            for (const half of [0, 1])
              body.scope(() => {
                const wide = (column: number): Local<"v128"> => {
                  const small = weightsAt(panel, half * 32 + (column >> 1) * 16, column & 1);
                  return body.local("v128", f32x4.mul(small, f32x4.splat(bias)));
                };
                const [a, b, c, d] = [wide(0), wide(1), wide(2), wide(3)];
                for (const late of [0, 2]) {
                  const ab = body.local("v128", lanes(a, b, [late, late + 4, late + 1, late + 5]));
                  const cd = body.local("v128", lanes(c, d, [late, late + 4, late + 1, late + 5]));
                  const offset = late * matmulWidth * 4 + half * 16;
                  body.v128Store(to, lanes(ab, cd, [0, 1, 4, 5]), { offset });
                  body.v128Store(to, lanes(ab, cd, [2, 3, 6, 7]), { offset: offset + matmulWidth * 4 });
                }
              });
            body.set(panel, i32.add(panel, quadBytes));
            body.set(to, i32.add(to, 4 * matmulWidth * 4));
          }),
        );
      },
    );
  return context.shared("widen halves", define) as WidenReference;
}
