/**
 * Few rows of A by a panel of int4 or nf4 weights that is read once. Within a block the sum is that of q (or the code) and x;
 * the scale is applied once, where the block ends.
 */
import type { BodyBuilder } from "../../assemble/body.ts";
import type { Expression, Local } from "../../assemble/expression.ts";
import { i32, minimumS } from "../../assemble/scalar.ts";
import { multiplyAdd, type WasmTarget } from "../../assemble/target.ts";
import { f32x4, i8x16, i32x4, v128 } from "../../assemble/vector.ts";
import { symmetricZero } from "../../graph/blocks.ts";
import {
  blockBias,
  blockReader,
  blockScales,
  codes,
  inPlace,
  nibbles,
  placed,
  placedZeros,
} from "../tile/block-lanes.ts";
import { type BlockWeights, blockFront, blockLayout } from "../tile/block-layout.ts";
import { emitMultiply } from "../tile/multiply.ts";
import { matmulWidth } from "./variants.ts";

type Address = Local<"i32">;
type Sums = readonly (readonly Local<"v128">[])[];
type Vector = Expression<"v128">;

const vectors = matmulWidth / 4;
const upTo = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => index);
const zeroLanes = f32x4.const(0, 0, 0, 0);

/** Calls `visit` with the start of every block, that of its nibbles, which it moves on, and the block's steps. */
function eachBlock(
  body: BodyBuilder,
  blocks: BlockWeights,
  panel: Address,
  inner: Address,
  visit: (block: Address, at: Address, steps: Address) => void,
): void {
  const block = body.local("i32", i32.add(panel, blockFront(blocks, matmulWidth)));
  const left = body.local("i32", inner);
  const { head, stepBytes } = blockLayout(blocks, matmulWidth);
  body.hoistConstants(() =>
    body.loop((again) => {
      body.scope(() => {
        const steps = body.local("i32", minimumS(left, blocks.size));
        const at = body.local("i32", i32.add(block, head));
        visit(block, at, steps);
        const ofNibbles = i32.and(i32.add(i32.mul(steps, stepBytes), 15), -16);
        body.set(block, i32.add(i32.add(block, head), ofNibbles));
      });
      body.branchIf(again, i32.gtS(body.tee(left, i32.sub(left, blocks.size)), 0));
    }),
  );
}

/** Several rows: columns are lanes, each step of k is widened for all rows. `sources` advance. */
export function multiplyRows(
  body: BodyBuilder,
  target: WasmTarget,
  blocks: BlockWeights,
  panel: Address,
  sources: readonly Address[],
  inner: Address,
  sets: number,
): Sums {
  const totals = sources.map(() => blockBias(body, blocks, matmulWidth, panel));
  eachBlock(body, blocks, panel, inner, (block, at, steps) => {
    const zeros = blocks.kind === "int4" ? placedZeros(body, blocks, matmulWidth, block) : [];
    const accumulators = upTo(sets).map(() =>
      sources.map(() => upTo(vectors).map(() => body.local("v128", zeroLanes))),
    );
    const reader = blockReader(body, target, blocks.kind, zeros);
    emitMultiply(body, target, accumulators, at, sources, { inner: steps }, reader);
    const scales = blockScales(body, blocks, matmulWidth, block).map((scale) =>
      blocks.kind === "int4" ? body.local("v128", placed(scale)) : scale,
    );
    totals.forEach((row, i) => {
      row.forEach((total, j) => {
        const sum = accumulators.map((set) => set[i]?.[j] as Vector).reduce((left, right) => f32x4.add(left, right));
        body.set(total, multiplyAdd(target, sum, scales[j] as Vector, total));
      });
    });
  });
  return totals;
}

/**
 * One row: steps of k are lanes, four at a time, so that x needs no spreading and a q keeps its place in 16 bits. The sums of
 * a column's lanes meet where the block ends. `rest`: steps behind the last four.
 */
export function multiplyRow(
  body: BodyBuilder,
  target: WasmTarget,
  blocks: BlockWeights,
  panel: Address,
  source: Address,
  inner: Address,
  rest: number,
): Sums {
  const totals = [blockBias(body, blocks, matmulWidth, panel)];
  eachBlock(body, blocks, panel, inner, (block, at, steps) => {
    const sums = upTo(8).map(() => body.local("v128", zeroLanes));
    const sumOfX = body.local("v128", zeroLanes);
    const four = (x: Vector, offset: number): void =>
      body.scope(() => {
        const held = body.local("v128", x);
        if (blocks.kind === "int4") {
          body.set(sumOfX, f32x4.add(sumOfX, held));
          addSteps(body, target, sums, at, offset, held);
        } else addCodes(body, target, sums, v128.load(at, { offset }), held);
      });
    const fours = (count: number): void => {
      for (let i = 0; i < count; i++) four(v128.load(source, { offset: i * 16 }), i * 16);
      body.set(source, i32.add(source, count * 16));
      body.set(at, i32.add(at, count * 16));
    };
    const left = body.local("i32", i32.sub(steps, 16));
    body.if(i32.geS(left, 0), () =>
      body.loop((again) => {
        fours(4);
        body.branchIf(again, i32.geS(body.tee(left, i32.sub(left, 16)), 0));
      }),
    );
    // Blocks are whole sixteens, but for a short one.
    body.if(i32.ne(left, -16), () => {
      body.set(left, i32.add(left, 12));
      body.if(i32.geS(left, 0), () =>
        body.loop((again) => {
          fours(1);
          body.branchIf(again, i32.geS(body.tee(left, i32.sub(left, 4)), 0));
        }),
      );
      if (rest > 0) four(firstLanes(source, rest), 0);
    });
    const products = blocks.kind === "int4" ? stepSums(body, sums) : codeSums(body, sums);
    const scales = blockScales(body, blocks, matmulWidth, block);
    totals.forEach((row) => {
      row.forEach((total, j) => {
        const product = products[j] as Vector;
        const sum =
          blocks.kind === "int4"
            ? f32x4.sub(product, f32x4.mul(zerosOf(blocks, block, j), allLanes(body, sumOfX)))
            : product;
        body.set(total, multiplyAdd(target, sum, scales[j] as Vector, total));
      });
    });
  });
  return totals;
}

