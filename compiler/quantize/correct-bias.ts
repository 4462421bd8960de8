/**
 * Bias correction (Nagel et al. 2019, section 4.2): rounding the weights moves the mean of every output channel by
 * E[(W - Q(W)) x] = (W - Q(W)) E[x]; the bias takes it back. E[x] per input channel comes from samples, or without data
 * from batch norms (norm-statistics.ts). Zero padding is left out of account.
 */
import type { Tensor } from "../../runtime/format/tensor.ts";
import type { Graph } from "../graph/graph.ts";
import type { Calibration } from "./calibration.ts";
import type { Layer } from "./layer.ts";

/** The layer's bias for weights `rounded`; undefined where the means are not known or the layer has no constant bias. */
export function correctedBias(
  { node, kind, tensor, layout, groups }: Layer,
  rounded: Tensor<"float32">,
  graph: Graph,
  calibration: Calibration,
): Float32Array | undefined {
  const [x, , bias] = node.inputs;
  const means = x && calibration.channels.get(x.name)?.mean;
  const old = bias && graph.constants.get(bias);
  if (!means || (kind !== "conv" && kind !== "matmul") || (bias && old?.dtype !== "float32")) return undefined;
  const { shape } = tensor;
  const outputs = shape[layout.channelAxis] ?? 0;
  const perGroup = shape[layout.contractionAxis] ?? 0;
  if (perGroup * groups !== means.length) return undefined;
  const inner = shape.slice(2).reduce((product, extent) => product * extent, 1);
  const result = Float64Array.from({ length: outputs }, (_, channel) => Number(old?.data[channel] ?? 0));
  const channelFirst = layout.channelAxis === 0;
  for (let channel = 0; channel < outputs; channel++) {
    const offset = Math.floor((channel * groups) / outputs) * perGroup;
    let shift = 0;
    for (let c = 0; c < perGroup; c++) {
      const mean = means[offset + c] as number;
      for (let k = 0; k < inner; k++) {
        const at = channelFirst ? (channel * perGroup + c) * inner + k : c * outputs + channel;
        shift += ((tensor.data[at] as number) - (rounded.data[at] as number)) * mean;
      }
    }
    result[channel] = (result[channel] as number) + shift;
  }
  return Float32Array.from(result);
}
