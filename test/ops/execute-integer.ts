/** What the problems of integer products ask for, straight from the comments of compiler/kernels/problem.ts. */
import type { Problem } from "../../compiler/kernels/problem.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import { evaluateElementwise } from "../../runtime/reference/expression.ts";

export type IntegerProblem = Extract<Problem, { readonly inputBits: 7 | 8 }>;

const n = (dim: unknown): number => {
  if (typeof dim !== "number") throw new RangeError("the problem has a symbolic extent");
  return dim;
};

/** Shape and elements of the int32 accumulator, bias apart. */
function accumulate(problem: IntegerProblem, x: Tensor["data"], w: Tensor["data"]): readonly [number[], Int32Array] {
  if (problem.family === "matmul-i8") {
    const [rows, inner, columns] = [n(problem.batch) * n(problem.rows), n(problem.inner), n(problem.columns)];
    const sums = new Int32Array(rows * columns);
    for (let m = 0; m < rows; m++)
      for (let column = 0; column < columns; column++)
        for (let k = 0; k < inner; k++) {
          const weight = Number(w[problem.transposeB ? column * inner + k : k * columns + column]);
          sums[m * columns + column]! += Number(x[m * inner + k]) * weight;
        }
    return [[rows, columns], sums];
  }
  const { inputChannels, outputChannels, kernelHeight, kernelWidth } = problem;
  const [batch, height, width] = [n(problem.batch), n(problem.inputHeight), n(problem.inputWidth)];
  const shape = [batch, n(problem.outputHeight), n(problem.outputWidth), outputChannels];
  const groups = problem.family === "conv-i8" ? problem.groups : inputChannels;
  const [channels, filters] = [inputChannels / groups, outputChannels / groups];
  const sums = new Int32Array(shape.reduce((a, b) => a * b, 1));
  let index = 0;
  for (let image = 0; image < batch; image++)
    for (let y = 0; y < shape[1]!; y++)
      for (let column = 0; column < shape[2]!; column++)
        for (let filter = 0; filter < outputChannels; filter++, index++)
          for (let ky = 0; ky < kernelHeight; ky++)
            for (let kx = 0; kx < kernelWidth; kx++)
              for (let c = 0; c < channels; c++) {
                const row = y * problem.strideHeight - problem.padTop + ky * problem.dilationHeight;
                const place = column * problem.strideWidth - problem.padLeft + kx * problem.dilationWidth;
                const isInside = row >= 0 && row < height && place >= 0 && place < width;
                const source = Math.floor(filter / filters) * channels + c;
                const value = isInside
                  ? Number(x[((image * height + row) * width + place) * inputChannels + source])
                  : problem.padValue;
                const weight = Number(w[((filter * channels + c) * kernelHeight + ky) * kernelWidth + kx]);
                sums[index]! += value * weight;
              }
  return [shape, sums];
}

/** Operands as the problem lists them; the result has `shape`, or the problem's own. */
export function executeInteger(
  problem: IntegerProblem,
  [x, w, bias, ...operands]: readonly (Tensor | undefined)[],
  shape?: readonly number[],
): Tensor {
  const [own, sums] = accumulate(problem, x!.data, w!.data);
  const channels = own.at(-1)!;
  const data = bias ? sums.map((sum, index) => sum + Number(bias.data[index % channels])) : sums;
  const accumulator: Tensor = { dtype: "int32", shape: shape ?? own, data };
  return problem.epilogue ? evaluateElementwise(problem.epilogue, [accumulator, ...operands]) : accumulator;
}
