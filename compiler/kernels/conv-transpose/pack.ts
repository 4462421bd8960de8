/** Weights [C, O/groups, kh, kw] in panels: [group][ceil(O/groups / width)] panels of [kh][kw][C/groups] steps (tile/panel.ts). */
import { LeafcutterError } from "../../../runtime/format/diagnostic.ts";
import type { Tensor } from "../../../runtime/format/tensor.ts";
import type { Storage } from "../../graph/graph.ts";
import type { Packed } from "../contract.ts";
import type { ConvTransposeProblem } from "../problem.ts";
import { packWeights } from "../tile/pack.ts";

export interface TransposeExtents {
  readonly channelsPerGroup: number;
  readonly filtersPerGroup: number;
  readonly panelsPerGroup: number;
  readonly depth: number;
}

export function transposeExtents(problem: ConvTransposeProblem, width: number): TransposeExtents {
  const channelsPerGroup = problem.inputChannels / problem.groups;
  const filtersPerGroup = problem.outputChannels / problem.groups;
  return {
    channelsPerGroup,
    filtersPerGroup,
    panelsPerGroup: Math.ceil(filtersPerGroup / width),
    depth: problem.kernelHeight * problem.kernelWidth * channelsPerGroup,
  };
}

export function packConvTranspose(
  problem: ConvTransposeProblem,
  width: number,
  weights: Tensor,
  bias: Tensor | undefined,
  storage: Storage | undefined,
): Packed {
  const { channelsPerGroup, filtersPerGroup, panelsPerGroup, depth } = transposeExtents(problem, width);
  if (storage?.kind === "int8" && storage.axis !== 1)
    throw new LeafcutterError({
      code: "internal",
      where: "weights of a transposed convolution",
      message: `int8 scales run along axis ${storage.axis}`,
      advice: "Report this model; scales of these weights must run along axis 1, the output channels.",
    });
  const taps = problem.kernelHeight * problem.kernelWidth;
  const values = weights.data as Float32Array;
  const source = {
    panels: problem.groups * panelsPerGroup,
    width,
    depth,
    run: channelsPerGroup,
    shape: weights.shape,
    channel: (panel: number, column: number): number | undefined => {
      const filter = (panel % panelsPerGroup) * width + column;
      return filter < filtersPerGroup ? Math.floor(panel / panelsPerGroup) * filtersPerGroup + filter : undefined;
    },
    values,
    index: (channel: number, k: number): number => {
      const group = Math.floor(channel / filtersPerGroup);
      const [tap, c] = [Math.floor(k / channelsPerGroup), k % channelsPerGroup];
      return ((group * channelsPerGroup + c) * filtersPerGroup + (channel % filtersPerGroup)) * taps + tap;
    },
    bias: (channel: number): number => Number(bias?.data[channel] ?? 0),
  };
  return packWeights(source, problem, storage, (channel) => channel % filtersPerGroup);
}
