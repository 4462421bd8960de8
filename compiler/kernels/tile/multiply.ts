/**
 * The inner loops of every product of the families: a tile of `rows` pixels by `vectors` * 4 output channels in
 * locals, fed by one pointer per pixel and one panel of weights. What reaches the roof: 12 accumulators, two weight
 * vectors and one broadcast activation fill the 16 vector registers of x86; k runs four at a time.
 */
import type { BodyBuilder } from "../../assemble/body.ts";
import type { Expression, Local } from "../../assemble/expression.ts";
import { i32 } from "../../assemble/scalar.ts";
import { multiplyAdd, type WasmTarget } from "../../assemble/target.ts";
import { v128 } from "../../assemble/vector.ts";

/** A tile of a schedule: output pixels (or rows of a matrix) by vectors of four output channels. */
export interface TileShape {
  readonly rows: number;
  readonly vectors: number;
}

/** Rows of a tile on `target`: without a fused operation every product needs a register, and twelve sums leave none. */
export const rowsOn = (target: WasmTarget, rows: number): number => (target.relaxedMadd ? rows : Math.min(rows, 5));

/** Floats in one step of k in a panel of this tile. */
export const panelWidth = (tile: TileShape): number => tile.vectors * 4;

/** How far the pointers run: `outer` times (`middle` times (`inner` words, then jump), then jump). Loops that are absent run once. */
export interface TileLoops {
  readonly inner: Expression<"i32">;
  readonly middle?: TileLoop;
  readonly outer?: TileLoop;
}

/** Bytes that the pixel pointers, and the weights where they are not read in order, jump after each round. */
export interface TileLoop {
  readonly count: Expression<"i32">;
  readonly jump: Expression<"i32">;
  readonly weightJump?: Expression<"i32">;
}

/** How one step of k of a panel becomes lanes, and what is summed. */
export interface PanelReader {
  readonly stepBytes: number;
  /** The lanes at `weights + offset`. */
  read(weights: Expression<"i32">, offset: number): readonly Expression<"v128">[];
  /** sum + x * w, where x are four equal words of a pixel; float32 lanes by default. */
  multiplyAdd?(x: Expression<"v128">, w: Expression<"v128">, sum: Expression<"v128">): Expression<"v128">;
}

/** float32 panels of `vectors` * 4 columns. */
export const plainReader = (vectors: number): PanelReader => ({
  stepBytes: vectors * 16,
  read: (weights, offset) =>
    Array.from({ length: vectors }, (_, j) => v128.load(weights, { offset: offset + j * 16, align: 16 })),
});

/** Steps of k per round of the inner loop. */
const unroll = 4;
/** So many steps, when they are known, need no loop. */
export const fewSteps = 12;

/** `rows` x `vectors` locals that all start as the panel's bias. */
export function biasAccumulators(
  body: BodyBuilder,
  { rows, vectors }: TileShape,
  panel: Expression<"i32">,
): readonly (readonly Local<"v128">[])[] {
  const first = Array.from({ length: vectors }, (_, j) => body.local("v128", v128.load(panel, { offset: j * 16 })));
  const others = Array.from({ length: rows - 1 }, () => first.map((bias) => body.local("v128", bias)));
  return [first, ...others];
}

/**
 * Adds the products to the accumulators. `weights` and `pixels` advance; afterwards they stand behind what was read.
 * With several `sets` of accumulators, consecutive steps of k take turns: few pixels then still hide the latency of a sum.
 */
export function emitMultiply(
  body: BodyBuilder,
  target: WasmTarget,
  sets: readonly (readonly (readonly Local<"v128">[])[])[],
  weights: Local<"i32">,
  pixels: readonly Local<"i32">[],
  loops: TileLoops,
  reader: PanelReader = plainReader(sets[0]?.[0]?.length ?? 0),
): void {
  const term = reader.multiplyAdd ?? ((x, w, sum) => multiplyAdd(target, x, w, sum));
  const steps = (count: number): void => {
    for (let k = 0; k < count; k++) {
      body.scope(() => {
        const row = reader.read(weights, k * reader.stepBytes).map((w) => body.local("v128", w));
        pixels.forEach((pixel, i) => {
          body.scope(() => {
            const x = body.local("v128", v128.load32Splat(pixel, { offset: k * 4 }));
            row.forEach((w, j) => {
              const sum = sets[k % sets.length]?.[i]?.[j];
              if (sum) body.set(sum, term(x, w, sum));
            });
          });
        });
      });
    }
    body.set(weights, i32.add(weights, count * reader.stepBytes));
    for (const pixel of pixels) body.set(pixel, i32.add(pixel, count * 4));
  };
  const run = (): void => {
    const { constant } = loops.inner;
    if (constant !== undefined && constant <= fewSteps) return steps(constant);
    body.scope(() => {
      const left = body.local("i32", i32.sub(loops.inner, unroll));
      body.if(i32.geS(left, 0), () => {
        body.loop((again) => {
          steps(unroll);
          body.branchIf(again, i32.geS(body.tee(left, i32.sub(left, unroll)), 0));
        });
      });
      body.if(i32.gtS(body.tee(left, i32.add(left, unroll)), 0), () => {
        body.loop((again) => {
          steps(1);
          body.branchIf(again, body.tee(left, i32.sub(left, 1)));
        });
      });
    });
  };
  const repeated = (loop: TileLoops["outer"], statements: () => void): void => {
    if (!loop) return statements();
    body.scope(() => {
      const left = body.local("i32", loop.count);
      body.loop((again) => {
        statements();
        for (const pixel of pixels) body.set(pixel, i32.add(pixel, loop.jump));
        if (loop.weightJump) body.set(weights, i32.add(weights, loop.weightJump));
        body.branchIf(again, body.tee(left, i32.sub(left, 1)));
      });
    });
  };
  repeated(loops.outer, () => repeated(loops.middle, run));
}
