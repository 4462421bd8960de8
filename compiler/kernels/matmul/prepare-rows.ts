/**
 * Rows of A as few rows by narrow weights read them, written to scratch at the start of every call. For weights in blocks:
 * whole numbers of 16 bits, scaled chunk by chunk to the chunk's largest value (an error of at most 2^-16 of it; what is not
 * finite makes the whole sum NaN or infinite). For float16 weights: floats, larger by a power of two, since halves keep the
 * bias of their exponents.
 */
import type { BodyBuilder } from "../../assemble/body.ts";
import type { Expression, Local } from "../../assemble/expression.ts";
import { f32, i32, minimumS } from "../../assemble/scalar.ts";
import { f32x4, i16x8, i32x4, v128 } from "../../assemble/vector.ts";
import type { BlockWeights } from "../tile/block-layout.ts";
import { firstLanes, turned } from "./order.ts";

type Address = Local<"i32">;

/** What a value of A is multiplied by for float16 weights; beyond 2^87 it overflows. */
export const rowScale = 2 ** 40;

/** Steps of k with one scale: as many as codes of NF4, in 2048ths, times 16 bits can be summed in 32. */
export const chunkSteps = ({ kind, size }: BlockWeights): number => (kind === "nf4" ? Math.min(size, 32) : size);

/** A chunk of one row: its scale in float32, the start of its sums in int32, eight bytes of nothing, then its numbers. */
export const chunkHead = 16;
export const startOfSums = 4;
export const chunkBytes = (steps: number): number => chunkHead + 2 * steps;

/** Bytes of one row of floats: whole fours, zeros behind the last. */
const floatRowBytes = (depth: number): number => Math.ceil(depth / 4) * 16;

/** Bytes of `rows` rows: chunk after chunk, the rows of each side by side. */
export function preparedBytes(weights: "float16" | BlockWeights, rows: number, depth: number): number {
  if (weights === "float16") return rows * floatRowBytes(depth);
  const steps = chunkSteps(weights);
  return rows * Math.ceil(depth / steps) * chunkBytes(steps);
}

export interface Rows {
  readonly count: number;
  readonly first: Address;
  /** Bytes between rows. */
  readonly step: Address;
  readonly inner: Address;
  /** Steps behind the last four. */
  readonly rest: number;
}

/** Rows of scaled floats one behind another. */
export function scaleRows(body: BodyBuilder, { count, first, step, inner, rest }: Rows, scratch: Address): void {
  const to = body.local("i32", scratch);
  const row = body.local("i32", first);
  const fours = body.local("i32", i32.and(inner, -4));
  const factor = f32x4.const(rowScale, rowScale, rowScale, rowScale);
  body.hoistConstants(() =>
    body.forRange(0, count, 1, () => {
      const at = body.local("i32", row);
      const put = (x: Expression<"v128">): void => {
        body.v128Store(to, f32x4.mul(x, factor));
        body.set(to, i32.add(to, 16));
      };
      body.forRange(0, fours, 4, () => {
        put(v128.load(at));
        body.set(at, i32.add(at, 16));
      });
      if (rest > 0) put(firstLanes(at, rest));
      body.set(row, i32.add(row, step));
    }),
  );
}

/** Largest magnitude of a chunk's numbers. */
const largest = 32767;
/** Adding it leaves a small number, rounded to a whole one, in the lower bits. */
const rounder = 1.5 * 2 ** 23;
const rounderBits = 0x4b400000;
/** NF4's codes are whole 2048ths. */
export const codeUnit = 2048;

/** Sums start at what zeros take away: 8 times the sum of x where all are 8; the sum alone where blocks have their own. */
const sumFactor = ({ kind, zeros }: BlockWeights): number => (kind === "nf4" ? 0 : zeros ? -1 : -8);

export function quantiseRows(body: BodyBuilder, blocks: BlockWeights, rows: Rows, scratch: Address): void {
  const { count, first, step, inner, rest } = rows;
  const steps = chunkSteps(blocks);
  const row = body.local("i32", first);
  const start = body.local("i32", scratch);
  const unit = blocks.kind === "nf4" ? largest * codeUnit : largest;
  const factor = sumFactor(blocks);
  body.hoistConstants(() =>
    body.forRange(0, count, 1, () => {
      const source = body.local("i32", row);
      const chunk = body.local("i32", start);
      const left = body.local("i32", inner);
      body.loop((again) => {
        body.scope(() => {
          const here = body.local("i32", minimumS(left, steps));
          const end = body.local("i32", i32.add(source, i32.and(i32.shl(here, 2), -16)));
          const isRagged = body.local("i32", i32.and(here, 3));
          const each = (visit: (x: Local<"v128">) => void): Address => {
            const at = body.local("i32", source);
            body.block((done) =>
              body.loop((more) => {
                body.branchIf(done, i32.geU(at, end));
                body.scope(() => visit(body.local("v128", v128.load(at))));
                body.set(at, i32.add(at, 16));
                body.branch(more);
              }),
            );
            if (rest > 0) body.if(isRagged, () => body.scope(() => visit(body.local("v128", firstLanes(at, rest)))));
            return at;
          };
          // By their bits: a NaN is the largest of all.
          const most = body.local("v128", i32x4.const(0, 0, 0, 0));
          const magnitude = 0x7fffffff;
          each((x) =>
            body.set(most, i32x4.maxS(most, v128.and(x, i32x4.const(magnitude, magnitude, magnitude, magnitude)))),
          );
          body.set(most, i32x4.maxS(most, turned(most, 2)));
          body.set(most, i32x4.maxS(most, turned(most, 1)));
          const inverse = body.local(
            "v128",
            v128.and(
              f32x4.div(f32x4.const(largest, largest, largest, largest), most),
              f32x4.gt(most, f32x4.const(0, 0, 0, 0)),
            ),
          );
          body.f32Store(chunk, f32.mul(f32x4.extractLane(most, 0), 1 / unit));
          const sum = body.local("v128", i32x4.const(0, 0, 0, 0));
          const to = body.local("i32", chunk);
          const at = each((x) => {
            const bits = f32x4.add(f32x4.mul(x, inverse), f32x4.const(rounder, rounder, rounder, rounder));
            const whole = body.local(
              "v128",
              i32x4.sub(bits, i32x4.const(rounderBits, rounderBits, rounderBits, rounderBits)),
            );
            if (factor !== 0) body.set(sum, i32x4.add(sum, whole));
            body.v128Store64Lane(to, i16x8.narrowI32x4S(whole, whole), 0, { offset: chunkHead });
            body.set(to, i32.add(to, 8));
          });
          if (factor !== 0) {
            body.set(sum, i32x4.add(sum, turned(sum, 2)));
            body.set(sum, i32x4.add(sum, turned(sum, 1)));
            body.i32Store(chunk, i32.mul(i32x4.extractLane(sum, 0), factor), { offset: startOfSums });
          }
          body.set(source, at);
          body.set(chunk, i32.add(chunk, count * chunkBytes(steps)));
        });
        body.branchIf(again, i32.gtS(body.tee(left, i32.sub(left, steps)), 0));
      });
      body.set(row, i32.add(row, step));
      body.set(start, i32.add(start, chunkBytes(steps)));
    }),
  );
}
