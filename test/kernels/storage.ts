/** Constants rounded to a storage, as the budget stage hands them to `pack`. */
import type { Storage } from "../../compiler/graph/graph.ts";
import type { WeightStorage } from "../../compiler/kernels/problem.ts";
import { float16ToNumber, numberToFloat16 } from "../../runtime/format/half.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";

export function stored(
  tensor: Tensor<"float32">,
  kind: WeightStorage,
  axis: number,
): { readonly tensor: Tensor<"float32">; readonly storage?: Storage } {
  if (kind === "float32") return { tensor };
  if (kind === "float16") {
    const data = tensor.data.map((value) => float16ToNumber(numberToFloat16(value)));
    return { tensor: { ...tensor, data }, storage: { kind } };
  }
  const count = tensor.shape[axis] ?? 1;
  const inner = tensor.shape.slice(axis + 1).reduce((product, extent) => product * extent, 1);
  const channelOf = (index: number): number => Math.floor(index / inner) % count;
  const scales = new Float32Array(count);
  tensor.data.forEach((value, index) => {
    scales[channelOf(index)] = Math.max(scales[channelOf(index)] as number, Math.abs(value) / 127);
  });
  const data = tensor.data.map((value, index) => {
    const scale = scales[channelOf(index)] as number;
    return Math.round(value / scale) * scale;
  });
  return { tensor: { ...tensor, data }, storage: { kind, axis, scales } };
}
