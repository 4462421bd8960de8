/**
 * Few rows of A by a panel of int4 or nf4 weights that is read once for all rows, as products of 16-bit integers: exact
 * sums of nibbles (or of codes in 2048ths) and the numbers that prepare-rows.ts makes of A. Lanes are the four even and the four
 * odd columns, two steps of k each, as the bytes of a panel lie once four steps are transposed.
 */
import type { BodyBuilder } from "../../assemble/body.ts";
import type { Expression, Local } from "../../assemble/expression.ts";
import { i32, minimumS } from "../../assemble/scalar.ts";
import { multiplyAdd, type WasmTarget } from "../../assemble/target.ts";
import { f32x4, i8x16, i16x8, i32x4, v128 } from "../../assemble/vector.ts";
import { nf4Code } from "../../graph/nf4.ts";
import { blockBias, blockScales, interleaved, nibbles } from "../tile/block-lanes.ts";
import { type BlockWeights, blockFront, blockLayout } from "../tile/block-layout.ts";
import { evenAndOdd, ordered } from "./order.ts";
import { chunkBytes, chunkHead, chunkSteps, codeUnit, startOfSums } from "./prepare-rows.ts";
import { matmulWidth } from "./variants.ts";

type Address = Local<"i32">;
type Vector = Expression<"v128">;
/** Of even and of odd columns. */
type Pair = readonly [Local<"v128">, Local<"v128">];

const zeroLanes = i32x4.const(0, 0, 0, 0);
/** Vectors of four steps that a round of the loop takes: blocks are whole rounds, but for a short one. */
const together = 4;

/** Sums of `rows` rows, prepared at `prepared`: four columns a vector, in order. */
export function multiplyBlocks(
  body: BodyBuilder,
  target: WasmTarget,
  blocks: BlockWeights,
  panel: Address,
  prepared: Address,
  inner: Address,
  rows: number,
): readonly (readonly Local<"v128">[])[] {
  const held = (value: Vector): Local<"v128"> => body.local("v128", value);
  const pair = ([even, odd]: readonly [Vector, Vector]): Pair => [held(even), held(odd)];
  const upTo = Array.from({ length: rows }, (_, row) => row);
  const steps = chunkSteps(blocks);
  const rowBytes = chunkBytes(steps);
  const { head } = blockLayout(blocks, matmulWidth);
  const [first, second] = blockBias(body, blocks, matmulWidth, panel) as Pair;
  const totals = upTo.map(() => pair(evenAndOdd(first, second)));
  const at = body.local("i32", i32.add(panel, blockFront(blocks, matmulWidth)));
  const chunk = body.local("i32", prepared);
  const left = body.local("i32", inner);
  const oneChunk = (scales: Pair, zeros: Pair | undefined, here: Address): void =>
    body.scope(() => {
      const sums = upTo.map((row): Pair => {
        const start = v128.load32Splat(chunk, { offset: row * rowBytes + startOfSums });
        if (blocks.kind === "nf4") return pair([zeroLanes, zeroLanes]);
        if (!zeros) return pair([start, start]);
        const minusSum = held(start);
        return pair([i32x4.mul(zeros[0], minusSum), i32x4.mul(zeros[1], minusSum)]);
      });
      const x = body.local("i32", i32.add(chunk, chunkHead));
      const fours = (count: number): void => {
        for (let four = 0; four < count; four++)
          body.scope(() =>
            addFour(body, target, blocks.kind, v128.load(at, { offset: four * 16 }), sums, (row, half) =>
              v128.load32Splat(x, { offset: row * rowBytes + four * 8 + half * 4 }),
            ),
          );
        body.set(at, i32.add(at, count * 16));
        body.set(x, i32.add(x, count * 8));
      };
      const remaining = body.local("i32", i32.sub(i32.shrU(i32.add(here, 3), 2), together));
      body.if(i32.geS(remaining, 0), () =>
        body.loop((again) => {
          fours(together);
          body.branchIf(again, i32.geS(body.tee(remaining, i32.sub(remaining, together)), 0));
        }),
      );
      body.if(i32.ne(remaining, -together), () =>
        body.loop((again) => {
          fours(1);
          body.branchIf(again, i32.gtS(body.tee(remaining, i32.sub(remaining, 1)), -together));
        }),
      );
      for (const row of upTo) {
        const scale = held(v128.load32Splat(chunk, { offset: row * rowBytes }));
        ([0, 1] as const).forEach((half) => {
          const total = totals[row]?.[half] as Local<"v128">;
          const sum = f32x4.convertI32x4S(sums[row]?.[half] as Local<"v128">);
          body.set(total, multiplyAdd(target, sum, f32x4.mul(scales[half], scale), total));
        });
      }
      body.set(chunk, i32.add(chunk, rows * rowBytes));
    });
  body.hoistConstants(() =>
    body.loop((again) => {
      body.scope(() => {
        const [low, high] = blockScales(body, blocks, matmulWidth, at) as Pair;
        const scales = pair(evenAndOdd(low, high));
        const zeros = blocks.zeros ? zerosOf(body, blocks, at) : undefined;
        body.set(at, i32.add(at, head));
        const here = body.local("i32", minimumS(left, blocks.size));
        if (steps === blocks.size) oneChunk(scales, zeros, here);
        else
          body.loop((more) => {
            body.scope(() => oneChunk(scales, zeros, body.local("i32", minimumS(here, steps))));
            body.branchIf(more, i32.gtS(body.tee(here, i32.sub(here, steps)), 0));
          });
      });
      body.branchIf(again, i32.gtS(body.tee(left, i32.sub(left, blocks.size)), 0));
    }),
  );
  return totals.map(([even, odd]) => ordered(even, odd).map(held));
}

