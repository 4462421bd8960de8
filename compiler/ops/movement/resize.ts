/**
 * Resize and Upsample. Nearest along an axis whose source index is affine (repetition by a whole factor, a stride)
 * splits the iteration space and copies; otherwise coordinates are computed in the nest. Linear reads 2^k neighbours at
 * once; cubic goes along one axis after another. Scales, sizes, roi and axes name the axes of the input as it is.
 */
import type { DType } from "../../../runtime/format/dtype.ts";
import {
  axis as axisIndex,
  binary,
  cast,
  constant,
  type Expression,
  load,
  select,
} from "../../../runtime/format/expression.ts";
import { evaluatorOf } from "../../../runtime/reference/expression.ts";
import { keepAspectRatio, resize as reference, scaledLength } from "../../../runtime/reference/resize.ts";
import {
  clampCoordinate,
  cubicTaps,
  excludeOutside,
  indexOf,
  isOutside,
  linearTaps,
  nearestIndex,
  type ResizeAxis,
  sourceCoordinate,
  type Tap,
} from "../../../runtime/reference/resize-coordinate.ts";
import { floatOf, floatsOf, integerOf, stringOf } from "../../graph/attribute.ts";
import { type Dim, divideDims, multiplyDims, sameDim } from "../../graph/dimension.ts";
import type { TensorType } from "../../graph/graph.ts";
import { type AffineIndex, along, type LoopNest } from "../../loop/loop.ts";
import { Parameters } from "../contraction/integer-expression.ts";
import {
  closeTolerance,
  defineOperator,
  type LoweredStep,
  type Lowering,
  type Operator,
  type OperatorContext,
  type StepOperand,
} from "../operator.ts";
import {
  axisOf,
  copyNest,
  dimsOf,
  inputOperand,
  nestOver,
  nestStep,
  numberOfDim,
  numbersOf,
  outputOperand,
  steps,
  view,
} from "./copy.ts";

interface Axis {
  readonly input: Dim;
  readonly output: Dim;
  /** Undefined: the quotient of symbolic extents. */
  readonly scale: number | undefined;
  readonly roi: readonly [number, number];
}

const isKept = ({ input, output, scale, roi }: Axis): boolean =>
  sameDim(input, output) && (scale === 1 || scale === undefined) && roi[0] === 0 && roi[1] === 1;

/** Upsample and Resize before version 11 have no roi and no sizes. */
const hasOldForm = (context: OperatorContext): boolean => context.node.version < 11;

function floatsAt(context: OperatorContext, index: number, name: string): readonly number[] | undefined {
  const attribute = floatsOf(context.node, name);
  if (attribute) return attribute;
  if (!context.has(index) || context.type(index).shape[0] === 0) return undefined;
  const tensor =
    context.constant(index) ??
    context.fail(`${name} must be known when the model is compiled`, "a constant", "a computed value");
  if (tensor.dtype !== "float32" && tensor.dtype !== "float64")
    return context.fail(`${name} has the wrong type`, "float32", tensor.dtype);
  return Array.from(tensor.data as ArrayLike<number>);
}

/** extent * scale rounded down; a symbolic extent takes scales that are multiples of 1/1024. */
function scaled(context: OperatorContext, extent: Dim, scale: number): Dim {
  if (typeof extent === "number") return scaledLength(extent, scale);
  const parts = scale * 1024;
  if (!Number.isInteger(parts))
    return context.fail("a symbolic dimension cannot be scaled by this factor", "a multiple of 1/1024", String(scale));
  return divideDims(multiplyDims(extent, parts), 1024);
}

