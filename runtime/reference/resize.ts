/** Resize and Upsample: nearest copies elements; linear and cubic are weighted sums along one axis after another, in float64. */
import { constant, type Expression, input } from "../format/expression.ts";
import { elementCount, type Tensor } from "../format/tensor.ts";
import { axisOf, inputOf, integersOf, listOf, numberOf, refuse, textOf } from "./call.ts";
import { evaluatorOf } from "./expression.ts";
import { numbersOf, tensorOfNumbers } from "./numbers.ts";
import type { Reference, ReferenceCall } from "./reference.ts";
import {
  cubicTaps,
  excludeOutside,
  isOutside,
  linearTaps,
  nearestIndex,
  type ResizeAxis,
  sourceCoordinate,
  type Tap,
} from "./resize-coordinate.ts";
import { picked, stridesOf } from "./strided.ts";

/** Extents and scale of one axis, and what of it tf_crop_and_resize takes. */
interface Axis {
  readonly inputExtent: number;
  readonly outputExtent: number;
  readonly scale: number;
  readonly roi: readonly [number, number];
}

/** The length of an axis after scaling, in float32 as the scales are. */
export const scaledLength = (extent: number, scale: number): number =>
  Math.floor(Math.fround(extent * Math.fround(scale)));

/**
 * Lengths and scales that keep the aspect ratio: the smallest (not_larger) or largest (not_smaller) of the scales that
 * `sizes` ask for, and the lengths it gives, rounded half up.
 */
export function keepAspectRatio(
  policy: string,
  extents: readonly number[],
  sizes: readonly number[],
): { readonly sizes: readonly number[]; readonly scale: number } {
  const scales = sizes.map((size, i) => size / (extents[i] as number));
  const scale = policy === "not_larger" ? Math.min(...scales) : Math.max(...scales);
  return { sizes: extents.map((extent) => Math.floor(scale * extent + 0.5)), scale };
}

const floatsOf = (tensor: Tensor | undefined): readonly number[] | undefined =>
  tensor && tensor.data.length > 0 ? Array.from(numbersOf(tensor)) : undefined;

/** Which input holds what differs between versions: Upsample and Resize 10 have only scales. */
const hasOldForm = (call: ReferenceCall): boolean => call.version < 11;

function axesOf(call: ReferenceCall): readonly Axis[] {
  const { shape } = inputOf(call, 0);
  const old = hasOldForm(call);
  const named = listOf(call, "axes")?.map((axis) => axisOf(axis, shape.length)) ?? shape.map((_, axis) => axis);
  const given = floatsOf(call.inputs[old ? 1 : 2]) ?? listOf(call, "scales");
  const wanted = old ? undefined : integersOf(call, "sizes", 3);
  const sizes = wanted && wanted.length > 0 ? wanted : undefined;
  const roi = old ? undefined : floatsOf(call.inputs[1]);
  const policy = textOf(call, "keep_aspect_ratio_policy", "stretch");
  const kept =
    sizes && policy !== "stretch"
      ? keepAspectRatio(
          policy,
          named.map((axis) => shape[axis] as number),
          sizes,
        )
      : undefined;
  return shape.map((extent, axis): Axis => {
    const i = named.indexOf(axis);
    if (i < 0) return { inputExtent: extent, outputExtent: extent, scale: 1, roi: [0, 1] };
    const part: readonly [number, number] = [roi?.[i] ?? 0, roi?.[i + named.length] ?? 1];
    const size = kept?.sizes[i] ?? sizes?.[i];
    if (size !== undefined)
      return { inputExtent: extent, outputExtent: size, scale: Math.fround(kept?.scale ?? size / extent), roi: part };
    const scale = given?.[i] ?? refuse("neither scales nor sizes are given");
    return { inputExtent: extent, outputExtent: scaledLength(extent, scale), scale: Math.fround(scale), roi: part };
  });
}

/** What one output position of an axis is made of. */
interface Position {
  readonly outside: boolean;
  readonly indices: readonly number[];
  readonly weights: readonly number[];
}

/** Linear (reach 1) or cubic (reach 2) kernel stretched over a shrunk axis, so that no element is skipped. */
function antialiased(
  coordinate: number,
  scale: number,
  a: number | undefined,
): { readonly indices: readonly number[]; readonly weights: readonly number[] } {
  const shrink = Math.min(scale, 1);
  const start = Math.floor(-(a === undefined ? 1 : 2) / shrink) + 1;
  const floor = Math.floor(coordinate);
  const ratio = coordinate - floor;
  const kernel = (x: number): number => {
    if (a === undefined) return Math.max(0, 1 - x);
    if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
  };
  const offsets = Array.from({ length: 2 - 2 * start }, (_, i) => start + i);
  const weights = offsets.map((offset) => kernel(Math.abs((offset - ratio) * shrink)));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return { indices: offsets.map((offset) => floor + offset), weights: weights.map((weight) => weight / total) };
}

