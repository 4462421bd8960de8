/**
 * Normalisations of groups of elements: LayerNormalization, RMSNormalization, InstanceNormalization, GroupNormalization,
 * MeanVarianceNormalization and LpNormalization. Statistics are population ones, in float64.
 */
import { elementCount, type Tensor } from "../format/tensor.ts";
import { broadcastIndex } from "./broadcast.ts";
import { axisOf, inputOf, listOf, numberOf, textOf } from "./call.ts";
import { numbersOf, tensorOfNumbers } from "./numbers.ts";
import { groupsOf } from "./reduce.ts";
import type { Reference, ReferenceCall } from "./reference.ts";

interface Statistics {
  readonly mean: number;
  readonly variance: number;
}

function statisticsOf(values: ArrayLike<number>, group: readonly number[], centered: boolean): Statistics {
  let mean = 0;
  if (centered) for (const i of group) mean += values[i]! / group.length;
  let variance = 0;
  for (const i of group) variance += (values[i]! - mean) ** 2 / group.length;
  return { mean, variance };
}

/** Every group normalised, then `finish`ed with the flat index of the element. */
function normalised(
  values: ArrayLike<number>,
  groups: readonly (readonly number[])[],
  statistics: readonly Statistics[],
  deviation: (variance: number) => number,
  finish: (value: number, at: number) => number,
): Float64Array {
  const result = new Float64Array(values.length);
  groups.forEach((group, index) => {
    const { mean, variance } = statistics[index]!;
    for (const i of group) result[i] = finish((values[i]! - mean) / deviation(variance), i);
  });
  return result;
}

const deviationWith = (call: ReferenceCall) => {
  const epsilon = numberOf(call, "epsilon", 1e-5);
  return (variance: number): number => Math.sqrt(variance + epsilon);
};

/** Reads a scale or shift that broadcasts to `shape`; `absent` where there is none. */
function parameterOf(tensor: Tensor | undefined, shape: readonly number[], absent: number): (at: number) => number {
  if (!tensor) return () => absent;
  const values = numbersOf(tensor);
  const index = broadcastIndex(tensor.shape, shape);
  return (at) => values[index(at)]!;
}

/** Over all axes from `axis` on; outputs 1 and 2 are the means and the inverse deviations. */
export const layerNormalization: Reference = (call) => {
  const x = inputOf(call, 0);
  const axis = axisOf(numberOf(call, "axis", -1), x.shape.length);
  const axes = x.shape.map((_, index) => index).slice(axis);
  const values = numbersOf(x);
  const groups = groupsOf(x.shape, axes);
  const statistics = groups.map((group) => statisticsOf(values, group, true));
  const scale = parameterOf(inputOf(call, 1), x.shape, 1);
  const shift = parameterOf(call.inputs[2], x.shape, 0);
  const deviation = deviationWith(call);
  const y = normalised(values, groups, statistics, deviation, (value, at) => value * scale(at) + shift(at));
  const kept = x.shape.map((extent, index) => (index < axis ? extent : 1));
  const stash = x.dtype === "float64" ? "float64" : "float32";
  const outputs = [
    tensorOfNumbers(x.dtype, x.shape, y),
    tensorOfNumbers(
      stash,
      kept,
      statistics.map(({ mean }) => mean),
    ),
    tensorOfNumbers(
      stash,
      kept,
      statistics.map(({ variance }) => 1 / deviation(variance)),
    ),
  ];
  return outputs.slice(0, call.outputCount);
};

export const rmsNormalization: Reference = (call) => {
  const x = inputOf(call, 0);
  const axis = axisOf(numberOf(call, "axis", -1), x.shape.length);
  const values = numbersOf(x);
  const groups = groupsOf(x.shape, x.shape.map((_, index) => index).slice(axis));
  const statistics = groups.map((group) => statisticsOf(values, group, false));
  const scale = parameterOf(inputOf(call, 1), x.shape, 1);
  const y = normalised(values, groups, statistics, deviationWith(call), (value, at) => value * scale(at));
  return [tensorOfNumbers(x.dtype, x.shape, y)];
};

