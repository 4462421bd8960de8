/**
 * Dense and grouped convolutions of int8 or uint8 views with any image, row and pixel strides by int8 weights, read
 * through a border of the input's zero point. The range is rows of the output, or of tiles of them, of the whole batch.
 */
import type { Tensor } from "../../../runtime/format/tensor.ts";
import { type Dim, multiplyDims, subtractDims } from "../../graph/dimension.ts";
import type { Buffer, Family, View } from "../contract.ts";
import type { IntegerConvProblem } from "../problem.ts";
import {
  bindIntegerProduct,
  type IntegerPlane,
  integerOverheads,
  integerScratchBytes,
  integerWork,
} from "../tile/bind-i8.ts";
import { hasFinish } from "../tile/finish-i8.ts";
import { panelWidth } from "../tile/multiply.ts";
import { borderBytes, windowHalo } from "../tile/window.ts";
import { hasIntegerWinograd } from "../tile/winograd-block-i8.ts";
import { packIntegerConv } from "./pack.ts";
import { type IntegerConvVariant, integerConvVariants } from "./variants.ts";

export const integerConvFamily: Family<IntegerConvProblem, IntegerConvVariant> = {
  name: "conv-i8",
  variants: integerConvVariants,
  strided: true,
  accepts: ({ winograd, overPanels }, problem) =>
    hasFinish(problem) && (!winograd || hasIntegerWinograd(problem)) && (!overPanels || isOnePixel(problem)),
  work: (variant, problem, extent) => integerWork(variant, problem, extent),
  overheads: (variant, problem, extent) => integerOverheads(variant, problem, extent),
  halo: (problem, index) => (index === 0 ? { ...windowHalo(problem), value: problem.padValue } : undefined),
  packedOperands: () => [1, 2],
  packKey: (variant, { groups, dilationWidth }) => `${panelWidth(variant)} ${groups} ${dilationWidth === 1}`,
  pack: (variant, problem, [weights, bias]) => packIntegerConv(problem, panelWidth(variant), weights as Tensor, bias),
  scratchBytes: (variant, problem) => integerScratchBytes(variant, problem),
  bind(variant, problem, [input, , , ...operands], [output], packed, scratch) {
    const { buffer, offset, strides } = input as View;
    const [image, row, pixel] = strides as readonly [Dim, Dim, Dim, Dim];
    return bindIntegerProduct({
      name: `conv-i8 ${problem.kernelHeight}x${problem.kernelWidth} ${variant.name}`,
      tile: variant,
      window: problem,
      input: { buffer, first: subtractDims(offset, borderBytes(problem, input as View)), image, row, pixel },
      output: planeOf(output as View),
      operands: (operands as readonly View[]).map(planeOf),
      packed: packed as Buffer,
      scratch: scratch as Buffer,
    });
  },
};

const isOnePixel = ({
  batch,
  outputHeight,
  outputWidth,
  kernelHeight,
  kernelWidth,
  groups,
}: IntegerConvProblem): boolean =>
  multiplyDims(batch, outputHeight, outputWidth) === 1 && kernelHeight === 1 && kernelWidth === 1 && groups === 1;

function planeOf(view: View): IntegerPlane {
  const [image, row, pixel] = view.strides as readonly [Dim, Dim, Dim, Dim];
  return { view, image, row, pixel };
}
