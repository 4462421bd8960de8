/** The windows of convolutions: the border that they read around their input, and the words of a record that walk them. */
import type { Dim } from "../../graph/dimension.ts";
import { addDims, multiplyDims, subtractDims } from "../../graph/dimension.ts";
import type { Buffer, Halo, View } from "../contract.ts";
import { addressWord, integerWord, type NamedArguments } from "./words.ts";

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

/** What a convolution reads and writes; views are NHWC. */
export interface WindowViews {
  readonly input: View;
  readonly packed: Buffer;
  readonly output: View;
  readonly scratch?: Buffer | undefined;
}

/** Bytes from the first pixel of a window to the input's first pixel. */
export function borderBytes({ padTop, padLeft }: Window, { strides }: View): Dim {
  const [, row, pixel] = strides as readonly [Dim, Dim, Dim, Dim];
  return addDims(multiplyDims(row, padTop), multiplyDims(pixel, padLeft));
}

/**
 * "input" is the first window's first pixel; "inputImage", "inputRowStep" and "inputStep" lead from there to other windows,
 * "outputImage", "outputRow" and "outputPixel" to their results.
 */
export function windowWords(window: Window, { input, packed, output, scratch }: WindowViews): NamedArguments {
  const [inputImage, inputRow, inputPixel] = input.strides as readonly [Dim, Dim, Dim, Dim];
  const [outputImage, outputRow, outputPixel] = output.strides as readonly [Dim, Dim, Dim, Dim];
  const first = subtractDims(input.offset, borderBytes(window, input));
  return [
    addressWord("input", { buffer: input.buffer, offset: first }, "read"),
    addressWord("weights", { buffer: packed, offset: 0 }, "read"),
    addressWord("output", output, "write"),
    ...(scratch ? [addressWord("scratch", { buffer: scratch, offset: 0 }, "scratch")] : []),
    integerWord("outputHeight", window.outputHeight),
    integerWord("outputWidth", window.outputWidth),
    integerWord("inputImage", inputImage),
    integerWord("inputRowStep", multiplyDims(inputRow, window.strideHeight)),
    integerWord("inputStep", multiplyDims(inputPixel, window.strideWidth)),
    integerWord("outputImage", outputImage),
    integerWord("outputRow", outputRow),
    integerWord("outputPixel", outputPixel),
    integerWord("kernelHeight", window.kernelHeight),
    integerWord("kernelWidth", window.kernelWidth),
  ];
}
