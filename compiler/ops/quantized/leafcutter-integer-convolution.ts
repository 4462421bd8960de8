/**
 * leafcutter.IntegerConv: the canonical convolution over [N, H, W, C] of 8-bit integers with int8 weights [O, C/g, kh, kw],
 * summed in int32, then an epilogue. Outside the image stands attribute padValue, the zero point of the input.
 */
import { axis, input } from "../../../runtime/format/expression.ts";
import { integerConv } from "../../../runtime/reference/leafcutter-integer.ts";
import { integerOf } from "../../graph/attribute.ts";
import { type Dim, divideDims } from "../../graph/dimension.ts";
import { type AffineIndex, along, fixed } from "../../loop/loop.ts";
import { tapIndex } from "../contraction/convolution.ts";
import { guardedLoad, Parameters, plus, times } from "../contraction/integer-expression.ts";
import { problemWindow } from "../contraction/leafcutter-convolution.ts";
import { firstOutput, inputOperand, optionalOperand, stepsOf } from "../contraction/operands.ts";
import { resolveWindow, type WindowAxis, weightKernelOf } from "../contraction/window.ts";
import { closeTolerance, defineOperator, type Lowering, type NestStep, type OperatorContext } from "../operator.ts";
import { finishInputs, integerFinish, integerOutputType, integerProblem, widenedProduct } from "./integer-epilogue.ts";

function axesOf(context: OperatorContext): readonly WindowAxis[] {
  const { shape } = context.type(0);
  if (shape.length !== 4) context.fail("the input must be [N, H, W, C]", "rank 4", `rank ${shape.length}`);
  return resolveWindow(context, shape.slice(1, 3), weightKernelOf(context));
}

const shapeOf = (context: OperatorContext): readonly Dim[] => [
  context.type(0).shape[0] ?? 1,
  ...axesOf(context).map(({ output }) => output),
  context.type(1).shape[0] ?? 1,
];

/** Iteration axes: batch, row, column, group, filter of the group, then taps and channel of the group, which are reduced. */
function definition(context: OperatorContext): NestStep {
  const windows = axesOf(context);
  const [batch = 1, height = 1, width = 1, filters = 1] = shapeOf(context);
  const group = integerOf(context.node, "group", 1);
  const channelsPerGroup = divideDims(context.type(0).shape[3] ?? 1, group);
  const filtersPerGroup = divideDims(filters, group);
  const filter: AffineIndex = {
    offset: 0,
    terms: [
      { axis: 3, coefficient: filtersPerGroup },
      { axis: 4, coefficient: 1 },
    ],
  };
  const parameters = new Parameters();
  const taps = windows.map((window, i) => tapIndex(parameters, window, axis(1 + i), axis(5 + i)));
  const channel = plus(times(axis(3), parameters.of(channelsPerGroup)), axis(7));
  const outside = {
    kind: "constant",
    dtype: context.type(0).dtype,
    value: integerOf(context.node, "padValue", 0),
  } as const;
  const value = guardedLoad(0, [{ index: axis(0) }, ...taps, { index: channel }], outside);
  const place = [along(0), along(1), along(2), filter];
  const addends = finishInputs(context);
  const finish = integerFinish(context);
  return {
    kind: "nest",
    nest: {
      extents: [batch, height, width, group, filtersPerGroup, ...windows.map(({ kernel }) => kernel), channelsPerGroup],
      reductions: 3,
      operands: [
        { dtype: context.type(0).dtype, access: "indexed" },
        { dtype: context.type(1).dtype, access: [filter, along(7), along(5), along(6)] },
        ...addends.map((index) => {
          const { dtype, shape } = context.type(index);
          const own = place.slice(place.length - shape.length);
          return { dtype, access: shape.map((extent, i) => (extent === 1 ? fixed(0) : own[i]!)) };
        }),
      ],
      parameters: parameters.values,
      body: widenedProduct(value, input(1)),
      combine: "add",
      ...(finish ? { finish } : {}),
      output: { dtype: integerOutputType(context), access: place },
    },
    operands: [0, 1, ...addends].map(inputOperand),
    output: firstOutput,
  };
}

function lower(context: OperatorContext): Lowering {
  const otherwise = definition(context);
  const shape = shapeOf(context);
  const window = problemWindow(shape[0] ?? 1, axesOf(context));
  const common = integerProblem(context, shape);
  const [inputChannels, outputChannels] = [context.type(0).shape[3], shape[3]];
  if (!window || !common || typeof inputChannels !== "number" || typeof outputChannels !== "number")
    return stepsOf(otherwise);
  const groups = integerOf(context.node, "group", 1);
  const padValue = integerOf(context.node, "padValue", 0);
  const problem = { ...window, inputChannels, outputChannels, padValue, ...common };
  return stepsOf({
    kind: "family",
    problem:
      groups === inputChannels && groups > 1
        ? { family: "depthwise-i8", ...problem }
        : { family: "conv-i8", groups, ...problem },
    operands: [
      inputOperand(0),
      inputOperand(1),
      optionalOperand(context, 2),
      ...common.operandTypes.map((_, k) => inputOperand(3 + k)),
    ],
    outputs: [firstOutput],
    otherwise,
  });
}

export const leafcutterIntegerConvOperator = defineOperator({
  op: "leafcutter.IntegerConv",
  infer: (context) => [{ dtype: integerOutputType(context), shape: shapeOf(context) }],
  reference: integerConv,
  lower,
  tolerance: closeTolerance,
});
