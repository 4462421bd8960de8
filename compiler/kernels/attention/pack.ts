/**
 * A block of keys or values into panels of eight: keys as [panel of 8 tokens][feature][8], values as
 * [panel of 8 features][token][8]. What a ragged last panel lacks repeats the last key, or is zero.
 */
import type { BodyBuilder } from "../../assemble/body.ts";
import { call, type Expression, type FunctionReference, type Local } from "../../assemble/expression.ts";
import { i32, minimumS } from "../../assemble/scalar.ts";
import { f32x4, i8x16, v128 } from "../../assemble/vector.ts";
import type { WasmKernelContext } from "../contract.ts";

type Address = Local<"i32">;
type Vector = Expression<"v128">;

/** Tokens, or features, of a panel. */
export const panelWidth = 8;

/** Lanes of four bytes chosen from `a` (0..3) and `b` (4..7). */
export const lanes = (a: Vector, b: Vector, ...chosen: readonly number[]): Vector =>
  i8x16.shuffle(
    a,
    b,
    chosen.flatMap((lane) => [0, 1, 2, 3].map((byte) => lane * 4 + byte)),
  );

/** Rows of a 4x4 matrix as its columns. */
function transposed(body: BodyBuilder, rows: readonly Vector[]): readonly Vector[] {
  const [a, b, c, d] = rows as readonly [Vector, Vector, Vector, Vector];
  const keep = (value: Vector): Local<"v128"> => body.local("v128", value);
  const [ab, cd] = [keep(lanes(a, b, 0, 4, 1, 5)), keep(lanes(c, d, 0, 4, 1, 5))];
  const [AB, CD] = [keep(lanes(a, b, 2, 6, 3, 7)), keep(lanes(c, d, 2, 6, 3, 7))];
  return [lanes(ab, cd, 0, 1, 4, 5), lanes(ab, cd, 2, 3, 6, 7), lanes(AB, CD, 0, 1, 4, 5), lanes(AB, CD, 2, 3, 6, 7)];
}

/** The first `valid` floats at `address`, zeros behind them; nothing behind them is read. */
export function loadValid(context: WasmKernelContext, address: Expression<"i32">, valid: Expression<"i32">): Vector {
  const target = context.shared("load valid", () =>
    context.module.function("load_valid", { params: ["i32", "i32"], results: ["v128"] }, (body, from, count) => {
      body.if(i32.geS(count, 4), () => body.return(v128.load(from)));
      const result = body.local("v128", f32x4.splat(0));
      for (let lane = 0; lane < 3; lane++)
        body.if(i32.gtS(count, lane), () =>
          body.set(result, v128.load32Lane(from, result, lane, { offset: lane * 4 })),
        );
      body.return(result);
    }),
  ) as FunctionReference<readonly ["i32", "i32"], readonly ["v128"]>;
  return call(target, address, valid);
}

type PackFunction = FunctionReference<readonly ["i32", "i32", "i32", "i32"], readonly []>;
const signature = { params: ["i32", "i32", "i32", "i32"], results: [] } as const;

/** Function (to, from, bytes from token to token, tokens) for keys with contiguous features. */
export function packKeys(context: WasmKernelContext, depth: number): PackFunction {
  return context.shared(`pack keys ${depth}`, () =>
    context.module.function(`pack_keys_${depth}`, signature, (body, to, from, step, count) => {
      const last = body.local("i32", i32.add(from, i32.mul(i32.sub(count, 1), step)));
      body.forRange(0, count, panelWidth, () => {
        const rows = Array.from({ length: panelWidth }, () => {
          const row = body.local("i32", minimumS(from, last));
          body.set(from, i32.add(from, step));
          return row;
        });
        body.forRange(0, depth >> 2, 1, () => {
          for (const half of [0, 1])
            body.scope(() => {
              const four = rows.slice(half * 4, half * 4 + 4).map((row) => body.local("v128", v128.load(row)));
              transposed(body, four).forEach((column, k) => {
                body.v128Store(to, column, { offset: k * 32 + half * 16 });
              });
            });
          for (const row of rows) body.set(row, i32.add(row, 16));
          body.set(to, i32.add(to, 4 * 32));
        });
        for (let k = 0; k < depth % 4; k++)
          rows.forEach((row, token) => {
            body.i32Store(to, i32.load(row, { offset: k * 4 }), { offset: k * 32 + token * 4 });
          });
        body.set(to, i32.add(to, (depth % 4) * 32));
      });
    }),
  ) as PackFunction;
}

/** Function (to, from, bytes from feature to feature, tokens) for keys with contiguous tokens. */
export function packTransposedKeys(context: WasmKernelContext, depth: number): PackFunction {
  return context.shared(`pack transposed keys ${depth}`, () =>
    context.module.function(`pack_transposed_keys_${depth}`, signature, (body, to, from, step, count) => {
      body.forRange(0, count, panelWidth, (token) => {
        const row = body.local("i32", i32.add(from, i32.shl(token, 2)));
        const valid = body.local("i32", i32.sub(count, token));
        body.forRange(0, depth, 1, () => {
          for (const half of [0, 1])
            body.v128Store(to, loadValid(context, i32.add(row, half * 16), i32.sub(valid, half * 4)), {
              offset: half * 16,
            });
          body.set(row, i32.add(row, step));
          body.set(to, i32.add(to, 32));
        });
      });
    }),
  ) as PackFunction;
}

/** Function (to, from, bytes from token to token, tokens) for values; panels lie `block` tokens apart. */
export function packValues(context: WasmKernelContext, depth: number, block: number): PackFunction {
  return context.shared(`pack values ${depth} ${block}`, () =>
    context.module.function(`pack_values_${depth}_${block}`, signature, (body, to, from, step, count) => {
      body.forRange(0, count, 1, () => {
        const [source, target] = [body.local("i32", from), body.local("i32", to)] as readonly [Address, Address];
        body.forRange(0, depth >> 3, 1, () => {
          for (const half of [0, 16]) body.v128Store(target, v128.load(source, { offset: half }), { offset: half });
          body.set(source, i32.add(source, 32));
          body.set(target, i32.add(target, block * 32));
        });
        const rest = depth % 8;
        for (const half of [0, 4])
          if (rest > 0)
            body.v128Store(target, loadValid(context, i32.add(source, half * 4), i32.const(rest - half)), {
              offset: half * 4,
            });
        body.set(from, i32.add(from, step));
        body.set(to, i32.add(to, 32));
      });
    }),
  ) as PackFunction;
}
