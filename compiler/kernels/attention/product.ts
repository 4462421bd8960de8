/** What both forms of the product of exponentials and values share. */
import type { BodyBuilder } from "../../assemble/body.ts";
import type { Expression, Local } from "../../assemble/expression.ts";
import { multiplyAdd, type WasmTarget } from "../../assemble/target.ts";
import { f32x4 } from "../../assemble/vector.ts";

/** Rows whose exponentials of the block's columns begin..end-1 stand at `scores`. */
export interface ProductTile {
  readonly outputs: readonly Local<"i32">[];
  readonly scores: Local<"i32">;
  readonly scorePitch: number;
  readonly begin: Local<"i32">;
  readonly end: Local<"i32">;
  /** Whether no earlier block wrote the output; undefined where there is one block only. */
  readonly isFirst: Expression<"i32"> | undefined;
  /** What this block's product is multiplied by, per row. */
  readonly scales: readonly Local<"v128">[];
  /** What the output of earlier blocks is multiplied by. */
  readonly decays: readonly Local<"v128">[];
}

/** The sums of a row scaled, and joined with what `earlier` reads from the output. */
export function summed(
  target: WasmTarget,
  body: BodyBuilder,
  tile: ProductTile,
  row: number,
  sums: readonly Local<"v128">[],
  earlier: (vector: number) => Expression<"v128">,
): void {
  const { isFirst } = tile;
  const [scale, decay] = [tile.scales[row], tile.decays[row]];
  if (!scale) return;
  for (const sum of sums) body.set(sum, f32x4.mul(sum, scale));
  if (isFirst === undefined || !decay) return;
  body.if(
    isFirst,
    () => undefined,
    () => sums.forEach((sum, vector) => body.set(sum, multiplyAdd(target, earlier(vector), decay, sum))),
  );
}
