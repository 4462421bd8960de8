/** Depthwise convolutions against the reference, over shapes, views, epilogues, storages and split ranges. */
import { describe, test } from "vitest";
import { depthwiseFamily } from "../../compiler/kernels/depthwise/family.ts";
import { binary, constant, input, unary } from "../../runtime/format/expression.ts";
import { type ConvolutionForm, convolutionCase, type Layout } from "./convolution-case.ts";
import { checkProduct, targets } from "./product.ts";

const relu = binary("maximum", input(0), constant(0));
const silu = binary("multiply", input(0), unary("sigmoid", input(0)));
const residual = binary("maximum", binary("add", input(0), input(1)), constant(0));
const around = [1, 1, 1, 1] as const;

const cases: Readonly<Record<string, ConvolutionForm & Layout>> = {
  "3x3": { size: [7, 9], channels: [16, 16], kernel: [3, 3], pads: around, groups: 16 },
  "3x3, ragged channels": {
    size: [6, 8],
    channels: [15, 15],
    kernel: [3, 3],
    pads: around,
    groups: 15,
    epilogue: relu,
  },
  "few channels, narrow": { size: [4, 3], channels: [3, 3], kernel: [3, 3], pads: around, groups: 3 },
  "stride 2": { size: [9, 11], channels: [12, 12], kernel: [3, 3], pads: around, groups: 12, stride: 2 },
  batch: { batch: 2, size: [5, 5], channels: [9, 9], kernel: [3, 3], pads: around, groups: 9, epilogue: silu },
  "5x5": { size: [9, 8], channels: [8, 8], kernel: [5, 5], pads: [2, 2, 2, 2], groups: 8 },
  "long row": { size: [1, 20], channels: [8, 8], kernel: [1, 7], pads: [0, 3, 0, 3], groups: 8 },
  column: { size: [12, 1], channels: [10, 10], kernel: [7, 1], pads: [3, 0, 3, 0], groups: 10 },
  dilation: { size: [9, 9], channels: [8, 8], kernel: [3, 3], dilation: 2, pads: [2, 2, 2, 2], groups: 8 },
  "dilation and stride": {
    size: [11, 11],
    channels: [8, 8],
    kernel: [3, 3],
    dilation: 2,
    stride: 3,
    pads: [2, 2, 2, 2],
    groups: 8,
  },
  multiplier: { size: [5, 6], channels: [3, 9], kernel: [3, 3], pads: around, groups: 3 },
  "member of a concatenation": {
    size: [5, 6],
    channels: [8, 8],
    kernel: [3, 3],
    pads: around,
    groups: 8,
    sideChannels: 3,
    inputSideChannels: 5,
  },
  "bordered output": {
    size: [5, 6],
    channels: [8, 8],
    kernel: [3, 3],
    pads: around,
    groups: 8,
    outputHalo: { top: 1, left: 1, bottom: 1, right: 1, value: 0 },
    epilogue: silu,
  },
  residual: {
    size: [5, 6],
    channels: [8, 8],
    kernel: [3, 3],
    pads: around,
    groups: 8,
    epilogue: residual,
    operands: [[1, 5, 6, 8]],
  },
  "residual per channel": {
    size: [5, 6],
    channels: [7, 7],
    kernel: [3, 3],
    pads: around,
    groups: 7,
    epilogue: residual,
    operands: [[7]],
  },
  float16: { size: [5, 6], channels: [11, 11], kernel: [3, 3], pads: around, groups: 11, storage: "float16" },
  int8: { size: [5, 6], channels: [11, 11], kernel: [3, 3], pads: around, groups: 11, storage: "int8" },
};

describe.each(depthwiseFamily.variants.map((variant) => ({ variant, name: variant.name })))("$name", ({ variant }) => {
  describe.each(targets)("$name", (target) => {
    test.each(Object.entries(cases))("%s", (_, window) => {
      const { problem, item, expected } = convolutionCase(window);
      const whole = {
        ...item,
        family: depthwiseFamily,
        variant,
        problem: { family: "depthwise", ...problem } as const,
      };
      checkProduct(target, whole, expected, item.outputShape[0]! * item.outputShape[1]!);
    });
  });
});