function axesOfResize(context: OperatorContext): readonly Axis[] {
  const { node } = context;
  const { shape } = context.type(0);
  const old = hasOldForm(context);
  const named =
    numbersOf(context, "axes", node.inputs.length)?.map((axis) => axisOf(context, axis, shape.length)) ??
    shape.map((_, axis) => axis);
  const scales = floatsAt(context, old ? 1 : 2, "scales");
  const listed = old ? undefined : dimsOf(context, "sizes", 3);
  const sizes = listed && listed.length > 0 ? listed : undefined;
  const cropped = stringOf(node, "coordinate_transformation_mode", "") === "tf_crop_and_resize";
  const roi = cropped ? floatsAt(context, 1, "roi") : undefined;
  const policy = stringOf(node, "keep_aspect_ratio_policy", "stretch");
  const given = scales ?? sizes ?? context.fail("neither scales nor sizes are given");
  if (given.length !== named.length)
    context.fail("scales or sizes do not match the axes", `${named.length} values`, String(given.length));
  const kept =
    sizes && policy !== "stretch"
      ? keepAspectRatio(
          policy,
          named.map((axis) => numberOfDim(context, "an extent whose aspect ratio is kept", shape[axis])),
          sizes.map((size) => numberOfDim(context, "a size", size)),
        )
      : undefined;
  return shape.map((extent, axis): Axis => {
    const i = named.indexOf(axis);
    if (i < 0) return { input: extent, output: extent, scale: 1, roi: [0, 1] };
    const part: readonly [number, number] = [roi?.[i] ?? 0, roi?.[i + named.length] ?? 1];
    const size = kept?.sizes[i] ?? sizes?.[i];
    if (size === undefined) {
      const scale = scales?.[i] ?? 1;
      if (!(scale > 0)) context.fail("a scale is not positive", "a positive number", String(scale));
      // As the implementations do: the crop does not shorten the result when scales are given.
      const output = scaled(context, extent, scale);
      return { input: extent, output, scale: Math.fround(scale), roi: part };
    }
    const quotient =
      typeof size === "number" && typeof extent === "number" ? Math.fround(kept?.scale ?? size / extent) : undefined;
    return { input: extent, output: size, scale: sameDim(size, extent) ? 1 : quotient, roi: part };
  });
}

/** Modes under the names of the current version. */
function modesOf(context: OperatorContext) {
  const { node } = context;
  const old = hasOldForm(context);
  const mode = stringOf(node, "mode", "nearest");
  const named = mode === "bilinear" || mode === "trilinear" ? "linear" : mode;
  if (named !== "nearest" && named !== "linear" && named !== "cubic")
    return context.fail("the mode is not known", "nearest, linear or cubic", mode);
  return {
    mode: named,
    coordinate: stringOf(node, "coordinate_transformation_mode", old ? "asymmetric" : "half_pixel"),
    nearest: stringOf(node, "nearest_mode", old ? "simple" : "round_prefer_floor"),
    excludeOutside: integerOf(node, "exclude_outside", 0) !== 0,
    cubicCoefficient: floatOf(node, "cubic_coeff_a", -0.75),
  } as const;
}

/** The axis in the terms of the formulas; symbolic extents become parameters of the nest. */
function describe(axis: Axis, coordinateMode: string, parameters: Parameters): ResizeAxis {
  const float = (dim: Dim): Expression =>
    typeof dim === "number" ? constant(dim) : cast("float32", parameters.of(dim));
  const [inputExtent, outputExtent] = [float(axis.input), float(axis.output)];
  const scale = axis.scale === undefined ? binary("divide", outputExtent, inputExtent) : constant(axis.scale);
  return { coordinateMode, scale, inputExtent, outputExtent, roi: axis.roi };
}

const refuseMode = (context: OperatorContext, what: string, mode: string): never =>
  context.fail(`the ${what} is not known`, undefined, mode);

function coordinateOf(context: OperatorContext, described: ResizeAxis, x: Expression): Expression {
  return sourceCoordinate(described, x) ?? refuseMode(context, "coordinate transformation", described.coordinateMode);
}

function nearestOf(context: OperatorContext, mode: string, described: ResizeAxis, coordinate: Expression): Expression {
  return indexOf(described, nearestIndex(mode, described, coordinate) ?? refuseMode(context, "nearest mode", mode));
}

/** How the source index of nearest depends on the output index along one axis. */
type Pattern =
  | { readonly kind: "affine"; readonly start: number; readonly step: number }
  /** index = floor(output / factor) */
  | { readonly kind: "repeat"; readonly factor: number }
  | { readonly kind: "computed" };

/** Tables longer than this are not looked at. */
const longestTable = 65536;

