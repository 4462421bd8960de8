/**
 * Depthwise convolutions over NHWC views with any image, row and pixel strides, read through a border of zeros.
 * The range is rows of the output: batch * outputHeight.
 */

import type { Tensor } from "../../../runtime/format/tensor.ts";
import { addDims, type Dim, multiplyDims } from "../../graph/dimension.ts";
import type { BoundStep, Buffer, Family, View } from "../contract.ts";
import { keyOf } from "../expression/memo.ts";
import type { DepthwiseProblem } from "../problem.ts";
import { epilogueForm, isEpilogue } from "../tile/finish.ts";
import { panelBytes } from "../tile/panel.ts";
import { quad } from "../tile/wgsl.ts";
import { windowHalo, windowWords } from "../tile/window.ts";
import { integerWord, operandWords } from "../tile/words.ts";
import { depthwiseOverheads } from "./overheads.ts";
import { packDepthwise } from "./pack.ts";
import { type DepthwiseVariant, depthwiseVariants, depthwiseWidth } from "./variants.ts";
import { type DepthwiseShape, emitDepthwise } from "./wasm.ts";
import { depthwiseWgsl } from "./wgsl.ts";

const tapsOf = (problem: DepthwiseProblem): number => problem.kernelHeight * problem.kernelWidth;
const widePanel = (problem: DepthwiseProblem): number => panelBytes("float32", depthwiseWidth, tapsOf(problem));

export const depthwiseFamily: Family<DepthwiseProblem, DepthwiseVariant> = {
  name: "depthwise",
  variants: depthwiseVariants,
  strided: true,
  accepts: (_, problem) => isEpilogue(problem.epilogue, problem.epilogueOperands),
  work({ pixels }, problem, extent) {
    const width = extent(problem.outputWidth);
    const columns = width < pixels ? width : Math.ceil(width / pixels) * pixels;
    const channels = Math.ceil(problem.outputChannels / depthwiseWidth) * depthwiseWidth;
    return extent(problem.batch) * extent(problem.outputHeight) * columns * channels * tapsOf(problem);
  },
  overheads: ({ pixels }, problem, extent) => depthwiseOverheads(pixels, depthwiseWidth, problem, extent),
  halo: (problem, index) => (index === 0 ? windowHalo(problem) : undefined),
  packedOperands: () => [1, 2],
  packKey: (_, { storage }) => storage,
  pack: (_, problem, [weights, bias], [storage]) => packDepthwise(problem, weights as Tensor, bias, storage),
  scratchBytes: (_, problem) =>
    problem.storage === "float32" ? 0 : widePanel(problem) * Math.ceil(problem.outputChannels / depthwiseWidth),
  bind: (variant, problem, [input, , , ...operands], outputs, packed, scratch) =>
    bindDepthwise(
      variant,
      problem,
      input as View,
      operands as readonly View[],
      outputs[0] as View,
      packed as Buffer,
      scratch,
    ),
};

function bindDepthwise(
  variant: DepthwiseVariant,
  problem: DepthwiseProblem,
  input: View,
  operands: readonly View[],
  output: View,
  packed: Buffer,
  scratch: Buffer | undefined,
): BoundStep {
  const { batch, outputHeight, outputWidth, outputChannels, kernelHeight, kernelWidth, storage } = problem;
  const { strideWidth, dilationWidth } = problem;
  const [, inputRow, inputPixel] = input.strides as readonly [Dim, Dim, Dim, Dim];
  const named = [
    ...windowWords(problem, { input, packed, output, scratch }),
    integerWord("channels", outputChannels),
    integerWord("inputPixel", inputPixel),
    integerWord("kernelRow", multiplyDims(inputRow, problem.dilationHeight)),
    integerWord("tapStep", multiplyDims(inputPixel, dilationWidth)),
    integerWord("taps", tapsOf(problem)),
    integerWord("panelBytes", panelBytes(storage, depthwiseWidth, tapsOf(problem))),
    integerWord("widePanelBytes", widePanel(problem)),
    ...operandWords(operands),
  ];
  const shape: DepthwiseShape = {
    pixels: variant.pixels,
    vectors: variant.vectors,
    row:
      kernelWidth <= variant.unrolledTaps
        ? { taps: kernelWidth, stride: strideWidth, dilation: dilationWidth }
        : undefined,
    multiplier: outputChannels / problem.inputChannels,
    storage,
    epilogue: problem.epilogue,
    form: epilogueForm(problem.epilogue, operands.length),
    operandChannels: operands.map((view) => (view.strides[3] === 0 ? "single" : "contiguous")),
    names: named.map(([name]) => name),
  };
  const outputs = multiplyDims(batch, outputHeight, outputWidth, outputChannels);
  const inputs = multiplyDims(batch, problem.inputHeight, problem.inputWidth, problem.inputChannels);
  const floats = addDims(inputs, multiplyDims(outputs, 1 + operands.length));
  return {
    kernel: {
      key: `depthwise ${keyOf(shape)}`,
      name: `depthwise ${kernelHeight}x${kernelWidth} ${variant.name} ${storage}`,
      emitWasm: (context) => emitDepthwise(context, shape),
      emitWgsl: () => depthwiseWgsl(shape),
    },
    arguments: named.map(([, argument]) => argument),
    range: multiplyDims(batch, outputHeight),
    flops: multiplyDims(outputs, 2 * tapsOf(problem)),
    bytes: addDims(multiplyDims(floats, 4), packed.bytes),
    invocations: multiplyDims(batch, outputHeight, outputWidth, Math.ceil(outputChannels / quad)),
  };
}
