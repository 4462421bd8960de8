/**
 * One layer's weights rounded to a scheme, as well as what is known of the layer's input allows. The one entry for all
 * weight rounding: the result's tensor holds exactly what a kernel reads back from the storage.
 */
import type { Tensor } from "../../runtime/format/tensor.ts";
import type { BlockStorage, Storage } from "../graph/graph.ts";
import { roundToBlocks } from "./blocks.ts";
import type { InputStatistics } from "./input-statistics.ts";
import { roundToFloat16, roundToInt8 } from "./round.ts";
import type { Scheme } from "./scheme.ts";
import { fromMatrix, shapeOfBlocks, toMatrix, type WeightLayout } from "./weight-matrix.ts";

export interface RoundedWeights {
  readonly tensor: Tensor<"float32">;
  /** undefined: stored as float32. */
  readonly storage: Storage | BlockStorage | undefined;
}

/** Fewest values that share a scale in blocks: below it the scales outweigh what four bits save. */
const fewestPerBlock = 8;

/**
 * `statistics` of the layer's input make errors count as they do in the product; without them all weights count alike.
 * undefined where the scheme cannot hold the weights: values that are not finite or out of range, blocks of
 * a few values.
 */
export function roundWeights(
  tensor: Tensor<"float32">,
  scheme: Scheme,
  layout: WeightLayout,
  statistics?: InputStatistics,
): RoundedWeights | undefined {
  switch (scheme.kind) {
    case "float32":
      return { tensor, storage: undefined };
    case "float16":
      return roundToFloat16(tensor);
    case "int8":
    case "int8-weights":
      return roundToInt8(tensor, layout.channelAxis);
    case "int4":
    case "nf4": {
      const { kind, blockSize } = scheme;
      const { shape } = tensor;
      if ((shape[layout.contractionAxis] ?? 1) < fewestPerBlock || !tensor.data.every(Number.isFinite))
        return undefined;
      const rounded = roundToBlocks(toMatrix(tensor, layout), scheme, statistics);
      if (!rounded) return undefined;
      const ofBlocks = shapeOfBlocks(shape, layout, blockSize);
      const scales = fromMatrix(rounded.scales, ofBlocks, layout);
      const zeros = rounded.zeros && fromMatrix(rounded.zeros, ofBlocks, layout);
      return {
        tensor: { ...tensor, data: fromMatrix(rounded.values, shape, layout) },
        storage: { kind, axis: layout.contractionAxis, blockSize, scales, ...(zeros ? { zeros } : {}) },
      };
    }
  }
}
