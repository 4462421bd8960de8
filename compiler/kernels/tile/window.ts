/** The border that convolutions read around their input. */
import type { Dim } from "../../graph/dimension.ts";
import { addDims, multiplyDims, subtractDims } from "../../graph/dimension.ts";
import type { Halo } from "../contract.ts";

interface Window {
  readonly inputHeight: Dim;
  readonly inputWidth: Dim;
  readonly outputHeight: Dim;
  readonly outputWidth: Dim;
  readonly kernelHeight: number;
  readonly kernelWidth: number;
  readonly strideHeight: number;
  readonly strideWidth: number;
  readonly dilationHeight: number;
  readonly dilationWidth: number;
  readonly padTop: number;
  readonly padLeft: number;
}

/** Zeros in front are the padding; behind, whatever the last window reaches. */
export function windowHalo(window: Window): Halo {
  const behind = (output: Dim, input: Dim, stride: number, reach: number, pad: number): number => {
    const last = subtractDims(addDims(multiplyDims(addDims(output, -1), stride), reach + 1 - pad), input);
    // With symbolic extents no window reaches further than its own length behind the image.
    return Math.max(0, typeof last === "number" ? last : reach);
  };
  const { kernelHeight, kernelWidth, dilationHeight, dilationWidth, padTop, padLeft } = window;
  return {
    top: Math.max(0, padTop),
    left: Math.max(0, padLeft),
    bottom: behind(
      window.outputHeight,
      window.inputHeight,
      window.strideHeight,
      (kernelHeight - 1) * dilationHeight,
      padTop,
    ),
    right: behind(
      window.outputWidth,
      window.inputWidth,
      window.strideWidth,
      (kernelWidth - 1) * dilationWidth,
      padLeft,
    ),
    value: 0,
  };
}
