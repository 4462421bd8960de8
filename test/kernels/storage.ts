/** Constants rounded to a storage, as the budget stage hands them to `pack`. */
import { blockIndex, blockShape } from "../../compiler/graph/blocks.ts";
import type { BlockStorage, Storage } from "../../compiler/graph/graph.ts";
import { nf4Code } from "../../compiler/graph/nf4.ts";
import type { BlockForm, PlainStorage } from "../../compiler/kernels/problem.ts";
import { float16ToNumber, numberToFloat16 } from "../../runtime/format/half.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";

export function stored(
  tensor: Tensor<"float32">,
  kind: PlainStorage,
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

/** Every block has a scale and a zero of its own, and q takes every value. */
export function storedInBlocks(
  tensor: Tensor<"float32">,
  kind: BlockStorage["kind"],
  axis: number,
  { size, zeros, scaleType }: Omit<BlockForm, "bias">,
): { readonly tensor: Tensor<"float32">; readonly storage: BlockStorage } {
  const { shape } = tensor;
  const lines = { axis, blockSize: size };
  const blocks = blockShape(shape, lines).reduce((product, extent) => product * extent, 1);
  const half = scaleType === "float16";
  const scales = new Float32Array(blocks).map((_, block) => {
    const scale = (0.03 + ((block * 7) % 11) / 160) * (block % 5 === 4 ? -1 : 1);
    return half ? float16ToNumber(numberToFloat16(scale)) : scale;
  });
  const ownZeros = zeros ? new Uint8Array(blocks).map((_, block) => (block * 5 + 3) % 16) : undefined;
  const blockOf = blockIndex(shape, lines);
  const data = tensor.data.map((value, index) => {
    const block = blockOf(index);
    const q = Math.min(15, Math.floor((value + 1) * 8));
    const step = kind === "nf4" ? (nf4Code[q] as number) : q - (ownZeros?.[block] ?? 8);
    return Math.fround((scales[block] as number) * step) + 0;
  });
  return {
    tensor: { ...tensor, data },
    storage: {
      kind,
      ...lines,
      scales,
      ...(half ? {} : { scaleType: "float32" }),
      ...(ownZeros ? { zeros: ownZeros } : {}),
    },
  };
}
