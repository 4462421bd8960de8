/** Transposed convolutions against the reference, over strides, dilations, groups, views, epilogues and storages. */
import { describe, test } from "vitest";
import { convTransposeFamily } from "../../compiler/kernels/conv-transpose/family.ts";
import type { BlockForm, ConvTransposeProblem, PlainStorage } from "../../compiler/kernels/problem.ts";
import { binary, constant, type Expression, input, unary } from "../../runtime/format/expression.ts";
import { leafcutterConvTranspose } from "../../runtime/reference/leafcutter-conv.ts";
import { checkProduct, randomTensor, targets } from "./product.ts";
import { stored, storedInBlocks } from "./storage.ts";
import { type Window, windowAttributes, windowFields } from "./window.ts";

interface Form extends Window {
  readonly channels: readonly [input: number, output: number];
  /** Further rows and columns behind. */
  readonly more?: number;
  readonly groups?: number;
  readonly epilogue?: Expression;
  readonly operands?: readonly (readonly number[])[];
  readonly storage?: PlainStorage;
  /** Weights in blocks along the input channels, instead. */
  readonly blocks?: Omit<BlockForm, "bias"> & { readonly kind: "int4" | "nf4" };
  readonly sideChannels?: number;
}

const relu = binary("maximum", input(0), constant(0));
const sum = binary("add", unary("tanh", input(0)), input(1));

const cases: Readonly<Record<string, Form>> = {
  "2x2 stride 2": { size: [4, 7], channels: [8, 16], kernel: [2, 2], stride: 2 },
  "4x4 stride 2": {
    batch: 2,
    size: [4, 5],
    channels: [5, 9],
    kernel: [4, 4],
    stride: 2,
    pads: [1, 1, 1, 1],
    epilogue: relu,
  },
  "3x3 stride 2, more": { size: [4, 5], channels: [5, 9], kernel: [3, 3], stride: 2, pads: [1, 1, 1, 1], more: 1 },
  "stride 1": { size: [4, 5], channels: [6, 8], kernel: [3, 3], pads: [1, 1, 1, 1] },
  "gaps between the taps": { size: [3, 4], channels: [4, 8], kernel: [1, 2], stride: 3 },
  "one row": { size: [1, 9], channels: [4, 8], kernel: [1, 8], stride: 4, pads: [0, 2, 0, 2] },
  dilation: { size: [4, 4], channels: [4, 8], kernel: [3, 3], stride: 2, dilation: 3 },
  "dilation that divides": {
    size: [4, 4],
    channels: [4, 8],
    kernel: [3, 3],
    stride: 4,
    dilation: 2,
    pads: [1, 0, 0, 1],
  },
  groups: { size: [4, 4], channels: [6, 10], kernel: [3, 3], stride: 2, groups: 2, sideChannels: 2 },
  operand: { size: [3, 3], channels: [4, 8], kernel: [2, 2], stride: 2, epilogue: sum, operands: [[1, 6, 6, 8]] },
  "operand per channel": { size: [3, 3], channels: [4, 9], kernel: [2, 2], stride: 2, epilogue: sum, operands: [[9]] },
  float16: { size: [4, 4], channels: [6, 10], kernel: [3, 3], stride: 2, storage: "float16" },
  int8: { size: [4, 4], channels: [6, 10], kernel: [3, 3], stride: 2, groups: 2, storage: "int8" },
  int4: {
    size: [4, 4],
    channels: [37, 11],
    kernel: [3, 3],
    stride: 2,
    pads: [1, 1, 1, 1],
    blocks: { kind: "int4", size: 16, zeros: true, scaleType: "float16" },
  },
  "symmetric int4": {
    size: [3, 4],
    channels: [32, 3],
    kernel: [2, 2],
    stride: 2,
    epilogue: relu,
    blocks: { kind: "int4", size: 32, zeros: false, scaleType: "float32" },
  },
  nf4: {
    size: [4, 4],
    channels: [20, 16],
    kernel: [1, 5],
    dilation: 2,
    blocks: { kind: "nf4", size: 16, zeros: false, scaleType: "float16" },
  },
};

function build(window: Form) {
  const { size, channels, kernel, stride = 1, dilation = 1, pads = [0, 0, 0, 0], groups = 1 } = window;
  const { more = 0, operands = [], storage = "float32", blocks } = window;
  const extent = (axis: 0 | 1): number =>
    (size[axis] - 1) * stride + (kernel[axis] - 1) * dilation + 1 - pads[axis] - pads[axis + 2]! + more;
  const fields = windowFields(window, extent);
  const outputShape = [fields.batch, extent(0), extent(1), channels[1]];
  const problem: ConvTransposeProblem = {
    family: "conv-transpose",
    ...fields,
    groups,
    inputChannels: channels[0],
    outputChannels: channels[1],
    ...(blocks ? { storage: blocks.kind, blocks: { ...blocks, bias: true } } : { storage }),
    epilogue: window.epilogue,
    epilogueOperands: operands.length,
  };
  const random = randomTensor([channels[0], channels[1] / groups, ...kernel], 2);
  const weights = blocks ? storedInBlocks(random, blocks.kind, 0, blocks) : stored(random, storage, 1);
  const tensors = [
    randomTensor([fields.batch, ...size, channels[0]], 1),
    weights.tensor,
    randomTensor([channels[1]], 3),
    ...operands.map((shape, k) => randomTensor(shape, 4 + k)),
  ];
  const [expected] = leafcutterConvTranspose({
    version: 1,
    attributes: {
      ...windowAttributes(window, groups),
      outputShape: [extent(0), extent(1)],
      ...(window.epilogue ? { epilogue: window.epilogue } : {}),
    },
    inputs: tensors,
    outputCount: 1,
  });
  return {
    item: {
      family: convTransposeFamily,
      problem,
      tensors,
      outputShape,
      ...(weights.storage ? { storage: weights.storage } : {}),
      ...(window.sideChannels === undefined ? {} : { sideChannels: window.sideChannels }),
    },
    expected: expected!.data as Float32Array,
  };
}

describe.each(convTransposeFamily.variants.map((variant) => ({ variant, name: variant.name })))(
  "$name",
  ({ variant }) => {
    describe.each(targets)("$name", (target) => {
      test.each(Object.entries(cases))("%s", (_, window) => {
        const { item, expected } = build(window);
        checkProduct(target, { ...item, variant }, expected, item.outputShape[0]! * item.outputShape[1]!);
      });
    });
  },
);
