/** Convolution problems with random operands, views and what the reference makes of them. */
import type { Variant } from "../../compiler/kernels/contract.ts";
import type { BlockForm, ConvProblem, PlainStorage } from "../../compiler/kernels/problem.ts";
import type { Expression } from "../../runtime/format/expression.ts";
import { leafcutterConv } from "../../runtime/reference/leafcutter-conv.ts";
import { type ProductCase, randomTensor } from "./product.ts";
import { stored, storedInBlocks } from "./storage.ts";

export interface Window {
  readonly batch?: number;
  readonly size: readonly [number, number];
  readonly channels: readonly [input: number, output: number];
  readonly kernel: readonly [number, number];
  readonly stride?: number;
  readonly dilation?: number;
  readonly pads?: readonly [number, number, number, number];
  readonly groups?: number;
  readonly bias?: boolean;
  readonly epilogue?: Expression;
  readonly operands?: readonly (readonly number[])[];
  readonly storage?: PlainStorage;
  /** Weights in blocks along the input channels, instead. */
  readonly blocks?: Omit<BlockForm, "bias"> & { readonly kind: "int4" | "nf4" };
}

export type Layout = Pick<ProductCase<ConvProblem, Variant>, "sideChannels" | "inputSideChannels" | "outputHalo">;

/** The problem's window and operands, and the reference's result. */
export function convolutionCase(window: Window & Layout) {
  const { batch = 1, size, channels, kernel, stride = 1, dilation = 1, pads = [0, 0, 0, 0], groups = 1 } = window;
  const extent = (axis: 0 | 1): number =>
    Math.floor((size[axis] + pads[axis] + pads[axis + 2]! - (kernel[axis] - 1) * dilation - 1) / stride) + 1;
  const storage = window.storage ?? "float32";
  const problem = {
    batch,
    inputHeight: size[0],
    inputWidth: size[1],
    outputHeight: extent(0),
    outputWidth: extent(1),
    kernelHeight: kernel[0],
    kernelWidth: kernel[1],
    strideHeight: stride,
    strideWidth: stride,
    dilationHeight: dilation,
    dilationWidth: dilation,
    padTop: pads[0],
    padLeft: pads[1],
    inputChannels: channels[0],
    outputChannels: channels[1],
    storage,
    epilogue: window.epilogue,
    epilogueOperands: window.operands?.length ?? 0,
  };
  const random = randomTensor([channels[1], channels[0] / groups, ...kernel], 2);
  const { blocks } = window;
  const weights = blocks ? storedInBlocks(random, blocks.kind, 1, blocks) : stored(random, storage, 0);
  const tensors = [
    randomTensor([batch, ...size, channels[0]], 1),
    weights.tensor,
    window.bias === false ? undefined : randomTensor([channels[1]], 3),
    ...(window.operands ?? []).map((shape, k) => randomTensor(shape, 4 + k)),
  ];
  const [expected] = leafcutterConv({
    version: 1,
    attributes: {
      strides: [stride, stride],
      dilations: [dilation, dilation],
      pads: [...pads],
      group: groups,
      kernel_shape: [...kernel],
      ...(window.epilogue ? { epilogue: window.epilogue } : {}),
    },
    inputs: tensors,
    outputCount: 1,
  });
  const { sideChannels, inputSideChannels, outputHalo } = window;
  return {
    problem,
    groups,
    ...(blocks ? { inBlocks: { storage: blocks.kind, blocks: { ...blocks, bias: window.bias !== false } } } : {}),
    item: {
      tensors,
      outputShape: [batch, extent(0), extent(1), channels[1]],
      ...(weights.storage ? { storage: weights.storage } : {}),
      ...(sideChannels === undefined ? {} : { sideChannels }),
      ...(inputSideChannels === undefined ? {} : { inputSideChannels }),
      ...(outputHalo ? { outputHalo } : {}),
    },
    expected: expected!.data as Float32Array,
  };
}
