/** Convolution problems with random operands, views and what the reference makes of them. */
import type { Variant } from "../../compiler/kernels/contract.ts";
import type { BlockForm, ConvProblem, PlainStorage } from "../../compiler/kernels/problem.ts";
import type { Expression } from "../../runtime/format/expression.ts";
import { leafcutterConv } from "../../runtime/reference/leafcutter-conv.ts";
import { type ProductCase, randomTensor } from "./product.ts";
import { stored, storedInBlocks } from "./storage.ts";
import { type Window, windowAttributes, windowFields } from "./window.ts";

export interface ConvolutionForm extends Window {
  readonly channels: readonly [input: number, output: number];
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
export function convolutionCase(window: ConvolutionForm & Layout) {
  const { channels, kernel, groups = 1 } = window;
  const fields = windowFields(window);
  const storage = window.storage ?? "float32";
  const problem = {
    ...fields,
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
    randomTensor([fields.batch, ...window.size, channels[0]], 1),
    weights.tensor,
    window.bias === false ? undefined : randomTensor([channels[1]], 3),
    ...(window.operands ?? []).map((shape, k) => randomTensor(shape, 4 + k)),
  ];
  const [expected] = leafcutterConv({
    version: 1,
    attributes: {
      ...windowAttributes(window, groups),
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
      outputShape: [fields.batch, fields.outputHeight, fields.outputWidth, channels[1]],
      ...(weights.storage ? { storage: weights.storage } : {}),
      ...(sideChannels === undefined ? {} : { sideChannels }),
      ...(inputSideChannels === undefined ? {} : { inputSideChannels }),
      ...(outputHalo ? { outputHalo } : {}),
    },
    expected: expected!.data as Float32Array,
  };
}
