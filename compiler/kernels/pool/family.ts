/**
 * Pooling of NHWC views with any strides but contiguous channels. Windows are clipped at the borders, so no
 * padding is stored. Words: addresses of input and output, channels, extents, byte strides, counted extents.
 */
import { byteSize } from "../../../runtime/format/dtype.ts";
import { expressionType } from "../../../runtime/format/expression.ts";
import { addDims, multiplyDims } from "../../graph/dimension.ts";
import type { BoundStep, Family, View } from "../contract.ts";
import { isApplicable } from "../expression/apply.ts";
import { keyOf } from "../expression/memo.ts";
import type { PoolProblem } from "../problem.ts";
import type { PoolShape } from "./shape.ts";
import { poolVariants } from "./variants.ts";
import { emitPool } from "./wasm.ts";
import { poolWgsl } from "./wgsl.ts";

/** Everything that the code depends on. */
function shapeOf(problem: PoolProblem): PoolShape {
  const { dtype, mode, countIncludePad, norm, epilogue } = problem;
  const { kernelHeight, kernelWidth, strideHeight, strideWidth, dilationHeight, dilationWidth, padTop, padLeft } =
    problem;
  return {
    dtype,
    mode,
    countIncludePad: mode === "average" && countIncludePad,
    norm: mode === "lp" ? norm : 0,
    epilogue,
    vertical: { kernel: kernelHeight, stride: strideHeight, dilation: dilationHeight, pad: padTop },
    horizontal: { kernel: kernelWidth, stride: strideWidth, dilation: dilationWidth, pad: padLeft },
  };
}

function bind(problem: PoolProblem, input: View, output: View): BoundStep {
  const shape = shapeOf(problem);
  const { batch, inputHeight, inputWidth, outputHeight, outputWidth, channels } = problem;
  const outputs = multiplyDims(batch, outputHeight, outputWidth, channels);
  const inputs = multiplyDims(batch, inputHeight, inputWidth, channels);
  const integers = [
    channels,
    inputHeight,
    inputWidth,
    outputHeight,
    outputWidth,
    ...input.strides.slice(0, 3),
    ...output.strides.slice(0, 3),
    problem.countedHeight,
    problem.countedWidth,
  ];
  return {
    kernel: {
      key: `pool ${keyOf(shape)}`,
      name: `pool ${problem.mode}${problem.dtype === "float32" ? "" : ` ${problem.dtype}`} ${problem.kernelHeight}x${problem.kernelWidth}`,
      emitWasm: (context) => emitPool(context, shape),
      emitWgsl: () => poolWgsl(shape),
    },
    arguments: [
      { kind: "address", buffer: input.buffer, offset: input.offset, access: "read" },
      { kind: "address", buffer: output.buffer, offset: output.offset, access: "write" },
      ...integers.map((value) => ({ kind: "integer", value }) as const),
    ],
    range: multiplyDims(batch, outputHeight),
    flops: multiplyDims(outputs, problem.kernelHeight * problem.kernelWidth),
    bytes: multiplyDims(addDims(inputs, outputs), byteSize[problem.dtype]),
    invocations: outputs,
  };
}

/** A vector's worth of bytes takes the time of one of four floats. */
const workChannels = ({ dtype, channels }: PoolProblem): number =>
  dtype === "float32" || channels < 8 ? Math.ceil(channels / 4) * 4 : Math.ceil(channels / 16) * 4;

export const poolFamily: Family<PoolProblem> = {
  name: "pool",
  variants: poolVariants,
  strided: true,
  accepts: (_, { dtype, mode, epilogue }) =>
    dtype === "float32"
      ? isApplicable(epilogue, 1) && (!epilogue || expressionType(epilogue, ["float32"]) === "float32")
      : mode === "max" && !epilogue,
  work: (_, problem, extent) =>
    extent(problem.batch) *
    extent(problem.outputHeight) *
    extent(problem.outputWidth) *
    workChannels(problem) *
    Math.min(problem.kernelHeight, extent(problem.inputHeight)) *
    Math.min(problem.kernelWidth, extent(problem.inputWidth)),
  overheads: (_, problem, extent) => ({
    outputs: extent(problem.batch) * extent(problem.outputHeight) * extent(problem.outputWidth) * workChannels(problem),
  }),
  packedOperands: () => [],
  bind: (_, problem, operands, outputs) => bind(problem, operands[0] as View, outputs[0] as View),
};
