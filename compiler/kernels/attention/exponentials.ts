/** Softmax of a tile's scores, block by block: exponentials in place of the scores, and what a row's sums are multiplied by. */
import { type Local, select } from "../../assemble/expression.ts";
import { i32 } from "../../assemble/scalar.ts";
import { f32x4, v128 } from "../../assemble/vector.ts";
import { allLanes } from "../expression/horizontal.ts";
import { decayingExponential } from "../softmax/exponential.ts";
import { scorePitch } from "./shape.ts";
import type { AttentionTarget, Block, ScoreTile, TileRows } from "./tile.ts";

/** Scores become exp(score - largest); gives what a row's product, and its sum over earlier blocks, are multiplied by. */
export function emitExponentials(
  { context, body, shape }: AttentionTarget,
  block: Block,
  rows: TileRows,
  { begin, end, scores, largest }: ScoreTile,
): { readonly scales: readonly Local<"v128">[]; readonly decays: readonly Local<"v128">[] } {
  const { single } = shape;
  const totals = largest.map(() => body.local("v128", f32x4.splat(0)));
  const scales = largest.map(() => body.local("v128"));
  const decays = single ? [] : largest.map(() => body.local("v128"));
  body.scope(() => {
    for (const row of largest) body.set(row, allLanes(body, row, f32x4.pmax));
    const exponential = decayingExponential(body, context.target);
    const stop = body.local("i32", i32.add(scores, i32.shl(end, 2)));
    const first = body.local("i32", i32.add(scores, i32.shl(begin, 2)));
    for (let group = 0; group < largest.length; group += 3)
      body.forRange(first, stop, 16, (at) => {
        for (let i = group; i < Math.min(group + 3, largest.length); i++)
          body.scope(() => {
            const offset = i * scorePitch(shape);
            const difference = f32x4.sub(v128.load(at, { offset }), largest[i] as Local<"v128">);
            const power = body.local("v128", exponential(difference));
            body.v128Store(at, power, { offset });
            body.set(totals[i] as Local<"v128">, f32x4.add(totals[i] as Local<"v128">, power));
          });
      });
    totals.forEach((total, i) => {
      body.set(total, allLanes(body, total, f32x4.add));
      const decay = decays[i];
      const state = rows.states[i];
      if (!decay || !state) return;
      const before = v128.load32Splat(state);
      body.set(decay, exponential(f32x4.sub(before, largest[i] as Local<"v128">)));
      body.set(total, f32x4.add(total, f32x4.mul(v128.load32Splat(state, { offset: 4 }), decay)));
    });
    const one = f32x4.splat(1);
    totals.forEach((total, i) => {
      // A row that sees nothing has the sum 0.
      const inverse = v128.and(f32x4.div(one, total), f32x4.ne(total, f32x4.splat(0)));
      const [scale, decay, state] = [scales[i] as Local<"v128">, decays[i], rows.states[i]];
      body.set(scale, single ? inverse : select("v128", block.isLast, inverse, one));
      if (!decay || !state) return;
      body.set(decay, f32x4.mul(decay, scale));
      // Only now: a repeated row must find what was there before.
      body.v128Store32Lane(state, largest[i] as Local<"v128">, 0);
      body.v128Store32Lane(state, total, 0, { offset: 4 });
    });
  });
  return { scales, decays };
}