/** The first `count` floats, zeros behind them. */
function firstLanes(source: Address, count: number): Vector {
  if (count === 1) return v128.load32Zero(source);
  const two = v128.load64Zero(source);
  return count === 2 ? two : v128.load32Lane(i32.add(source, 8), two, 2);
}

/** Sums of columns c and c + 4 take q * 16^c times x; the upper half of a step's 32 bits is read as the lower half of others. */
function addSteps(
  body: BodyBuilder,
  target: WasmTarget,
  sums: readonly Local<"v128">[],
  at: Address,
  offset: number,
  x: Local<"v128">,
): void {
  const lower = body.local("v128", v128.load(at, { offset }));
  const upper = body.local("v128", v128.load(at, { offset: offset + 2 }));
  sums.forEach((sum, column) => {
    const mask = 0xf << (4 * (column % 4));
    const q = v128.and(column < 4 ? lower : upper, i32x4.const(mask, mask, mask, mask));
    body.set(sum, multiplyAdd(target, f32x4.convertI32x4S(q), x, sum));
  });
}

/** Four columns a vector, q in their true size. */
function stepSums(body: BodyBuilder, sums: readonly Local<"v128">[]): readonly Vector[] {
  return [0, 4].map((first) => {
    const [a = zeroLanes, b = zeroLanes, c = zeroLanes, d = zeroLanes] = sums.slice(first);
    const left = body.local("v128", f32x4.add(lanes(a, b, [0, 4, 1, 5]), lanes(a, b, [2, 6, 3, 7])));
    const right = body.local("v128", f32x4.add(lanes(c, d, [0, 4, 1, 5]), lanes(c, d, [2, 6, 3, 7])));
    return body.local("v128", placed(f32x4.add(lanes(left, right, [0, 1, 4, 5]), lanes(left, right, [2, 3, 6, 7]))));
  });
}

/**
 * Sums 2i and 2i + 1 belong to the lower nibbles of even and odd bytes (i = 0) and to the upper ones (i = 1), for steps 0 and
 * 1; those behind the fourth for steps 2 and 3. Lanes of the even bytes' lower nibbles: columns 0, 4 of one step, 0, 4 of the next.
 */
function addCodes(
  body: BodyBuilder,
  target: WasmTarget,
  sums: readonly Local<"v128">[],
  bytes: Vector,
  x: Local<"v128">,
): void {
  const xs = [body.local("v128", lanes(x, x, [0, 0, 1, 1])), body.local("v128", lanes(x, x, [2, 2, 3, 3]))];
  const upper = 0xffff0000 | 0;
  nibbles(body, bytes).forEach((q, i) => {
    codes(body, target, q).forEach((pairs, steps) => {
      const even = i32x4.shl(pairs, 16);
      const odd = v128.and(pairs, i32x4.const(upper, upper, upper, upper));
      [even, odd].forEach((code, place) => {
        const sum = sums[steps * 4 + i * 2 + place] as Local<"v128">;
        body.set(sum, multiplyAdd(target, code, xs[steps] as Vector, sum));
      });
    });
  });
}

function codeSums(body: BodyBuilder, sums: readonly Local<"v128">[]): readonly Vector[] {
  const both = upTo(4).map((i) => body.local("v128", f32x4.add(sums[i] as Vector, sums[i + 4] as Vector)));
  // Columns 0 4 2 6 and 1 5 3 7.
  const [even = zeroLanes, odd = zeroLanes] = [0, 2].map((i) => {
    const [a = zeroLanes, b = zeroLanes] = both.slice(i);
    return body.local("v128", f32x4.add(lanes(a, b, [0, 1, 4, 5]), lanes(a, b, [2, 3, 6, 7])));
  });
  return [body.local("v128", lanes(even, odd, [0, 4, 2, 6])), body.local("v128", lanes(even, odd, [1, 5, 3, 7]))];
}

/** Zeros of columns 4j..4j+3 of a block. */
function zerosOf(blocks: BlockWeights, block: Address, j: number): Vector {
  const z = symmetricZero;
  if (!blocks.zeros) return f32x4.const(z, z, z, z);
  const { zeros } = blockLayout(blocks, matmulWidth);
  return placed(inPlace(block, zeros + j * 2));
}

/** The sum of the lanes in each of them. */
function allLanes(body: BodyBuilder, x: Vector): Vector {
  const two = body.local("v128", f32x4.add(x, lanes(x, x, [2, 3, 0, 1])));
  return f32x4.add(two, lanes(two, two, [1, 0, 3, 2]));
}

/** Four 32-bit lanes of `a` (0-3) and `b` (4-7). */
const lanes = (a: Vector, b: Vector, picks: readonly number[]): Vector =>
  i8x16.shuffle(
    a,
    b,
    picks.flatMap((lane) => upTo(4).map((byte) => lane * 4 + byte)),
  );