function positionsOf(call: ReferenceCall, axis: Axis, mode: string): readonly Position[] {
  const { inputExtent, outputExtent } = axis;
  const coordinateMode = textOf(call, "coordinate_transformation_mode", hasOldForm(call) ? "asymmetric" : "half_pixel");
  const described: ResizeAxis = {
    coordinateMode,
    scale: constant(axis.scale),
    inputExtent: constant(inputExtent),
    outputExtent: constant(outputExtent),
    roi: axis.roi,
  };
  const a = mode === "cubic" ? numberOf(call, "cubic_coeff_a", -0.75) : undefined;
  let current = 0;
  const evaluate = (expression: Expression): (() => number) => {
    const run = evaluatorOf(expression, ["float32"]);
    const fault = (): never => refuse("a coordinate depends on the output index only");
    return () => Number(run({ input: () => current, load: fault, axis: fault, parameter: fault }));
  };
  const formula =
    sourceCoordinate(described, input(0)) ?? refuse("unknown coordinate transformation", undefined, coordinateMode);
  const coordinate = evaluate(formula);
  const outside = coordinateMode === "tf_crop_and_resize" ? evaluate(isOutside(described, formula)) : () => 0;
  const clamp = (index: number): number => Math.min(Math.max(index, 0), inputExtent - 1);
  const collect = (
    at: () => { readonly indices: readonly number[]; readonly weights: readonly number[] },
  ): readonly Position[] =>
    Array.from({ length: outputExtent }, (_, position) => {
      current = position;
      const { indices, weights } = at();
      return { outside: outside() !== 0, indices: indices.map(clamp), weights };
    });

  if (mode === "nearest") {
    const rounding = textOf(call, "nearest_mode", hasOldForm(call) ? "simple" : "round_prefer_floor");
    const nearest = evaluate(
      nearestIndex(rounding, described, formula) ?? refuse("unknown nearest mode", undefined, rounding),
    );
    return collect(() => ({ indices: [nearest()], weights: [1] }));
  }
  const excluded = numberOf(call, "exclude_outside", 0) !== 0;
  if (numberOf(call, "antialias", 0) !== 0)
    return collect(() => {
      const { indices, weights } = antialiased(coordinate(), axis.scale, a);
      if (!excluded) return { indices, weights };
      const kept = weights.map((weight, i) => (indices[i] === clamp(indices[i] as number) ? weight : 0));
      const total = kept.reduce((sum, weight) => sum + weight, 0);
      return { indices, weights: kept.map((weight) => weight / total) };
    });
  const plain = a === undefined ? linearTaps(formula) : cubicTaps(formula, a);
  const taps = (excluded ? excludeOutside(described, plain) : plain).map(({ index, weight }: Tap) => ({
    index: evaluate(index),
    weight: evaluate(weight),
  }));
  return collect(() => ({ indices: taps.map(({ index }) => index()), weights: taps.map(({ weight }) => weight()) }));
}

/** Marks every element whose coordinate along `axis` lies outside. */
function fillOutside(
  values: Float64Array,
  shape: readonly number[],
  axis: number,
  positions: readonly Position[],
  value: number,
): void {
  const inner = elementCount(shape.slice(axis + 1));
  for (let flat = 0; flat < values.length; flat++)
    if (positions[Math.floor(flat / inner) % positions.length]?.outside) values[flat] = value;
}

function alongAxis(
  values: ArrayLike<number>,
  shape: readonly number[],
  axis: number,
  positions: readonly Position[],
): Float64Array {
  const outer = elementCount(shape.slice(0, axis));
  const inner = elementCount(shape.slice(axis + 1));
  const extent = shape[axis] as number;
  const result = new Float64Array(outer * positions.length * inner);
  for (let o = 0; o < outer; o++)
    positions.forEach(({ indices, weights }, position) => {
      for (let k = 0; k < inner; k++) {
        let sum = 0;
        for (let i = 0; i < indices.length; i++) {
          const weight = weights[i] as number;
          if (weight !== 0) sum += weight * (values[(o * extent + (indices[i] as number)) * inner + k] as number);
        }
        result[(o * positions.length + position) * inner + k] = sum;
      }
    });
  return result;
}

export const resize: Reference = (call) => {
  const data = inputOf(call, 0);
  const axes = axesOf(call);
  const shape = axes.map(({ outputExtent }) => outputExtent);
  const named = textOf(call, "mode", "nearest");
  const mode = named === "bilinear" || named === "trilinear" ? "linear" : named;
  if (mode !== "nearest" && mode !== "linear" && mode !== "cubic")
    refuse("unknown mode", "nearest, linear or cubic", mode);
  const tables = axes.map((axis) => positionsOf(call, axis, mode));
  const hasOutside = tables.some((positions) => positions.some(({ outside }) => outside));
  if (mode === "nearest" && !hasOutside) {
    const strides = stridesOf(data.shape);
    const own = stridesOf(shape);
    const result = picked(data, shape, (visit) => {
      for (let flat = 0; flat < elementCount(shape); flat++) {
        const from = tables.reduce((sum, positions, axis) => {
          const position = positions[Math.floor(flat / (own[axis] as number)) % positions.length];
          return sum + (position?.indices[0] as number) * (strides[axis] as number);
        }, 0);
        visit(from, flat);
      }
    });
    return [result];
  }
  let values = Float64Array.from(numbersOf(data));
  const current = [...data.shape];
  axes.forEach(({ inputExtent, outputExtent, scale, roi }, axis) => {
    if (inputExtent === outputExtent && scale === 1 && roi[0] === 0 && roi[1] === 1) return;
    values = alongAxis(values, current, axis, tables[axis] as readonly Position[]) as Float64Array<ArrayBuffer>;
    current[axis] = outputExtent;
  });
  const extrapolation = numberOf(call, "extrapolation_value", 0);
  if (hasOutside)
    for (const [axis, positions] of tables.entries()) fillOutside(values, shape, axis, positions, extrapolation);
  return [tensorOfNumbers(data.dtype, shape, values)];
};