function patternOf(context: OperatorContext, axis: Axis): Pattern {
  if (isKept(axis)) return { kind: "affine", start: 0, step: 1 };
  const { input, output } = axis;
  if (typeof input !== "number" || typeof output !== "number" || output === 0 || output > longestTable)
    return { kind: "computed" };
  const modes = modesOf(context);
  const described = describe(axis, modes.coordinate, new Parameters());
  const index = nearestOf(
    context,
    modes.nearest,
    described,
    coordinateOf(context, described, cast("float32", axisIndex(0))),
  );
  const evaluate = evaluatorOf(index, []);
  const fault = (): never => context.fail("a coordinate reads data");
  const table = Array.from({ length: output }, (_, x) =>
    Number(evaluate({ input: fault, load: fault, parameter: fault, axis: () => x })),
  );
  const start = table[0] as number;
  const step = (table[1] ?? start) - start;
  if (table.every((value, x) => value === start + x * step)) return { kind: "affine", start, step };
  const factor = output / input;
  if (Number.isInteger(factor) && table.every((value, x) => value === Math.floor(x / factor)))
    return { kind: "repeat", factor };
  return { kind: "computed" };
}

/** A copy whose iteration axes are those of the output, repeated ones split in two; undefined when an index has to be computed. */
function repeatNest(type: TensorType, axes: readonly Axis[], patterns: readonly Pattern[]): LoopNest | undefined {
  const extents: Dim[] = [];
  const source: AffineIndex[] = [];
  const target: AffineIndex[] = [];
  for (const [i, pattern] of patterns.entries()) {
    const axis = axes[i] as Axis;
    const own = extents.length;
    if (pattern.kind === "computed") return undefined;
    if (pattern.kind === "affine") {
      extents.push(axis.output);
      source.push(along(own, pattern.step, pattern.start));
      target.push(along(own));
    } else {
      extents.push(axis.input, pattern.factor);
      source.push(along(own));
      target.push({
        offset: 0,
        terms: [
          { axis: own, coefficient: pattern.factor },
          { axis: own + 1, coefficient: 1 },
        ],
      });
    }
  }
  return copyNest(type.dtype, extents, source, target);
}

/** Condition that some tf_crop_and_resize coordinate lies outside; undefined when none can. */
function outsideOf(described: readonly (readonly [ResizeAxis, Expression])[]): Expression | undefined {
  return described
    .filter(([axis]) => axis.coordinateMode === "tf_crop_and_resize")
    .map(([axis, coordinate]) => isOutside(axis, coordinate))
    .reduce<Expression | undefined>((any, outside) => (any ? binary("or", any, outside) : outside), undefined);
}

const indexed = (dtype: DType): LoopNest["operands"] => [{ dtype, access: "indexed" }];

function lowerNearest(context: OperatorContext, type: TensorType, axes: readonly Axis[]): Lowering {
  const modes = modesOf(context);
  const parameters = new Parameters();
  const coordinates: (readonly [ResizeAxis, Expression])[] = [];
  const crops = modes.coordinate === "tf_crop_and_resize";
  const patterns = axes.map((axis) => patternOf(context, axis));
  const repeated = crops ? undefined : repeatNest(type, axes, patterns);
  if (repeated) return steps(nestStep(repeated));
  const at = axes.map((axis, i): Expression => {
    if (isKept(axis)) return axisIndex(i);
    const described = describe(axis, modes.coordinate, parameters);
    const coordinate = coordinateOf(context, described, cast("float32", axisIndex(i)));
    coordinates.push([described, coordinate]);
    return nearestOf(context, modes.nearest, described, coordinate);
  });
  const outside = outsideOf(coordinates);
  const value = load(0, at);
  const fill = constant(floatOf(context.node, "extrapolation_value", 0), type.dtype);
  return steps(
    nestStep(nestOver(type, indexed(type.dtype), outside ? select(outside, fill, value) : value, parameters.values)),
  );
}

/** Type that weighted sums are computed in. */
const computeType = (dtype: DType): DType => (dtype === "float64" || /int(32|64)$/.test(dtype) ? "float64" : "float32");

const convert = (dtype: DType, from: DType, value: Expression): Expression =>
  dtype === from ? value : cast(dtype, value);

/** The weighted sum over the taps of the axes `at[i]` that have some, the first axis outermost. */
function weighted(
  dtype: DType,
  compute: DType,
  taps: readonly (readonly Tap[] | undefined)[],
  described: readonly (ResizeAxis | undefined)[],
): Expression {
  const recur = (i: number, at: readonly Expression[]): Expression => {
    const own = taps[i];
    const axis = described[i];
    if (i === taps.length) return convert(compute, dtype, load(0, at));
    if (!own || !axis) return recur(i + 1, [...at, axisIndex(i)]);
    return own
      .map(({ index, weight }) =>
        binary("multiply", recur(i + 1, [...at, indexOf(axis, index)]), convert(compute, "float32", weight)),
      )
      .reduce((sum, term) => binary("add", sum, term));
  };
  return recur(0, []);
}

