/**
 * Panels of int8 weights for int8 or uint8 activations: bias int32 [width], then four consecutive k of each column side by
 * side, [quads][width][4]. k falls into runs (what a pixel's pointer walks without a jump), each padded with zeros to
 * whole quads: what is read behind a run does not count. A relaxed dot takes quads as they are; elsewhere a panel is
 * first widened to pairs of int16, [pairs][width][2], in scratch.
 */
import type { Expression, FunctionReference } from "../../assemble/expression.ts";
import { i32 } from "../../assemble/scalar.ts";
import { i8x16, i16x8, i32x4, v128 } from "../../assemble/vector.ts";
import type { Packed, WasmKernelContext } from "../contract.ts";
import type { PanelReader } from "./multiply.ts";

/** How the k of a column lie in a panel. */
export interface Runs {
  readonly runs: number;
  /** k of one run. */
  readonly length: number;
}

const quadsOf = (length: number): number => Math.ceil(length / 4);
/** Words that a pixel's pointer walks in one run of int16. */
export const pairsOf = (length: number): number => Math.ceil(length / 2);

export const bytePanelBytes = (width: number, { runs, length }: Runs): number =>
  width * 4 * (1 + runs * quadsOf(length));

/** Bytes of a panel widened to int16. */
export const pairPanelBytes = (width: number, { runs, length }: Runs): number =>
  width * 4 * (1 + runs * pairsOf(length));

export interface BytePanels extends Runs {
  readonly panels: number;
  readonly width: number;
  /** Output channel of a panel's column, or undefined behind the last one. */
  channel(panel: number, column: number): number | undefined;
  /** Weight of step `k` in `run`. */
  weight(channel: number, run: number, k: number): number;
  bias(channel: number): number;
}

export function packBytePanels(source: BytePanels): Packed {
  const { panels, width, runs, length } = source;
  const unit = bytePanelBytes(width, source);
  const bytes = new Uint8Array(panels * unit);
  const view = new DataView(bytes.buffer);
  for (let panel = 0; panel < panels; panel++)
    for (let column = 0; column < width; column++) {
      const channel = source.channel(panel, column);
      if (channel === undefined) continue;
      view.setInt32(panel * unit + column * 4, source.bias(channel), true);
      for (let run = 0; run < runs; run++) {
        const first = panel * unit + width * 4 * (1 + run * quadsOf(length)) + column * 4;
        for (let k = 0; k < length; k++)
          view.setInt8(first + Math.floor(k / 4) * width * 4 + (k % 4), source.weight(channel, run, k));
      }
    }
  return { bytes, unit };
}

/** The pairs (k, k + 1) of four columns in the lower half, (k + 2, k + 3) in the upper. */
export const pairsFirst = [0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15];

/** Function (panel, scratch, runs, pairs per run) that widens a panel of `width` columns to int16. */
export function widenBytePanel(
  context: WasmKernelContext,
  width: number,
): FunctionReference<readonly ["i32", "i32", "i32", "i32"], readonly []> {
  const key = `widen bytes ${width}`;
  return context.shared(key, () =>
    context.module.function(
      key.replaceAll(" ", "_"),
      { params: ["i32", "i32", "i32", "i32"], results: [] },
      (body, panel, to, runs, pairs) => {
        const vectors = width / 4;
        for (let j = 0; j < vectors; j++) body.v128Store(to, v128.load(panel, { offset: j * 16 }), { offset: j * 16 });
        const next = (): void => {
          body.set(panel, i32.add(panel, width * 4));
          body.set(to, i32.add(to, width * 4));
        };
        const both = body.local("i32", i32.sub(pairs, 1));
        next();
        body.forRange(0, runs, 1, () => {
          body.forRange(0, both, 2, () => {
            for (let j = 0; j < vectors; j++) {
              const quads = body.local("v128", v128.load(panel, { offset: j * 16 }));
              const ordered = body.local("v128", i8x16.shuffle(quads, quads, pairsFirst));
              body.v128Store(to, i16x8.extendLowI8x16S(ordered), { offset: j * 16 });
              body.v128Store(to, i16x8.extendHighI8x16S(ordered), { offset: (vectors + j) * 16 });
            }
            next();
            body.set(to, i32.add(to, width * 4));
          });
          // The second pair of a run's last quad may be padding alone.
          body.if(i32.and(pairs, 1), () => {
            for (let j = 0; j < vectors; j++) {
              const quads = body.local("v128", v128.load(panel, { offset: j * 16 }));
              const ordered = i8x16.shuffle(quads, quads, pairsFirst);
              body.v128Store(to, i16x8.extendLowI8x16S(ordered), { offset: j * 16 });
            }
            next();
          });
        });
      },
    ),
  ) as FunctionReference<readonly ["i32", "i32", "i32", "i32"], readonly []>;
}

const columns = (vectors: number) => (weights: Expression<"i32">, offset: number) =>
  Array.from({ length: vectors }, (_, j) => v128.load(weights, { offset: offset + j * 16, align: 16 }));

/** Widened panels by pixels of int16: two k a step. */
export const pairReader = (vectors: number): PanelReader => ({
  stepBytes: vectors * 16,
  read: columns(vectors),
  multiplyAdd: (x, w, sum) => i32x4.add(sum, i32x4.dotI16x8S(x, w)),
});

/** Panels as they are stored by pixels of bytes in 0..127: four k a step, exactly, on targets with a relaxed dot. */
export const quadReader = (vectors: number): PanelReader => ({
  stepBytes: vectors * 16,
  read: columns(vectors),
  multiplyAdd: (x, w, sum) => i32x4.relaxedDotI8x16I7x16AddS(w, x, sum),
});
