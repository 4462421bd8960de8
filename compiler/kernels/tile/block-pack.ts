/** Packs int4 and nf4 weights into the panels of block-layout.ts. */
import { numberToFloat16 } from "../../../runtime/format/half.ts";
import { blockIndex, quantised, symmetricZero } from "../../graph/blocks.ts";
import type { BlockStorage } from "../../graph/graph.ts";
import type { Packed } from "../contract.ts";
import { type BlockWeights, blockFront, blockLayout, runBytes, weightPanelBytes } from "./block-layout.ts";

export interface BlockPanelSource {
  readonly weights: BlockWeights;
  readonly storage: BlockStorage;
  /** The constant, rounded to `storage`. */
  readonly values: Float32Array;
  readonly shape: readonly number[];
  readonly panels: number;
  readonly width: number;
  readonly depth: number;
  readonly run: number;
  /** Output channel of a panel's column, or undefined behind the last one. */
  channel(panel: number, column: number): number | undefined;
  /** Index in `values`. */
  index(channel: number, k: number): number;
  bias(channel: number): number;
}

export function packBlockPanels(source: BlockPanelSource): Packed {
  const { weights, storage, values, panels, width, depth, run } = source;
  const { kind, size, scaleType } = weights;
  const layout = blockLayout(weights, width);
  const front = blockFront(weights, width);
  const unit = weightPanelBytes({ storage: kind, blocks: weights }, width, depth, run);
  const ofRun = runBytes(weights, width, run);
  const bytes = new Uint8Array(panels * unit);
  const view = new DataView(bytes.buffer);
  const blockOf = blockIndex(source.shape, storage);
  const putNibble = (row: number, column: number, value: number): void => {
    const at = row + (column >> 1);
    bytes[at] = (bytes[at] as number) | (value << (4 * (column & 1)));
  };
  for (let panel = 0; panel < panels; panel++)
    for (let column = 0; column < width; column++) {
      const channel = source.channel(panel, column);
      if (channel === undefined) continue;
      if (weights.bias) view.setFloat32(panel * unit + column * 4, source.bias(channel), true);
      for (let k = 0; k < depth; k++) {
        const index = source.index(channel, k);
        const block = blockOf(index);
        const scale = storage.scales[block] ?? 0;
        const zero = storage.zeros?.[block] ?? symmetricZero;
        const step = (k % run) % size;
        const place = panel * unit + front + Math.floor(k / run) * ofRun + Math.floor((k % run) / size) * layout.bytes;
        if (step === 0) {
          if (scaleType === "float16") view.setUint16(place + column * 2, numberToFloat16(scale), true);
          else view.setFloat32(place + column * 4, scale, true);
          if (weights.zeros) putNibble(place + layout.zeros, column, zero);
        }
        putNibble(
          place + layout.head + step * layout.stepBytes,
          column,
          quantised(kind, values[index] ?? 0, scale, zero),
        );
      }
    }
  return { bytes, unit };
}
