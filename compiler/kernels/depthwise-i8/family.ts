/**
 * Depthwise convolutions of 8-bit integers over NHWC views with any image, row and pixel strides, read through a border
 * of the input's zero point. The range is rows of the output: batch * outputHeight.
 */
import type { DType } from "../../../runtime/format/dtype.ts";
import { byteSize } from "../../../runtime/format/dtype.ts";
import type { Tensor } from "../../../runtime/format/tensor.ts";
import { addDims, type Dim, multiplyDims } from "../../graph/dimension.ts";
import type { BoundStep, Buffer, Family, View } from "../contract.ts";
import { depthwiseOverheads } from "../depthwise/overheads.ts";
import { keyOf } from "../expression/memo.ts";
import { isVectorisable } from "../expression/vector.ts";
import type { IntegerDepthwiseProblem } from "../problem.ts";
import { windowHalo, windowWords } from "../tile/window.ts";
import { integerWord, operandWords } from "../tile/words.ts";
import { layoutOf, packIntegerDepthwise, panelBytesOf } from "./pack.ts";
import type { IntegerDepthwiseShape, PixelOperand } from "./shape.ts";
import { type IntegerDepthwiseVariant, integerDepthwiseVariants, panelChannels, unrolledTaps } from "./variants.ts";
import { emitIntegerDepthwise } from "./wasm.ts";
import { integerDepthwiseWgsl } from "./wgsl.ts";

const typesOf = ({ operandTypes }: IntegerDepthwiseProblem): readonly DType[] => ["int32", ...operandTypes];

export const integerDepthwiseFamily: Family<IntegerDepthwiseProblem, IntegerDepthwiseVariant> = {
  name: "depthwise-i8",
  variants: integerDepthwiseVariants,
  strided: true,
  accepts: ({ kernelWidths: [least, most] }, problem) =>
    problem.kernelWidth >= least &&
    problem.kernelWidth <= most &&
    (!problem.epilogue || isVectorisable(problem.epilogue, typesOf(problem))),
  work({ pixels }, problem, extent) {
    const width = extent(problem.outputWidth);
    const columns = width < pixels ? width : Math.ceil(width / pixels) * pixels;
    const channels = Math.ceil(problem.outputChannels / panelChannels) * panelChannels;
    const taps = problem.kernelHeight * problem.kernelWidth;
    return extent(problem.batch) * extent(problem.outputHeight) * columns * channels * taps;
  },
  overheads: ({ pixels }, problem, extent) => depthwiseOverheads(pixels, panelChannels, problem, extent),
  halo: (problem, index) => (index === 0 ? { ...windowHalo(problem), value: problem.padValue } : undefined),
  packedOperands: () => [1, 2],
  packKey: (_, problem) => layoutOf(problem),
  pack: (_, problem, [weights, bias]) => packIntegerDepthwise(problem, weights as Tensor, bias),
  bind: (variant, problem, [input, , , ...operands], outputs, packed) =>
    bindIntegerDepthwise(
      variant,
      problem,
      input as View,
      operands as readonly View[],
      outputs[0] as View,
      packed as Buffer,
    ),
};

/** How an operand, broadcast to the output's shape, follows it. */
function operandOf({ dtype, strides }: View): PixelOperand {
  const isSingle = strides[3] === 0;
  if (strides.slice(0, 3).every((stride) => stride === 0)) return { dtype, kind: isSingle ? "tensor" : "channel" };
  return { dtype, kind: isSingle ? "pixel" : "element" };
}

function bindIntegerDepthwise(
  variant: IntegerDepthwiseVariant,
  problem: IntegerDepthwiseProblem,
  input: View,
  operands: readonly View[],
  output: View,
  packed: Buffer,
): BoundStep {
  const { batch, outputHeight, outputWidth, outputChannels, kernelHeight, kernelWidth } = problem;
  const { strideWidth, dilationWidth, inputType, outputType } = problem;
  const [, inputRow, inputPixel] = input.strides as readonly [Dim, Dim, Dim, Dim];
  const named = [
    ...windowWords(problem, { input, packed, output }),
    integerWord("channels", outputChannels),
    integerWord("inputPixel", inputPixel),
    integerWord("rowPairs", Math.floor(kernelHeight / 2)),
    integerWord("kernelRow", multiplyDims(inputRow, problem.dilationHeight)),
    integerWord("tapStep", multiplyDims(inputPixel, dilationWidth)),
    integerWord("panelBytes", panelBytesOf(problem)),
    ...operandWords(operands),
  ];
  const shape: IntegerDepthwiseShape = {
    layout: layoutOf(problem),
    pixels: variant.pixels,
    row: kernelWidth <= unrolledTaps ? { taps: kernelWidth, stride: strideWidth, dilation: dilationWidth } : undefined,
    hasPairs: kernelHeight >= 2,
    hasOddRow: kernelHeight % 2 === 1,
    multiplier: outputChannels / problem.inputChannels,
    inputType,
    outputType,
    epilogue: problem.epilogue,
    operands: operands.map(operandOf),
    names: named.map(([name]) => name),
  };
  const outputs = multiplyDims(batch, outputHeight, outputWidth, outputChannels);
  const inputs = multiplyDims(batch, problem.inputHeight, problem.inputWidth, problem.inputChannels);
  const perOutput = operands.reduce((sum, { dtype }) => sum + byteSize[dtype], byteSize[outputType]);
  return {
    kernel: {
      key: `depthwise-i8 ${keyOf(shape)}`,
      name: `depthwise-i8 ${kernelHeight}x${kernelWidth} ${variant.name}`,
      emitWasm: (context) => emitIntegerDepthwise(context, shape),
      emitWgsl: () => integerDepthwiseWgsl(shape),
    },
    arguments: named.map(([, argument]) => argument),
    range: multiplyDims(batch, outputHeight),
    flops: multiplyDims(outputs, 2 * kernelHeight * kernelWidth),
    bytes: addDims(inputs, multiplyDims(outputs, perOutput), packed.bytes),
    invocations: outputs,
  };
}
