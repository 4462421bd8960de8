/** The 16 matrix products of a Winograd convolution, over all tiles of a block. */
import type { BodyBuilder } from "../../assemble/body.ts";
import type { Expression, Local } from "../../assemble/expression.ts";
import { i32 } from "../../assemble/scalar.ts";
import type { WasmTarget } from "../../assemble/target.ts";
import { i32x4 } from "../../assemble/vector.ts";
import { emitMultiply, type PanelReader } from "./multiply.ts";
import { takeRows } from "./rows.ts";
import { pointGap, points, width } from "./winograd-tiles.ts";

/** Vectors of output channels in a panel. */
const vectors = width / 4;

export interface PointProducts {
  /** Tiles that are multiplied at a time. */
  readonly rows: number;
  readonly tiles: Local<"i32">;
  /** V[point][tile][channel], U[point][channel][8] and M[point][tile][8]; they move on. */
  readonly source: Local<"i32">;
  readonly kernel: Local<"i32">;
  readonly target: Local<"i32">;
  /** Bytes of a tile's channels in V, and of a point in U with its gap. */
  readonly channelBytes: Local<"i32">;
  readonly kernelBytes: Expression<"i32">;
  /** Words of a tile's channels. */
  readonly inner: Local<"i32">;
  readonly reader: PanelReader;
}

/** M[point][tile] = V[point] U[point]. A ragged last group of tiles repeats its last tile. */
export function emitPointProducts(
  body: BodyBuilder,
  wasm: WasmTarget,
  { rows, tiles, source, kernel, target, channelBytes, kernelBytes, inner, reader }: PointProducts,
): void {
  body.forRange(0, points, 1, () => {
    const left = body.local("i32", tiles);
    body.loop((again) => {
      const [sources = [], targets = []] = takeRows(body, rows, left, [
        { at: source, step: channelBytes },
        { at: target, step: width * 4 },
      ]);
      body.scope(() => {
        const sums = sources.map(() =>
          Array.from({ length: vectors }, () => body.local("v128", i32x4.const(0, 0, 0, 0))),
        );
        const weights = body.local("i32", kernel);
        emitMultiply(body, wasm, [sums], weights, sources, { inner }, reader);
        targets.forEach((address, i) => {
          sums[i]?.forEach((sum, j) => {
            body.v128Store(address, sum, { offset: j * 16 });
          });
        });
      });
      body.branchIf(again, i32.gtS(body.tee(left, i32.sub(left, rows)), 0));
    });
    for (const place of [source, target]) body.set(place, i32.add(place, pointGap));
    body.set(kernel, i32.add(kernel, kernelBytes));
  });
}
