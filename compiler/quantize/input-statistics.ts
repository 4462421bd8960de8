/** What is known of the input of one layer with constant weights, in the order of WeightMatrix's columns. */
import type { Calibration } from "./calibration.ts";
import type { Layer } from "./layer.ts";

export interface InputStatistics {
  /** Mean of x_i^2, one per column. */
  readonly meanSquares: Float64Array;
  /** Mean of x_i x_j, row-major, columns by columns; absent when only the mean squares are known. */
  readonly moments?: Float64Array;
}

/** Whether each output is a sum over the last axis of the input alone: a product, or a convolution by 1 x 1. */
export function isProduct({ kind, tensor, groups }: Layer): boolean {
  return (
    kind === "matmul" || (kind === "conv" && groups === 1 && tensor.shape.slice(2).every((extent) => extent === 1))
  );
}

/**
 * undefined where the calibration does not know the input, or only from inputs that are nothing like real ones. For the
 * window of a convolution, the mean squares of the channels at every tap.
 */
export function statisticsOf(layer: Layer, calibration: Calibration | undefined): InputStatistics | undefined {
  const { node, kind, tensor, layout, groups } = layer;
  const [input] = node.inputs;
  if (!input || !calibration || (calibration.source !== "samples" && calibration.source !== "own text"))
    return undefined;
  const squares = calibration.channels.get(input.name)?.square;
  if (!squares || kind === "table" || groups !== 1 || tensor.shape[layout.contractionAxis] !== squares.length)
    return undefined;
  const columns = tensor.data.length / (tensor.shape[layout.channelAxis] ?? 1);
  const moments = isProduct(layer) ? calibration.moments?.get(input.name) : undefined;
  return {
    meanSquares: Float64Array.from({ length: columns }, (_, column) => squares[column % squares.length] as number),
    ...(moments ? { moments } : {}),
  };
}