/** Zeros of a block's even and odd columns. */
function zerosOf(body: BodyBuilder, blocks: BlockWeights, block: Address): Pair {
  const { zeros } = blockLayout(blocks, matmulWidth);
  const bytes = body.local(
    "v128",
    i32x4.extendLowI16x8U(i16x8.extendLowI8x16U(v128.load32Zero(block, { offset: zeros }))),
  );
  return [body.local("v128", v128.and(bytes, i32x4.const(15, 15, 15, 15))), body.local("v128", i32x4.shrU(bytes, 4))];
}

/** Bytes of four steps, column pairs c of each in turn: the lane of c has steps 0 and 2, then 1 and 3, one byte each. */
const alternating = [0, 1, 2, 3].flatMap((c) => [c, c + 8, c + 4, c + 12]);
/** Steps 0 and 1 of each column pair, then steps 2 and 3. */
const sideBySide = [0, 8].flatMap((steps) => [0, 1, 2, 3].flatMap((c) => [steps + c, steps + c + 4]));

/** Adds four steps; `pairOf(row, half)`: the numbers of A for two of them in every lane. */
function addFour(
  body: BodyBuilder,
  target: WasmTarget,
  kind: BlockWeights["kind"],
  bytes: Vector,
  sums: readonly Pair[],
  pairOf: (row: number, half: 0 | 1) => Vector,
): void {
  const look = target.relaxedMadd ? i8x16.relaxedSwizzle : i8x16.swizzle;
  const byte = body.local("v128", look(bytes, i8x16.const(...(kind === "int4" ? alternating : sideBySide))));
  const add = (half: 0 | 1, even: Vector, odd: Vector): void =>
    body.scope(() => {
      const columns: Pair = [body.local("v128", even), body.local("v128", odd)];
      sums.forEach((pair, row) => {
        body.scope(() => {
          const x = body.local("v128", pairOf(row, half));
          ([0, 1] as const).forEach((place) =>
            body.set(pair[place], i32x4.add(pair[place], i32x4.dotI16x8S(columns[place], x))),
          );
        });
      });
    });
  if (kind === "int4") {
    const low = i16x8.const(15, 15, 15, 15, 15, 15, 15, 15);
    add(0, v128.and(byte, low), v128.and(i16x8.shrU(byte, 4), low));
    add(1, v128.and(i16x8.shrU(byte, 8), low), i16x8.shrU(byte, 12));
    return;
  }
  const [even, odd] = nibbles(body, byte);
  const codesOf = (q: Vector): Pair => [
    body.local("v128", look(codeBytes(0), q)),
    body.local("v128", look(codeBytes(1), q)),
  ];
  const [evenCodes, oddCodes] = [codesOf(even), codesOf(odd)];
  for (const half of [0, 1] as const) add(half, interleaved(...evenCodes, half), interleaved(...oddCodes, half));
}

/** Lower or upper bytes of the codes in 2048ths. */
function codeBytes(place: 0 | 1): Vector {
  return i8x16.const(...nf4Code.map((code) => ((code * codeUnit) >> (8 * place)) & 255));
}
