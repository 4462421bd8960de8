/**
 * The factors by which the channels of an activation are divided, its readers' weights multiplied, so that int8 loses least:
 * s_c = range^a / weight^(1 - a) of the largest magnitudes (cross-layer equalisation, Nagel et al. 2019; SmoothQuant, Xiao et
 * al. 2022), with the a for which the readers' sums keep the least noise in relation to their signal.
 */
import type { ChannelStatistics } from "./calibration.ts";
import type { Layer } from "./layer.ts";
import { gridStep } from "./round.ts";
import { toMatrix } from "./weight-matrix.ts";

/** Someone who reads channels that are to be scaled: by weights, or as they are. */
export interface ChannelReader {
  readonly layer: Layer | undefined;
  /** Index of each channel's factor. */
  readonly channels: Int32Array;
  readonly statistics: ChannelStatistics;
}

const exponents = [0.25, 0.4, 0.5, 0.6, 0.75, 0.9, 1] as const;
/** How far below zero channels may reach, as a share of how far above; those that reach further get larger factors. */
const depths = [1, 0.5, 0.25, 0.1, 0.03] as const;
/** Factors beyond this ratio say more about dead channels than about live ones. */
const largestRatio = 256;
/** Factors are for a gain, not for their own sake. */
const worthwhile = 0.95;

/** `size` factors of at most 1; undefined when none are better than nothing. */
export function bestFactors(size: number, readers: readonly ChannelReader[]): Float64Array | undefined {
  const bounds = boundsOf(size, readers);
  const weights = weightsOf(size, readers);
  const terms = readers.map(termsOf);
  let best: Float64Array | undefined;
  let least = worthwhile * noise(new Float64Array(size).fill(1), bounds, terms, true);
  const isOneSided = bounds.lower.every((value) => value === 0);
  for (const depth of isOneSided ? [1] : depths) {
    for (const exponent of exponents) {
      const factors = factorsOf(bounds, weights, depth, exponent);
      const error = factors ? noise(factors, bounds, terms, false) : Infinity;
      if (factors && error < least) [best, least] = [factors, error];
    }
  }
  return best;
}

interface Bounds {
  readonly lower: Float64Array;
  readonly upper: Float64Array;
}

function boundsOf(size: number, readers: readonly ChannelReader[]): Bounds {
  const lower = new Float64Array(size);
  const upper = new Float64Array(size);
  for (const { channels, statistics } of readers)
    for (const [c, index] of channels.entries()) {
      lower[index] = Math.min(lower[index] as number, statistics.lower[c] as number);
      upper[index] = Math.max(upper[index] as number, statistics.upper[c] as number);
    }
  return { lower, upper };
}

/** Largest weight of each channel, as a share of its reader's largest. */
function weightsOf(size: number, readers: readonly ChannelReader[]): Float64Array {
  const weights = new Float64Array(size);
  for (const { layer, channels } of readers) {
    if (!layer) continue;
    const own = new Float64Array(channels.length);
    forEachWeight(layer, (channel, _, at) => {
      own[channel] = Math.max(own[channel] as number, Math.abs(layer.tensor.data[at] as number));
    });
    const most = own.reduce((max, value) => Math.max(max, value), 0);
    for (const [c, index] of channels.entries())
      weights[index] = Math.max(weights[index] as number, most > 0 ? (own[c] as number) / most : 0);
  }
  return weights;
}

function factorsOf(
  { lower, upper }: Bounds,
  weights: Float64Array,
  depth: number,
  exponent: number,
): Float64Array | undefined {
  const raw = weights.map((weight, index) => {
    const range = Math.max(upper[index] as number, -(lower[index] as number) / depth);
    return range > 0 && weight > 0 ? range ** exponent / weight ** (1 - exponent) : 0;
  });
  const most = raw.reduce((max, value) => Math.max(max, value), 0);
  return most > 0 ? raw.map((value) => Math.max(value / most, 1 / largestRatio)) : undefined;
}

