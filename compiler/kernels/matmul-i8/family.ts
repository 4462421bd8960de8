/**
 * Products of dense int8 or uint8 rows by a constant int8 matrix: an integer convolution of one column, its rows those of A.
 * The range is rows of A (batch * rows), or panels of B for the few-row variants. Epilogue operands follow the output, repeat along
 * its leading axes, or have one value for each row.
 */
import { byteSize } from "../../../runtime/format/dtype.ts";
import type { Tensor } from "../../../runtime/format/tensor.ts";
import { type Dim, multiplyDims, productOf } from "../../graph/dimension.ts";
import type { Buffer, Family, View } from "../contract.ts";
import type { IntegerMatmulProblem } from "../problem.ts";
import {
  bindIntegerProduct,
  type IntegerPlane,
  type IntegerWindow,
  integerOverheads,
  integerScratchBytes,
  integerWork,
} from "../tile/bind-i8.ts";
import { hasFinish } from "../tile/finish-i8.ts";
import { panelWidth } from "../tile/multiply.ts";
import { packIntegerMatmul } from "./pack.ts";
import { type IntegerMatmulVariant, integerMatmulVariants } from "./variants.ts";

export const integerMatmulFamily: Family<IntegerMatmulProblem, IntegerMatmulVariant> = {
  name: "matmul-i8",
  variants: integerMatmulVariants,
  strided: false,
  accepts: ({ rows, overPanels }, problem) =>
    hasFinish(problem) &&
    typeof problem.inner === "number" &&
    typeof problem.columns === "number" &&
    (!overPanels || multiplyDims(problem.batch, problem.rows) === rows),
  work: (variant, problem, extent) => integerWork(variant, windowOf(problem), extent),
  overheads: (variant, problem, extent) => integerOverheads(variant, windowOf(problem), extent),
  packedOperands: () => [1, 2],
  packKey: (variant, { transposeB }) => `${panelWidth(variant)} ${transposeB}`,
  pack: (variant, problem, [b, bias]) => packIntegerMatmul(problem, panelWidth(variant), b as Tensor, bias),
  scratchBytes: (variant, problem) => integerScratchBytes(variant, windowOf(problem)),
  bind(variant, problem, [a, , , ...operands], [output], packed, scratch) {
    const { buffer, offset } = a as View;
    const target = output as View;
    return bindIntegerProduct({
      name: `matmul-i8 ${variant.name}`,
      tile: variant,
      window: windowOf(problem),
      input: { buffer, first: offset, image: 0, row: problem.inner, pixel: problem.inner },
      output: planeOf(target, problem.columns, problem.outputType),
      operands: (operands as readonly View[]).map((view, k) =>
        planeOf(view, problem.columns, problem.operandTypes[k] ?? "float32"),
      ),
      packed: packed as Buffer,
      scratch: scratch as Buffer,
    });
  },
};

/** Rows of A as the rows of one image of one column. */
function windowOf(problem: IntegerMatmulProblem): IntegerWindow {
  const { inputType, inputBits, epilogue, operandTypes, outputType } = problem;
  const single = { kernelHeight: 1, kernelWidth: 1, strideHeight: 1, strideWidth: 1 };
  return {
    ...{ inputType, inputBits, epilogue, operandTypes, outputType, ...single },
    batch: 1,
    outputHeight: multiplyDims(problem.batch, problem.rows),
    outputWidth: 1,
    dilationHeight: 1,
    dilationWidth: 1,
    padTop: 0,
    padLeft: 0,
    groups: 1,
    inputChannels: problem.inner as number,
    outputChannels: problem.columns as number,
  };
}

/** Rows after which a view (broadcast to the output's shape) starts again, and the bytes between them. */
function planeOf(view: View, columns: Dim, dtype: keyof typeof byteSize): IntegerPlane {
  const leading = view.shape.slice(0, -1);
  const repeated = leading.findLastIndex((extent, axis) => extent !== 1 && view.strides[axis] === 0);
  const period = productOf(leading.slice(repeated + 1));
  const isSingle = view.strides.at(-1) === 0;
  const step = period === 1 ? 0 : multiplyDims(isSingle ? 1 : columns, byteSize[dtype]);
  return { view, image: 0, row: step, pixel: step, period };
}
