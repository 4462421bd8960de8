/**
 * Weights of an integer depthwise convolution, as the kernels read them. "panels": eight channels each, the last panel
 * the last eight channels; bias as int32 [8], then slots of sixteen bytes, two taps of every channel side by side. Taps
 * are paired down the kernel's columns, two rows at a time; those of an odd last row along it, the last one with a zero.
 * "plain", where channels are taken one by one: bias as int32 [O], then weights [O][taps].
 */
import type { Tensor } from "../../../runtime/format/tensor.ts";
import type { Packed } from "../contract.ts";
import type { IntegerDepthwiseProblem } from "../problem.ts";
import { panelChannels } from "./variants.ts";

export type IntegerDepthwiseLayout = "panels" | "plain";

/** Bytes of one slot: two taps of eight channels. */
export const slotBytes = 2 * panelChannels;

export const layoutOf = ({ inputChannels, outputChannels }: IntegerDepthwiseProblem): IntegerDepthwiseLayout =>
  inputChannels === outputChannels && outputChannels >= panelChannels ? "panels" : "plain";

type Kernel = Pick<IntegerDepthwiseProblem, "kernelHeight" | "kernelWidth">;

/** Slots of a panel. */
const slotsOf = ({ kernelHeight, kernelWidth }: Kernel): number =>
  Math.floor(kernelHeight / 2) * kernelWidth + (kernelHeight % 2) * Math.ceil(kernelWidth / 2);

/** Bytes of a panel. */
export const panelBytesOf = (kernel: Kernel): number => 4 * panelChannels + slotBytes * slotsOf(kernel);

const panelsOf = (channels: number): number => Math.ceil(channels / panelChannels);

/** First channel of a panel. */
export const firstChannel = (panel: number, channels: number): number =>
  Math.min(panel * panelChannels, channels - panelChannels);

/** Slot of a tap, and which of the slot's two it is. */
function placeOf({ kernelHeight, kernelWidth }: Kernel, y: number, x: number): readonly [slot: number, half: number] {
  const paired = kernelHeight - (kernelHeight % 2);
  return y < paired
    ? [Math.floor(y / 2) * kernelWidth + x, y % 2]
    : [(paired / 2) * kernelWidth + Math.floor(x / 2), x % 2];
}

export function packIntegerDepthwise(
  problem: IntegerDepthwiseProblem,
  weights: Tensor,
  bias: Tensor | undefined,
): Packed {
  const { kernelHeight, kernelWidth, outputChannels } = problem;
  const taps = kernelHeight * kernelWidth;
  const weight = (channel: number, tap: number): number => Number(weights.data[channel * taps + tap]);
  const biasOf = (channel: number): number => Number(bias?.data[channel] ?? 0);
  if (layoutOf(problem) === "plain") {
    const bytes = new Uint8Array(Math.ceil((outputChannels * (4 + taps)) / 16) * 16);
    const view = new DataView(bytes.buffer);
    for (let channel = 0; channel < outputChannels; channel++) {
      view.setInt32(channel * 4, biasOf(channel), true);
      for (let tap = 0; tap < taps; tap++)
        view.setInt8(outputChannels * 4 + channel * taps + tap, weight(channel, tap));
    }
    return { bytes, unit: bytes.length };
  }
  const unit = panelBytesOf(problem);
  const panels = panelsOf(outputChannels);
  const bytes = new Uint8Array(panels * unit);
  const view = new DataView(bytes.buffer);
  for (let panel = 0; panel < panels; panel++) {
    for (let column = 0; column < panelChannels; column++) {
      const channel = firstChannel(panel, outputChannels) + column;
      view.setInt32(panel * unit + column * 4, biasOf(channel), true);
      for (let tap = 0; tap < taps; tap++) {
        const [slot, half] = placeOf(problem, Math.floor(tap / kernelWidth), tap % kernelWidth);
        const at = panel * unit + 4 * panelChannels + slot * slotBytes + column * 2 + half;
        view.setInt8(at, weight(channel, tap));
      }
    }
  }
  return { bytes, unit };
}
