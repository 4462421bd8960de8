/** What a depthwise convolution does beside its products, for the cost table; of floats and of bytes alike. */
import type { Dim } from "../../graph/dimension.ts";
import type { DepthwiseProblem } from "../problem.ts";

type Window = Pick<
  DepthwiseProblem,
  "batch" | "outputHeight" | "outputWidth" | "outputChannels" | "kernelHeight" | "kernelWidth" | "strideWidth"
>;

/** Outputs, and the inputs that are read for them: neighbouring windows of a tile of `pixels` share theirs. */
export function depthwiseOverheads(
  pixels: number,
  panelChannels: number,
  window: Window,
  extent: (dim: Dim) => number,
): Readonly<Record<"outputs" | "inputs", number>> {
  const { outputChannels, kernelHeight, kernelWidth, strideWidth } = window;
  const rows = extent(window.batch) * extent(window.outputHeight);
  const width = extent(window.outputWidth);
  const side = width < pixels ? 1 : pixels;
  const tiles = rows * Math.ceil(width / side) * Math.ceil(outputChannels / panelChannels) * panelChannels;
  return { outputs: tiles * side, inputs: tiles * kernelHeight * ((side - 1) * strideWidth + kernelWidth) };
}
