/** Weights of a depthwise convolution: a panel (tile/panel.ts) of [kh * kw] steps per four output channels. */
import type { Tensor } from "../../../runtime/format/tensor.ts";
import type { Storage } from "../../graph/graph.ts";
import type { Packed } from "../contract.ts";
import type { DepthwiseProblem } from "../problem.ts";
import { packPanels } from "../tile/panel.ts";
import { depthwiseWidth } from "./variants.ts";

export function packDepthwise(
  problem: DepthwiseProblem,
  weights: Tensor,
  bias: Tensor | undefined,
  storage: Storage | undefined,
): Packed {
  const taps = problem.kernelHeight * problem.kernelWidth;
  const values = weights.data as Float32Array;
  const scales = storage?.kind === "int8" ? storage.scales : undefined;
  return packPanels({
    panels: Math.ceil(problem.outputChannels / depthwiseWidth),
    width: depthwiseWidth,
    depth: taps,
    storage: problem.storage,
    channel: (panel, column) => {
      const channel = panel * depthwiseWidth + column;
      return channel < problem.outputChannels ? channel : undefined;
    },
    weight: (channel, k) => values[channel * taps + k] ?? 0,
    bias: (channel) => Number(bias?.data[channel] ?? 0),
    scale: (channel) => scales?.[channel] ?? 1,
  });
}
