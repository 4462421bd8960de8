/** Weights of an integer convolution in panels: [group][ceil(O/groups / width)] panels (tile/panel-i8.ts). */
import type { Tensor } from "../../../runtime/format/tensor.ts";
import type { Packed } from "../contract.ts";
import type { IntegerConvProblem } from "../problem.ts";
import { runsOf } from "../tile/bind-i8.ts";
import { packBytePanels } from "../tile/panel-i8.ts";

export function packIntegerConv(
  problem: IntegerConvProblem,
  width: number,
  weights: Tensor,
  bias: Tensor | undefined,
): Packed {
  const { groups, inputChannels, outputChannels, kernelHeight, kernelWidth } = problem;
  const channels = inputChannels / groups;
  const filters = outputChannels / groups;
  const panelsPerGroup = Math.ceil(filters / width);
  const taps = kernelHeight * kernelWidth;
  const { runs, length } = runsOf(problem);
  const values = weights.data as Int8Array;
  return packBytePanels({
    panels: groups * panelsPerGroup,
    width,
    runs,
    length,
    channel: (panel, column) => {
      const group = Math.floor(panel / panelsPerGroup);
      const filter = (panel % panelsPerGroup) * width + column;
      return filter < filters ? group * filters + filter : undefined;
    },
    weight: (channel, run, k) => {
      // Runs cover the taps in order, their channels innermost.
      const step = run * length + k;
      const [tap, c] = [Math.floor(step / channels), step % channels];
      return values[(channel * channels + c) * taps + tap] ?? 0;
    },
    bias: (channel) => Number(bias?.data[channel] ?? 0),
  });
}
