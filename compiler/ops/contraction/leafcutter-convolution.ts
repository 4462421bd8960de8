/**
 * leafcutter.Conv and leafcutter.ConvTranspose: canonical two-dimensional convolutions over [N, H, W, C] with explicit
 * padding. Lowered to the families conv, depthwise and conv-transpose when the weights are constant.
 */
import { leafcutterConv, leafcutterConvTranspose } from "../../../runtime/reference/leafcutter-conv.ts";
import { dimsOf, integerOf, integersOf } from "../../graph/attribute.ts";
import { type Dim, multiplyDims } from "../../graph/dimension.ts";
import type { Problem } from "../../kernels/problem.ts";
import { defineOperator, type Lowering, type OperatorContext, sumTolerance } from "../operator.ts";
import {
  epilogueFits,
  epilogueOf,
  firstOutput,
  inputOperand,
  optionalOperand,
  plainStorageOf,
  stepsOf,
  weightsOf,
} from "./operands.ts";
import { resolveTransposedWindow, resolveWindow, type WindowAxis, weightKernelOf } from "./window.ts";

function spatialOf(context: OperatorContext): readonly Dim[] {
  const { shape } = context.type(0);
  if (shape.length !== 4) context.fail("the input must be [N, H, W, C]", "rank 4", `rank ${shape.length}`);
  return shape.slice(1, 3);
}

const convAxes = (context: OperatorContext): readonly WindowAxis[] =>
  resolveWindow(context, spatialOf(context), weightKernelOf(context));

/** `outputShape` overrides what follows from the padding. */
function transposedAxes(context: OperatorContext): readonly WindowAxis[] {
  const extents = dimsOf(context.node, "outputShape") ?? integersOf(context.node, "outputShape");
  const axes = resolveTransposedWindow(context, spatialOf(context), weightKernelOf(context));
  return axes.map((window, axis) => ({ ...window, output: extents?.[axis] ?? window.output }));
}

/** The extents of a family's problem; undefined when a padding is symbolic. */
export function problemWindow(batch: Dim, axes: readonly WindowAxis[]) {
  const [vertical, horizontal] = axes;
  if (!vertical || !horizontal || typeof vertical.padBefore !== "number" || typeof horizontal.padBefore !== "number")
    return undefined;
  return {
    batch,
    inputHeight: vertical.input,
    inputWidth: horizontal.input,
    outputHeight: vertical.output,
    outputWidth: horizontal.output,
    kernelHeight: vertical.kernel,
    kernelWidth: horizontal.kernel,
    strideHeight: vertical.stride,
    strideWidth: horizontal.stride,
    dilationHeight: vertical.dilation,
    dilationWidth: horizontal.dilation,
    padTop: vertical.padBefore,
    padLeft: horizontal.padBefore,
  };
}

function lowerTo(context: OperatorContext, axes: readonly WindowAxis[], transposed: boolean): Lowering | undefined {
  const [batch = 1, , , inputChannels] = context.type(0).shape;
  const [first, second] = context.type(1).shape;
  const groups = integerOf(context.node, "group", 1);
  const outputChannels = transposed ? multiplyDims(second ?? 1, groups) : first;
  const window = problemWindow(batch, axes);
  const constantParameters = context.constant(1) && (!context.has(2) || context.constant(2));
  if (!window || !constantParameters || typeof inputChannels !== "number" || typeof outputChannels !== "number")
    return undefined;
  if (context.type(0).dtype !== "float32") return undefined;
  if (!epilogueFits(context, 3, [batch, window.outputHeight, window.outputWidth, outputChannels])) return undefined;
  const { operands, ...epilogue } = epilogueOf(context, 3);
  const common = { ...window, inputChannels, outputChannels, ...epilogue };
  const depthwise = !transposed && groups === inputChannels && groups > 1;
  const problemOf = (): Problem => {
    if (depthwise) return { family: "depthwise", ...common, storage: plainStorageOf(context, 1, 0) };
    if (!transposed) return { family: "conv", groups, ...common, ...weightsOf(context, 1, { channels: 0, terms: 1 }) };
    // With groups an output channel is no single index of one axis, and blocks may belong to two groups.
    const stored =
      groups === 1
        ? weightsOf(context, 1, { channels: 1, terms: 0 })
        : { storage: plainStorageOf(context, 1, undefined) };
    return { family: "conv-transpose", groups, ...common, ...stored };
  };
  return stepsOf({
    kind: "family",
    problem: problemOf(),
    operands: [inputOperand(0), inputOperand(1), optionalOperand(context, 2), ...operands],
    outputs: [firstOutput],
  });
}

const outputType = (context: OperatorContext, axes: readonly WindowAxis[], channels: Dim) => [
  {
    dtype: context.type(0).dtype,
    shape: [context.type(0).shape[0] ?? 1, ...axes.map(({ output }) => output), channels],
  },
];

export const leafcutterConvOperator = defineOperator({
  op: "leafcutter.Conv",
  infer: (context) => outputType(context, convAxes(context), context.type(1).shape[0] ?? 1),
  reference: leafcutterConv,
  lower: (context) => lowerTo(context, convAxes(context), false),
  tolerance: sumTolerance,
});

export const leafcutterConvTransposeOperator = defineOperator({
  op: "leafcutter.ConvTranspose",
  infer: (context) =>
    outputType(
      context,
      transposedAxes(context),
      multiplyDims(context.type(1).shape[1] ?? 1, integerOf(context.node, "group", 1)),
    ),
  reference: leafcutterConvTranspose,
  lower: (context) => lowerTo(context, transposedAxes(context), true),
  tolerance: sumTolerance,
});