/** What the noise of a reader's sums is made of. */
interface Terms {
  readonly channels: Int32Array;
  /** Sum of the squares of the weights that read each channel. */
  readonly gains: Float64Array;
  readonly signal: number;
  readonly variances: Float64Array;
  readonly layer: Layer | undefined;
  /** Rows that int8 holds exactly as they are, which factors would end. */
  readonly exact: ReadonlySet<number>;
}

/** Means count for nothing: biases make up for what rounded weights do to them. */
function termsOf({ layer, channels, statistics }: ChannelReader): Terms {
  const variances = statistics.square.map((square, c) => Math.max(0, square - (statistics.mean[c] as number) ** 2));
  const gains = new Float64Array(channels.length);
  if (layer)
    forEachWeight(layer, (channel, _, at) => {
      gains[channel] = (gains[channel] as number) + (layer.tensor.data[at] as number) ** 2;
    });
  else gains.fill(1);
  const signal = gains.reduce((sum, gain, c) => sum + gain * (variances[c] as number), 0);
  return { channels, gains, signal, variances, layer, exact: layer ? rowsOnGrid(layer) : new Set() };
}

/**
 * Variance that rounding to eight bits brings to the readers' sums, each as a share of its signal's: of activations with one step for
 * all channels, step² / 12 times the squares of the weights; of weights with one step a row, step² / 12 times the
 * variances of the activations.
 */
function noise(factors: Float64Array, bounds: Bounds, readers: readonly Terms[], keepsGrid: boolean): number {
  let [low, high] = [0, 0];
  for (const [index, factor] of factors.entries()) {
    low = Math.min(low, (bounds.lower[index] as number) / factor);
    high = Math.max(high, (bounds.upper[index] as number) / factor);
  }
  const step = (high - low) / 255;
  let sum = 0;
  for (const { channels, gains, signal, variances, layer, exact } of readers) {
    if (signal === 0) continue;
    const factorOf = (channel: number): number => factors[channels[channel] as number] as number;
    let error = 0;
    for (const [c, gain] of gains.entries()) error += gain * (step * factorOf(c)) ** 2;
    if (layer) {
      const rows = layer.tensor.shape[layer.layout.channelAxis] ?? 0;
      const steps = new Float64Array(rows);
      const squares = new Float64Array(rows);
      forEachWeight(layer, (channel, row, at) => {
        const factor = factorOf(channel);
        steps[row] = Math.max(steps[row] as number, (Math.abs(layer.tensor.data[at] as number) * factor) / 127);
        squares[row] = (squares[row] as number) + (variances[channel] as number) / factor ** 2;
      });
      for (let row = 0; row < rows; row++)
        if (!keepsGrid || !exact.has(row)) error += (steps[row] as number) ** 2 * (squares[row] as number);
    }
    sum += error / (12 * signal);
  }
  return sum;
}

function rowsOnGrid(layer: Layer): ReadonlySet<number> {
  const { rows, columns, data } = toMatrix(layer.tensor, layer.layout);
  const found = Array.from({ length: rows }, (_, row) => row);
  return new Set(found.filter((row) => gridStep(data.subarray(row * columns, (row + 1) * columns)) !== undefined));
}

/** Every weight with the channel of the input that it reads and the row, or channel of the output, that it belongs to. */
export function forEachWeight(layer: Layer, visit: (channel: number, row: number, at: number) => void): void {
  const { tensor, layout, groups } = layer;
  const { shape } = tensor;
  const rows = shape[layout.channelAxis] ?? 0;
  const perGroup = shape[layout.contractionAxis] ?? 0;
  const inner = shape.slice(2).reduce((product, extent) => product * extent, 1);
  for (let row = 0; row < rows; row++) {
    const offset = Math.floor((row * groups) / rows) * perGroup;
    for (let c = 0; c < perGroup; c++)
      for (let k = 0; k < inner; k++)
        visit(offset + c, row, layout.channelAxis === 0 ? (row * perGroup + c) * inner + k : c * rows + row);
  }
}
