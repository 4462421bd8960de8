/** Conv and ConvTranspose in their ONNX form (channels first, one to three spatial axes): lowered to gathers over every window. */
import { axis, binary, constant, type Expression, input } from "../../../runtime/format/expression.ts";
import { conv } from "../../../runtime/reference/conv.ts";
import { convTranspose } from "../../../runtime/reference/conv-transpose.ts";
import { integerOf } from "../../graph/attribute.ts";
import { addDims, type Dim, divideDims, multiplyDims } from "../../graph/dimension.ts";
import { type AffineIndex, along, type LoopNest } from "../../loop/loop.ts";
import { defineOperator, type Lowering, type OperatorContext, sumTolerance } from "../operator.ts";
import { type GuardedIndex, guardedLoad, integer, minus, over, Parameters, plus, times } from "./integer-expression.ts";
import { firstOutput, hasGeneratedCode, inputOperand, stepsOf } from "./operands.ts";
import { resolveTransposedWindow, resolveWindow, type WindowAxis, weightKernelOf } from "./window.ts";

export interface ConvolutionGeometry {
  readonly group: number;
  readonly batch: Dim;
  readonly channels: Dim;
  readonly filters: Dim;
  readonly axes: readonly WindowAxis[];
}

function checkRanks(context: OperatorContext): void {
  const [x, w] = [context.type(0), context.type(1)];
  if (x.shape.length < 3) context.fail("the input has no spatial axis", "rank 3 or more", `rank ${x.shape.length}`);
  if (w.shape.length !== x.shape.length)
    context.fail("the weights have the wrong rank", String(x.shape.length), String(w.shape.length));
}

function checkTypes(context: OperatorContext): void {
  const [x, w] = [context.type(0).dtype, context.type(1).dtype];
  if (w !== x) context.fail("input and weights have different types", x, w);
}

/** A shape or group that does not fit. */
function checkExtent(context: OperatorContext, what: string, expected: Dim, received: Dim): void {
  if (typeof expected === "number" && typeof received === "number" && expected !== received)
    context.fail(`${what} does not fit`, String(expected), String(received));
}

/** Inputs 0, 1 and 2 are data, weights and bias (of any types). */
export function convolutionGeometry(context: OperatorContext): ConvolutionGeometry {
  checkRanks(context);
  const [batch = 1, channels = 1, ...spatial] = context.type(0).shape;
  const [filters = 1, perGroup = 1] = context.type(1).shape;
  const group = integerOf(context.node, "group", 1);
  checkExtent(context, "the number of input channels", multiplyDims(perGroup, group), channels);
  if (typeof filters === "number" && filters % group !== 0)
    context.fail("the number of filters is not a multiple of group", `a multiple of ${group}`, String(filters));
  if (context.has(2)) checkExtent(context, "the length of the bias", filters, context.type(2).shape[0] ?? 1);
  return { group, batch, channels, filters, axes: resolveWindow(context, spatial, weightKernelOf(context)) };
}

function geometryOf(context: OperatorContext): ConvolutionGeometry {
  checkTypes(context);
  return convolutionGeometry(context);
}

function transposedGeometryOf(context: OperatorContext): ConvolutionGeometry {
  checkRanks(context);
  checkTypes(context);
  const [batch = 1, channels = 1, ...spatial] = context.type(0).shape;
  const [inputs = 1, perGroup = 1] = context.type(1).shape;
  const group = integerOf(context.node, "group", 1);
  checkExtent(context, "the number of input channels", inputs, channels);
  const filters = multiplyDims(perGroup, group);
  if (context.has(2)) checkExtent(context, "the length of the bias", filters, context.type(2).shape[0] ?? 1);
  return { group, batch, channels, filters, axes: resolveTransposedWindow(context, spatial, weightKernelOf(context)) };
}

export const convolutionShape = ({ batch, filters, axes }: ConvolutionGeometry): readonly Dim[] => [
  batch,
  filters,
  ...axes.map(({ output }) => output),
];

const outputType = (context: OperatorContext, geometry: ConvolutionGeometry) => [
  { dtype: context.type(0).dtype, shape: convolutionShape(geometry) },
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

/** What a convolution's nest reads, and where; outputs of any operator that is a convolution differ only in what they make of it. */
interface ConvolutionAccess {
  readonly extents: readonly Dim[];
  readonly reductions: number;
  /** Coordinates of the data (operand 0, read through `load`); a coordinate in the padding is guarded. */
  readonly data: readonly GuardedIndex[];
  readonly weights: readonly AffineIndex[];
  readonly filter: AffineIndex;
  readonly output: readonly AffineIndex[];
  readonly parameters: readonly Dim[];
}

type WeightAccess = (
  filter: AffineIndex,
  channel: AffineIndex,
  filterOfGroup: AffineIndex,
  channelOfGroup: AffineIndex,
) => readonly AffineIndex[];

/** Iteration axes: batch, group, filter of the group, outputs…, then channel of the group and taps…, the last ones reduced. */
function accessOf(
  { group, batch, channels, filters, axes }: ConvolutionGeometry,
  position: typeof tapIndex,
  weightAccess: WeightAccess,
): ConvolutionAccess {
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
  return {
    extents: [
      batch,
      group,
      filtersPerGroup,
      ...axes.map(({ output }) => output),
      channelsPerGroup,
      ...axes.map(({ kernel }) => kernel),
    ],
    reductions: 1 + rank,
    data: [{ index: axis(0) }, { index: channelIndex }, ...taps],
    weights: [
      ...weightAccess(filter, channel, along(2), along(channelAxis)),
      ...axes.map((_, i) => along(channelAxis + 1 + i)),
    ],
    filter,
    output: [along(0), filter, ...axes.map((_, i) => along(3 + i))],
    parameters: parameters.values,
  };
}

export const convolutionAccess = (geometry: ConvolutionGeometry): ConvolutionAccess =>
  accessOf(geometry, tapIndex, (filter, _, __, channelOfGroup) => [filter, channelOfGroup]);

const transposedAccess = (geometry: ConvolutionGeometry): ConvolutionAccess =>
  accessOf(geometry, sourceIndex, (_, channel, filterOfGroup) => [channel, filterOfGroup]);

function lower(context: OperatorContext, access: ConvolutionAccess): Lowering | undefined {
  const { dtype } = context.type(0);
  if (!hasGeneratedCode(dtype)) return undefined;
  const hasBias = context.has(2);
  const nest: LoopNest = {
    extents: access.extents,
    reductions: access.reductions,
    operands: [
      { dtype, access: "indexed" },
      { dtype, access: access.weights },
      ...(hasBias ? [{ dtype, access: [access.filter] }] : []),
    ],
    parameters: access.parameters,
    body: binary("multiply", guardedLoad(0, access.data, constant(0, dtype)), input(1)),
    combine: "add",
    ...(hasBias ? { finish: binary("add", input(0), input(3)) } : {}),
    output: { dtype, access: access.output },
  };
  const operands = context.node.inputs.map((_, index) => inputOperand(index));
  return stepsOf({ kind: "nest", nest, operands, output: firstOutput });
}

export const convOperator = defineOperator({
  op: "Conv",
  infer: (context) => outputType(context, geometryOf(context)),
  reference: conv,
  lower: (context) => lower(context, convolutionAccess(geometryOf(context))),
  tolerance: sumTolerance,
});

export const convTransposeOperator = defineOperator({
  op: "ConvTranspose",
  infer: (context) => outputType(context, transposedGeometryOf(context)),
  reference: convTranspose,
  lower: (context) => lower(context, transposedAccess(transposedGeometryOf(context))),
  tolerance: sumTolerance,
});
