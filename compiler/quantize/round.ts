/**
 * Rounding a float32 constant to a narrower storage. The result's tensor holds the values after rounding, as float32:
 * exactly what a kernel reads back from the stored form. undefined where the storage cannot hold the constant.
 */
import { float16ToNumber, numberToFloat16 } from "../../runtime/format/half.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import type { Storage } from "../graph/graph.ts";

export interface RoundedConstant {
  readonly tensor: Tensor<"float32">;
  readonly storage: Storage;
}

const largestFloat16 = 65504;
/**
 * Largest share of the sum of squares that float16 may lose: a normal half has a relative error of at most 2^-11, so
 * more than 2^-21 means that values too small for a normal half matter in this constant.
 */
const float16Loss = 2 ** -21;
/** Fractions of the largest magnitude of a channel that int8 tries as its range; a narrower range has finer steps. */
const clippings = [1, 0.95, 0.9, 0.85, 0.8, 0.7] as const;

/** To nearest, ties to even. undefined when a value overflows, is not finite, or too much drowns among subnormals. */
export function roundToFloat16(tensor: Tensor<"float32">): RoundedConstant | undefined {
  const { data } = tensor;
  const rounded = new Float32Array(data.length);
  let total = 0;
  let lost = 0;
  for (let i = 0; i < data.length; i++) {
    const value = data[i] as number;
    // Also false for NaN.
    if (!(Math.abs(value) <= largestFloat16)) return undefined;
    const nearest = float16ToNumber(numberToFloat16(value));
    rounded[i] = nearest;
    total += value * value;
    lost += (value - nearest) ** 2;
  }
  if (lost > float16Loss * total) return undefined;
  return { tensor: { ...tensor, data: rounded }, storage: { kind: "float16" } };
}

/** A value counts as a multiple of a step when it is this close to one, in steps: float32 has rounded it and the step. */
const gridTolerance = 2e-3;
const fewestGridCodes = 16;

/**
 * The step whose multiples by -127..127 the values are, if they are: those of a channel that was in integers before.
 * undefined for values that are not, and where there is none but zero.
 */
export function gridStep(values: Float32Array): number | undefined {
  const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  if (largest === 0) return undefined;
  for (let code = 127; code >= fewestGridCodes; code--) {
    const step = Math.fround(largest / code);
    const fits = (value: number): boolean => Math.abs(value / step - Math.round(value / step)) < gridTolerance;
    if (values.every(fits)) return step;
  }
  return undefined;
}

/**
 * Symmetric int8 with one scale for every index along `axis`. The scale is largest magnitude / 127, or a smaller one
 * when clipping the largest values lowers the channel's squared error; for values that are multiples of a step, that step. undefined when a value is not finite.
 */
export function roundToInt8(tensor: Tensor<"float32">, axis: number): RoundedConstant | undefined {
  const { data, shape } = tensor;
  const channels = shape[axis] ?? 1;
  const inner = shape.slice(axis + 1).reduce((product, extent) => product * extent, 1);
  const maxima = new Float64Array(channels);
  const channelOf = channelIndices(data.length, channels, inner);
  for (let i = 0; i < data.length; i++) {
    const value = data[i] as number;
    if (!Number.isFinite(value)) return undefined;
    const channel = channelOf[i] as number;
    maxima[channel] = Math.max(maxima[channel] as number, Math.abs(value));
  }
  const scales = new Float32Array(channels);
  const leastErrors = new Float64Array(channels).fill(Infinity);
  for (const clipping of clippings) {
    const candidates = Float32Array.from(maxima, (maximum) => (clipping * maximum) / 127);
    const errors = new Float64Array(channels);
    for (let i = 0; i < data.length; i++) {
      const value = data[i] as number;
      const channel = channelOf[i] as number;
      errors[channel] = (errors[channel] as number) + (value - nearestStep(value, candidates[channel] as number)) ** 2;
    }
    for (const [channel, error] of errors.entries()) {
      if (error >= (leastErrors[channel] as number)) continue;
      leastErrors[channel] = error;
      scales[channel] = candidates[channel] as number;
    }
  }
  const members = Array.from(maxima, () => new Float32Array(data.length / Math.max(1, channels)));
  const filled = new Uint32Array(channels);
  for (let i = 0; i < data.length; i++) {
    const channel = channelOf[i] as number;
    const at = filled[channel] as number;
    (members[channel] as Float32Array)[at] = data[i] as number;
    filled[channel] = at + 1;
  }
  for (const [channel, values] of members.entries()) scales[channel] = gridStep(values) ?? (scales[channel] as number);
  // A channel of zeros (or of values below the smallest scale) keeps no value but needs a scale to divide by.
  const usable = scales.map((scale) => scale || 1);
  const rounded = data.map((value, i) => nearestStep(value, usable[channelOf[i] as number] as number));
  return { tensor: { ...tensor, data: rounded }, storage: { kind: "int8", axis, scales: usable } };
}

/** The multiple of `scale` by -127..127 that is nearest to `value`, in float32 as kernels compute it. */
function nearestStep(value: number, scale: number): number {
  if (scale === 0) return 0;
  const step = Math.max(-127, Math.min(127, Math.round(value / scale)));
  return Math.fround(step * scale) + 0;
}

/** Index along the axis of every element of a tensor whose axis has `channels` entries of `inner` elements. */
function channelIndices(length: number, channels: number, inner: number): Uint32Array {
  const indices = new Uint32Array(length);
  for (let i = 0; i < length; i++) indices[i] = Math.floor(i / inner) % channels;
  return indices;
}
