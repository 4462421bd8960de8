/** Conv and ConvTranspose in their ONNX form (channels first, one to three spatial axes): lowered to gathers over every window. */
import { axis, binary, constant, type Expression, input } from "../../../runtime/format/expression.ts";
import { conv } from "../../../runtime/reference/conv.ts";
import { convTranspose } from "../../../runtime/reference/conv-transpose.ts";
import { integerOf } from "../../graph/attribute.ts";
import { addDims, type Dim, divideDims, multiplyDims } from "../../graph/dimension.ts";
import { type AffineIndex, along, type LoopNest } from "../../loop/loop.ts";
import { defineOperator, type LoweredStep, type Lowering, type OperatorContext, sumTolerance } from "../operator.ts";
import { type GuardedIndex, guardedLoad, integer, minus, over, Parameters, plus, times } from "./integer-expression.ts";
import { firstOutput, hasGeneratedCode, inputOperand, stepsOf } from "./operands.ts";
import { resolveTransposedWindow, resolveWindow, type WindowAxis, weightKernelOf } from "./window.ts";

interface Geometry {
  readonly group: number;
  readonly batch: Dim;
  readonly channels: Dim;
  readonly filters: Dim;
  readonly axes: readonly WindowAxis[];
}

function checkOperands(context: OperatorContext): void {
  const [x, w] = [context.type(0), context.type(1)];
  if (x.shape.length < 3) context.fail("the input has no spatial axis", "rank 3 or more", `rank ${x.shape.length}`);
  if (w.shape.length !== x.shape.length)
    context.fail("the weights have the wrong rank", String(x.shape.length), String(w.shape.length));
  if (w.dtype !== x.dtype) context.fail("input and weights have different types", x.dtype, w.dtype);
}

/** A shape or group that does not fit. */
function checkExtent(context: OperatorContext, what: string, expected: Dim, received: Dim): void {
  if (typeof expected === "number" && typeof received === "number" && expected !== received)
    context.fail(`${what} does not fit`, String(expected), String(received));
}

function geometryOf(context: OperatorContext): Geometry {
  checkOperands(context);
  const [batch = 1, channels = 1, ...spatial] = context.type(0).shape;
  const [filters = 1, perGroup = 1] = context.type(1).shape;
  const group = integerOf(context.node, "group", 1);
  checkExtent(context, "the number of input channels", multiplyDims(perGroup, group), channels);
  if (typeof filters === "number" && filters % group !== 0)
    context.fail("the number of filters is not a multiple of group", `a multiple of ${group}`, String(filters));
  if (context.has(2)) checkExtent(context, "the length of the bias", filters, context.type(2).shape[0] ?? 1);
  return { group, batch, channels, filters, axes: resolveWindow(context, spatial, weightKernelOf(context)) };
}

function transposedGeometryOf(context: OperatorContext): Geometry {
  checkOperands(context);
  const [batch = 1, channels = 1, ...spatial] = context.type(0).shape;
  const [inputs = 1, perGroup = 1] = context.type(1).shape;
  const group = integerOf(context.node, "group", 1);
  checkExtent(context, "the number of input channels", inputs, channels);
  const filters = multiplyDims(perGroup, group);
  if (context.has(2)) checkExtent(context, "the length of the bias", filters, context.type(2).shape[0] ?? 1);
  return { group, batch, channels, filters, axes: resolveTransposedWindow(context, spatial, weightKernelOf(context)) };
}

const outputType = (context: OperatorContext, { batch, filters, axes }: Geometry) => [
  { dtype: context.type(0).dtype, shape: [batch, filters, ...axes.map(({ output }) => output)] },
];

/** Position of a convolution's tap on one axis: output * stride - padding + tap * dilation. */
export function tapIndex(
  parameters: Parameters,
  window: WindowAxis,
  output: Expression,
  tap: Expression,
): GuardedIndex {
  const start = minus(times(output, integer(window.stride)), parameters.of(window.padBefore));
  const index = plus(start, times(tap, integer(window.dilation)));
  const last = addDims(multiplyDims(addDims(window.output, -1), window.stride), (window.kernel - 1) * window.dilation);
  const inside =
    window.padBefore === 0 && typeof last === "number" && typeof window.input === "number" && last < window.input;
  return inside ? { index } : { index, extent: parameters.of(window.input) };
}

