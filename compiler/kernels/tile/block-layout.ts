/**
 * Panels of int4 and nf4 weights, `width` output channels side by side: bias in float32 [width] if any, then run after run, a run
 * being the terms of a sum along which blocks lie (all of them in a product, the channels of one tap in a convolution).
 * A block: scales [width], zeros [width] as nibbles (padded to 4 bytes) where it has them, then nibbles [step][width], the
 * lower channel in the lower half of a byte, padded to 16 bytes. Only the last block of a run is short.
 */

import { addDims, type Dim } from "../../graph/dimension.ts";
import type { BlockForm, PlainStorage, StoredWeights } from "../problem.ts";
import { panelBytes, widePanelBytes } from "./panel.ts";

export interface BlockWeights extends BlockForm {
  readonly kind: "int4" | "nf4";
}

export function weightForm({ storage, blocks }: StoredWeights): PlainStorage | BlockWeights {
  if (storage !== "int4" && storage !== "nf4") return storage;
  if (!blocks) throw new RangeError(`${storage} weights without blocks`);
  return { kind: storage, ...blocks };
}

export interface BlockLayout {
  readonly scaleBytes: number;
  /** Where the zeros start in a block, and where the nibbles do. */
  readonly zeros: number;
  readonly head: number;
  /** Bytes of one step's nibbles. */
  readonly stepBytes: number;
  /** Bytes of a whole block. */
  readonly bytes: number;
}

export function blockLayout({ scaleType, zeros, size }: BlockForm, width: number): BlockLayout {
  const scaleBytes = scaleType === "float16" ? 2 : 4;
  const ofScales = width * scaleBytes;
  const head = ofScales + (zeros ? 4 * Math.ceil(width / 8) : 0);
  const stepBytes = width / 2;
  return { scaleBytes, zeros: ofScales, head, stepBytes, bytes: head + size * stepBytes };
}

/** Bytes in front of a panel's blocks. */
export const blockFront = ({ bias }: BlockForm, width: number): number => (bias ? 4 * width : 0);

/** Bytes of the blocks of one run of `run` steps. */
export function runBytes(form: BlockForm, width: number, run: number): number {
  const { head, stepBytes, bytes } = blockLayout(form, width);
  const rest = run % form.size;
  return Math.floor(run / form.size) * bytes + (rest > 0 ? head + Math.ceil((rest * stepBytes) / 16) * 16 : 0);
}

/** Bytes of a panel of `depth` steps, in runs of `run`. */
export function weightPanelBytes(weights: StoredWeights, width: number, depth: number, run: number): number {
  const form = weightForm(weights);
  if (typeof form === "string") return panelBytes(form, width, depth);
  return blockFront(form, width) + (depth / run) * runBytes(form, width, run);
}

/** Scratch for one panel widened to float32; 0 where it need not be. Blocks are widened past their end, 32 floats at a time. */
export function weightScratchBytes(weights: StoredWeights, width: number, depth: Dim): Dim {
  if (weights.storage === "float32") return 0;
  return addDims(widePanelBytes(width, depth), typeof weightForm(weights) === "string" ? 0 : 128);
}
