/** The products of a section whose weights are int4 or nf4 in blocks: widened in registers, block by block. */
import type { BodyBuilder } from "../../assemble/body.ts";
import type { Expression, Local } from "../../assemble/expression.ts";
import { i32, minimumS } from "../../assemble/scalar.ts";
import type { WasmTarget } from "../../assemble/target.ts";
import { f32x4, v128 } from "../../assemble/vector.ts";
import {
  blockScales,
  codes,
  inPlace,
  interleaved,
  nibbles,
  placed,
  placedZeros,
  widened,
} from "../tile/block-lanes.ts";
import { type BlockWeights, blockLayout } from "../tile/block-layout.ts";
import { emitMultiply, type PanelReader } from "../tile/multiply.ts";

/** As emitMultiply over `depth` steps; `weights` stands at the section's start. */
export function emitBlocks(
  body: BodyBuilder,
  target: WasmTarget,
  blocks: BlockWeights,
  depth: number,
  sets: readonly (readonly (readonly Local<"v128">[])[])[],
  weights: Local<"i32">,
  pixels: readonly Local<"i32">[],
): void {
  const width = 4 * (sets[0]?.[0]?.length ?? 0);
  const { head } = blockLayout(blocks, width);
  const { size } = blocks;
  const block = (steps: Expression<"i32">): void =>
    body.scope(() => {
      const reader = readerOf(body, target, blocks, width, weights);
      body.set(weights, i32.add(weights, head));
      emitMultiply(body, target, sets, weights, pixels, { inner: steps }, reader);
    });
  if (depth <= size) return block(i32.const(depth));
  body.scope(() => {
    const left = body.local("i32", depth);
    body.loop((again) => {
      block(depth % size === 0 ? i32.const(size) : minimumS(left, size));
      body.branchIf(again, i32.gtS(body.tee(left, i32.sub(left, size)), 0));
    });
  });
}

/** Of the block at `weights`: what its steps share is loaded here. */
function readerOf(
  body: BodyBuilder,
  target: WasmTarget,
  blocks: BlockWeights,
  width: number,
  weights: Local<"i32">,
): PanelReader {
  const stored = blockScales(body, blocks, width, weights);
  const stepBytes = width / 2;
  if (blocks.kind === "int4") {
    const zeros = placedZeros(body, blocks, width, weights);
    const scales = stored.map((scale) => body.local("v128", placed(scale)));
    return {
      stepBytes,
      read: (at, offset) =>
        scales.map((scale, j) => f32x4.mul(f32x4.sub(inPlace(at, offset + 2 * j), zeros[j] ?? scale), scale)),
    };
  }
  return {
    stepBytes,
    read: (at, offset) => {
      const bytes = stepBytes <= 4 ? v128.load32Zero(at, { offset }) : v128.load64Zero(at, { offset });
      const [low, high] = nibbles(body, bytes);
      const lanes = codes(body, target, interleaved(low, high, 0)).flatMap(widened);
      return stored.map((scale, j) => f32x4.mul(lanes[j] ?? scale, scale));
    },
  };
}