/** The input position that reaches `output` through `tap` of a transposed convolution: (output + padding - tap * dilation) / stride where whole. */
function sourceIndex(parameters: Parameters, window: WindowAxis, output: Expression, tap: Expression): GuardedIndex {
  const reached = minus(plus(output, parameters.of(window.padBefore)), times(tap, integer(window.dilation)));
  const extent = parameters.of(window.input);
  if (window.stride === 1) return { index: reached, extent };
  const stride = integer(window.stride);
  const whole = binary("equal", binary("remainder", reached, stride), integer(0));
  const positive = binary("greaterOrEqual", reached, integer(0));
  return { index: over(reached, stride), extent, valid: binary("and", whole, positive) };
}

/** Iteration axes: batch, group, filter of the group, outputs…, then channel of the group and taps…, the last ones reduced. */
function nestOf(
  context: OperatorContext,
  { group, batch, channels, filters, axes }: Geometry,
  position: typeof tapIndex,
  weightAccess: (
    filter: AffineIndex,
    channel: AffineIndex,
    filterOfGroup: AffineIndex,
    channelOfGroup: AffineIndex,
  ) => readonly AffineIndex[],
): LoweredStep {
  const { dtype } = context.type(0);
  const rank = axes.length;
  const parameters = new Parameters();
  const channelAxis = 3 + rank;
  const [channelsPerGroup, filtersPerGroup] = [divideDims(channels, group), divideDims(filters, group)];
  const split = (member: number, size: Dim): AffineIndex => ({
    offset: 0,
    terms: [
      { axis: 1, coefficient: size },
      { axis: member, coefficient: 1 },
    ],
  });
  const filter = split(2, filtersPerGroup);
  const channel = split(channelAxis, channelsPerGroup);
  const channelIndex = plus(times(axis(1), parameters.of(channelsPerGroup)), axis(channelAxis));
  const taps = axes.map((window, i) => position(parameters, window, axis(3 + i), axis(channelAxis + 1 + i)));
  const value = guardedLoad(0, [{ index: axis(0) }, { index: channelIndex }, ...taps], constant(0, dtype));
  const hasBias = context.has(2);
  const nest: LoopNest = {
    extents: [
      batch,
      group,
      filtersPerGroup,
      ...axes.map(({ output }) => output),
      channelsPerGroup,
      ...axes.map(({ kernel }) => kernel),
    ],
    reductions: 1 + rank,
    operands: [
      { dtype, access: "indexed" },
      {
        dtype,
        access: [
          ...weightAccess(filter, channel, along(2), along(channelAxis)),
          ...axes.map((_, i) => along(channelAxis + 1 + i)),
        ],
      },
      ...(hasBias ? [{ dtype, access: [filter] }] : []),
    ],
    parameters: parameters.values,
    body: binary("multiply", value, input(1)),
    combine: "add",
    ...(hasBias ? { finish: binary("add", input(0), input(3)) } : {}),
    output: { dtype, access: [along(0), filter, ...axes.map((_, i) => along(3 + i))] },
  };
  return {
    kind: "nest",
    nest,
    operands: context.node.inputs.map((_, index) => inputOperand(index)),
    output: firstOutput,
  };
}

const lowerConv = (context: OperatorContext): Lowering | undefined =>
  hasGeneratedCode(context.type(0).dtype)
    ? stepsOf(
        nestOf(context, geometryOf(context), tapIndex, (filter, _, __, channelOfGroup) => [filter, channelOfGroup]),
      )
    : undefined;

const lowerTransposed = (context: OperatorContext): Lowering | undefined =>
  hasGeneratedCode(context.type(0).dtype)
    ? stepsOf(
        nestOf(context, transposedGeometryOf(context), sourceIndex, (_, channel, filterOfGroup) => [
          channel,
          filterOfGroup,
        ]),
      )
    : undefined;

export const convOperator = defineOperator({
  op: "Conv",
  infer: (context) => outputType(context, geometryOf(context)),
  reference: conv,
  lower: lowerConv,
  tolerance: sumTolerance,
});

export const convTransposeOperator = defineOperator({
  op: "ConvTranspose",
  infer: (context) => outputType(context, transposedGeometryOf(context)),
  reference: convTranspose,
  lower: lowerTransposed,
  tolerance: sumTolerance,
});
