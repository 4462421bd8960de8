/** Dense and grouped convolutions against the reference, over shapes, views, epilogues, storages and split ranges. */
import { describe, test } from "vitest";
import { convFamily } from "../../compiler/kernels/conv/family.ts";
import { binary, constant, input, unary } from "../../runtime/format/expression.ts";
import { type ConvolutionForm, convolutionCase, type Layout } from "./convolution-case.ts";
import { checkProduct, targets } from "./product.ts";

const relu = binary("maximum", input(0), constant(0));
const silu = binary("multiply", input(0), unary("sigmoid", input(0)));
const residual = binary("maximum", binary("add", input(0), input(1)), constant(0));

const cases: Readonly<Record<string, ConvolutionForm & Layout>> = {
  "3x3": { size: [7, 9], channels: [8, 16], kernel: [3, 3], pads: [1, 1, 1, 1] },
  "3x3, many panels": { size: [12, 13], channels: [64, 37], kernel: [3, 3], pads: [1, 1, 1, 1], bias: true },
  "3x3, unpadded batch": { batch: 2, size: [9, 8], channels: [12, 16], kernel: [3, 3], epilogue: silu },
  "3x3, one pixel": { size: [1, 1], channels: [16, 8], kernel: [3, 3], pads: [1, 1, 1, 1], bias: true },
  "3x3 residual": {
    size: [5, 6],
    channels: [8, 19],
    kernel: [3, 3],
    pads: [1, 1, 1, 1],
    epilogue: residual,
    operands: [[1, 5, 6, 19]],
  },
  "1x1, one channel": { size: [5, 5], channels: [1, 1], kernel: [1, 1] },
  "1x1, ragged": { size: [5, 7], channels: [13, 21], kernel: [1, 1], bias: true },
  "no bias, relu": { size: [6, 6], channels: [5, 11], kernel: [3, 3], pads: [1, 1, 1, 1], bias: false, epilogue: relu },
  stem: { size: [16, 18], channels: [3, 8], kernel: [3, 3], stride: 2, pads: [0, 0, 1, 1], epilogue: relu },
  batch: { batch: 3, size: [4, 3], channels: [4, 8], kernel: [3, 3], pads: [1, 1, 1, 1] },
  "batch, epilogue": { batch: 2, size: [4, 3], channels: [4, 9], kernel: [3, 3], pads: [1, 1, 1, 1], epilogue: silu },
  "wide kernel": { size: [8, 8], channels: [2, 8], kernel: [5, 7], pads: [2, 3, 2, 3] },
  column: { size: [9, 1], channels: [6, 10], kernel: [3, 1], pads: [1, 0, 1, 0] },
  row: { size: [1, 9], channels: [6, 10], kernel: [1, 3], pads: [0, 1, 0, 1] },
  "row of a member": { size: [1, 9], channels: [6, 10], kernel: [1, 3], pads: [0, 1, 0, 1], inputSideChannels: 2 },
  dilation: { size: [9, 9], channels: [8, 8], kernel: [3, 3], dilation: 2, pads: [2, 2, 2, 2] },
  groups: { size: [5, 6], channels: [12, 20], kernel: [3, 3], groups: 4, pads: [1, 1, 1, 1], bias: true },
  "member of a concatenation": {
    size: [5, 6],
    channels: [8, 12],
    kernel: [3, 3],
    pads: [1, 1, 1, 1],
    sideChannels: 3,
    inputSideChannels: 5,
    epilogue: relu,
  },
  "bordered output": {
    batch: 2,
    size: [5, 6],
    channels: [8, 16],
    kernel: [3, 3],
    pads: [1, 1, 1, 1],
    outputHalo: { top: 1, left: 1, bottom: 1, right: 1, value: 0 },
    epilogue: silu,
  },
  residual: { size: [5, 6], channels: [8, 19], kernel: [1, 1], epilogue: residual, operands: [[1, 5, 6, 19]] },
  "residual, whole panels": {
    size: [5, 6],
    channels: [8, 24],
    kernel: [1, 1],
    epilogue: residual,
    operands: [[1, 5, 6, 24]],
  },
  "3x3 residual, whole panels": {
    batch: 2,
    size: [5, 7],
    channels: [8, 16],
    kernel: [3, 3],
    pads: [1, 1, 1, 1],
    epilogue: residual,
    operands: [[2, 5, 7, 16]],
  },
  "residual per channel, whole panels": {
    size: [5, 6],
    channels: [8, 16],
    kernel: [1, 1],
    epilogue: residual,
    operands: [[16]],
  },
  "residual per channel": { size: [5, 6], channels: [8, 19], kernel: [1, 1], epilogue: residual, operands: [[19]] },
  "residual of one value": { size: [5, 6], channels: [8, 19], kernel: [1, 1], epilogue: residual, operands: [[1]] },
  "many rows": { size: [20, 200], channels: [32, 8], kernel: [1, 1], epilogue: silu },
  float16: { size: [5, 6], channels: [8, 19], kernel: [3, 3], pads: [1, 1, 1, 1], storage: "float16", bias: true },
  int8: { size: [5, 6], channels: [9, 19], kernel: [3, 3], pads: [1, 1, 1, 1], storage: "int8", bias: true },
  "int8 groups": {
    size: [5, 6],
    channels: [9, 18],
    kernel: [3, 3],
    pads: [1, 1, 1, 1],
    groups: 3,
    storage: "int8",
    bias: true,
  },
  int4: {
    size: [5, 6],
    channels: [72, 21],
    kernel: [3, 3],
    pads: [1, 1, 1, 1],
    bias: true,
    blocks: { kind: "int4", size: 32, zeros: true, scaleType: "float16" },
  },
  "int4, grouped": {
    size: [4, 5],
    channels: [33, 18],
    kernel: [2, 3],
    groups: 3,
    bias: false,
    blocks: { kind: "int4", size: 16, zeros: false, scaleType: "float32" },
  },
  nf4: {
    size: [4, 6],
    channels: [20, 11],
    kernel: [3, 3],
    pads: [1, 1, 1, 1],
    bias: true,
    blocks: { kind: "nf4", size: 16, zeros: false, scaleType: "float16" },
  },
  "more padding than kernel": { size: [3, 3], channels: [4, 8], kernel: [1, 1], pads: [2, 1, 1, 2], bias: true },
};

describe.each(convFamily.variants.map((variant) => ({ variant, name: variant.name })))("$name", ({ variant }) => {
  describe.each(targets)("$name", (target) => {
    const built = Object.entries(cases).map(([name, window]) => {
      const { problem, groups, item, expected, inBlocks } = convolutionCase(window);
      const whole = {
        ...item,
        family: convFamily,
        variant,
        problem: { family: "conv", groups, ...problem, ...inBlocks } as const,
      };
      return { name, whole, expected };
    });
    test.each(built.filter(({ whole }) => convFamily.accepts(variant, whole.problem)))(
      "$name",
      ({ whole, expected }) => {
        const [batch = 1, height = 1] = whole.outputShape;
        checkProduct(target, whole, expected, batch * (variant.winograd ? Math.ceil(height / 2) : height));
      },
    );
  });
});