/** The batch, channel and spatial extents, and the flat index of every (batch, channel, position). */
function planesOf(call: ReferenceCall) {
  const { shape } = inputOf(call, 0);
  const last = textOf(call, "layout", "NCHW") === "NHWC";
  const batch = shape[0] ?? 1;
  const channels = (last ? shape[shape.length - 1] : shape[1]) ?? 1;
  const positions = elementCount(last ? shape.slice(1, -1) : shape.slice(2));
  const at = (n: number, c: number, p: number): number =>
    last ? (n * positions + p) * channels + c : (n * channels + c) * positions + p;
  const channelOf = (flat: number): number => (last ? flat : Math.floor(flat / positions)) % channels;
  return { batch, channels, positions, at, channelOf };
}

/** Groups of `size` consecutive channels per batch element. */
function channelGroups(
  { batch, channels, positions, at }: ReturnType<typeof planesOf>,
  size: number,
): readonly number[][] {
  const groups: number[][] = [];
  for (let n = 0; n < batch; n++)
    for (let first = 0; first < channels; first += size) {
      const group: number[] = [];
      for (let c = first; c < first + size; c++) for (let p = 0; p < positions; p++) group.push(at(n, c, p));
      groups.push(group);
    }
  return groups;
}

/** `size`: channels per group; `parameterIndex`: the scale and shift of a channel. */
function overChannels(
  call: ReferenceCall,
  size: number,
  parameterIndex: (channel: number) => number,
): readonly Tensor[] {
  const x = inputOf(call, 0);
  const planes = planesOf(call);
  const values = numbersOf(x);
  const groups = channelGroups(planes, size);
  const statistics = groups.map((group) => statisticsOf(values, group, true));
  const [scale, shift] = [numbersOf(inputOf(call, 1)), numbersOf(inputOf(call, 2))];
  const y = normalised(values, groups, statistics, deviationWith(call), (value, at) => {
    const parameter = parameterIndex(planes.channelOf(at));
    return value * scale[parameter]! + shift[parameter]!;
  });
  return [tensorOfNumbers(x.dtype, x.shape, y)];
}

export const instanceNormalization: Reference = (call) => overChannels(call, 1, (channel) => channel);

/** Scale and shift are per group in version 18, per channel since 21. */
export const groupNormalization: Reference = (call) => {
  const size = planesOf(call).channels / numberOf(call, "num_groups", 1);
  return overChannels(call, size, call.version < 21 ? (channel) => Math.floor(channel / size) : (channel) => channel);
};

/** The standard adds 1e-9 to the deviation. */
export const meanVarianceNormalization: Reference = (call) => {
  const x = inputOf(call, 0);
  const axes = (listOf(call, "axes") ?? [0, 2, 3]).map((axis) => axisOf(axis, x.shape.length));
  const values = numbersOf(x);
  const groups = groupsOf(x.shape, axes);
  const statistics = groups.map((group) => statisticsOf(values, group, true));
  const y = normalised(
    values,
    groups,
    statistics,
    (variance) => Math.sqrt(variance) + 1e-9,
    (value) => value,
  );
  return [tensorOfNumbers(x.dtype, x.shape, y)];
};

/** Divides by the p-norm along an axis; a group of zeros stays zero. */
export const lpNormalization: Reference = (call) => {
  const x = inputOf(call, 0);
  const p = numberOf(call, "p", 2);
  const axis = axisOf(numberOf(call, "axis", -1), x.shape.length);
  const values = numbersOf(x);
  const result = new Float64Array(values.length);
  for (const group of groupsOf(x.shape, [axis])) {
    const total = group.reduce((sum, i) => sum + Math.abs(values[i]!) ** p, 0);
    const norm = total ** (1 / p);
    for (const i of group) result[i] = norm === 0 ? 0 : values[i]! / norm;
  }
  return [tensorOfNumbers(x.dtype, x.shape, result)];
};