/** One step that interpolates along `chosen`; the other axes are copied as they are. */
function interpolate(
  context: OperatorContext,
  from: TensorType,
  to: TensorType,
  axes: readonly Axis[],
  chosen: readonly number[],
  operand: StepOperand,
  output: StepOperand,
): LoweredStep {
  const modes = modesOf(context);
  const parameters = new Parameters();
  const compute = computeType(to.dtype);
  const coordinates: (readonly [ResizeAxis, Expression])[] = [];
  const described = axes.map((axis, i) =>
    chosen.includes(i) ? describe(axis, modes.coordinate, parameters) : undefined,
  );
  const taps = described.map((axis, i): readonly Tap[] | undefined => {
    if (!axis) return undefined;
    const coordinate = coordinateOf(context, axis, cast("float32", axisIndex(i)));
    coordinates.push([axis, coordinate]);
    // Clamping a linear coordinate first changes nothing: beyond the border both neighbours are the last element.
    const plain =
      modes.mode === "linear"
        ? linearTaps(clampCoordinate(axis, coordinate))
        : cubicTaps(coordinate, modes.cubicCoefficient);
    return modes.excludeOutside && modes.mode === "cubic" ? excludeOutside(axis, plain) : plain;
  });
  const sum = weighted(from.dtype, compute, taps, described);
  const outside = outsideOf(coordinates);
  const fill = constant(floatOf(context.node, "extrapolation_value", 0), compute);
  const value = convert(to.dtype, compute, outside ? select(outside, fill, sum) : sum);
  return nestStep(nestOver(to, indexed(from.dtype), value, parameters.values), [operand], output);
}

/** Cubic along one axis after another through float temporaries. */
function lowerCubic(
  context: OperatorContext,
  type: TensorType,
  axes: readonly Axis[],
  chosen: readonly number[],
): Lowering {
  const temporaries: TensorType[] = [];
  const list: LoweredStep[] = [];
  let current = context.type(0);
  let operand: StepOperand = inputOperand(0);
  chosen.forEach((axis, i) => {
    const isLast = i === chosen.length - 1;
    const shape = current.shape.map((extent, own) => (own === axis ? (axes[axis] as Axis).output : extent));
    const next: TensorType = isLast ? type : { dtype: computeType(type.dtype), shape };
    const output: StepOperand = isLast ? outputOperand(0) : { kind: "temporary", index: temporaries.push(next) - 1 };
    list.push(interpolate(context, current, next, axes, [axis], operand, output));
    [current, operand] = [next, output];
  });
  return { kind: "steps", steps: list, temporaries };
}

/** More neighbours than 2^3 are not worth one expression. */
const mostLinearAxes = 3;

function lowerResize(context: OperatorContext): Lowering | undefined {
  const axes = axesOfResize(context);
  const { dtype } = context.type(0);
  const type: TensorType = { dtype, shape: axes.map(({ output }) => output) };
  const chosen = axes.flatMap((axis, i) => (isKept(axis) ? [] : [i]));
  if (chosen.length === 0) return view;
  const { mode, coordinate } = modesOf(context);
  if (mode === "nearest") return lowerNearest(context, type, axes);
  if (integerOf(context.node, "antialias", 0) !== 0) return undefined;
  // A cropped coordinate outside on one axis fills the element whatever the other axes say: that takes one step.
  if (coordinate === "tf_crop_and_resize" && mode === "cubic" && chosen.length > 1) return undefined;
  if (mode === "cubic") return lowerCubic(context, type, axes, chosen);
  if (chosen.length > mostLinearAxes) return undefined;
  return steps(interpolate(context, context.type(0), type, axes, chosen, inputOperand(0), outputOperand(0)));
}

const record = (op: string): Operator =>
  defineOperator({
    op,
    infer: (context) => {
      const { dtype } = context.type(0);
      if (modesOf(context).mode !== "nearest" && dtype === "bool")
        context.fail("bool cannot be interpolated", "numbers", dtype);
      return [{ dtype, shape: axesOfResize(context).map(({ output }) => output) }];
    },
    reference,
    lower: lowerResize,
    tolerance: closeTolerance,
  });

export const resize = record("Resize");
export const upsample = record("Upsample");
