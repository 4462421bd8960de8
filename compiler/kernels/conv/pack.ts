/** Weights of a convolution in panels: [group][ceil(O/groups / width)] panels of [kh][kw][C/groups] steps (tile/panel.ts). */
import type { Tensor } from "../../../runtime/format/tensor.ts";
import type { Storage } from "../../graph/graph.ts";
import type { Packed } from "../contract.ts";
import type { ConvProblem } from "../problem.ts";
import { packWeights } from "../tile/pack.ts";

export interface ConvExtents {
  readonly channelsPerGroup: number;
  readonly filtersPerGroup: number;
  readonly panelsPerGroup: number;
  /** Steps of a panel. */
  readonly depth: number;
}

export function convExtents(problem: ConvProblem, width: number): ConvExtents {
  const { groups, inputChannels, outputChannels, kernelHeight, kernelWidth } = problem;
  const channelsPerGroup = inputChannels / groups;
  const filtersPerGroup = outputChannels / groups;
  return {
    channelsPerGroup,
    filtersPerGroup,
    panelsPerGroup: Math.ceil(filtersPerGroup / width),
    depth: kernelHeight * kernelWidth * channelsPerGroup,
  };
}

export function packConv(
  problem: ConvProblem,
  width: number,
  weights: Tensor,
  bias: Tensor | undefined,
  storage: Storage | undefined,
): Packed {
  const { channelsPerGroup, filtersPerGroup, panelsPerGroup, depth } = convExtents(problem, width);
  const taps = problem.kernelHeight * problem.kernelWidth;
  const values = weights.data as Float32Array;
  const source = {
    panels: problem.groups * panelsPerGroup,
    width,
    depth,
    channel: (panel: number, column: number): number | undefined => {
      const group = Math.floor(panel / panelsPerGroup);
      const filter = (panel % panelsPerGroup) * width + column;
      return filter < filtersPerGroup ? group * filtersPerGroup + filter : undefined;
    },
    index: (channel: number, k: number): number => {
      const [tap, c] = [Math.floor(k / channelsPerGroup), k % channelsPerGroup];
      return (channel * channelsPerGroup + c) * taps + tap;
    },
    bias: (channel: number): number => Number(bias?.data[channel] ?? 0),
  };
  const { shape } = weights;
  return packWeights({ ...source, values, shape, run: channelsPerGroup }, problem, storage);
}
