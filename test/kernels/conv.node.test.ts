/** Dense and grouped convolutions against the reference, over shapes, views, epilogues, storages and split ranges. */
import { describe, expect, test } from "vitest";
import { convFamily } from "../../compiler/kernels/conv/family.ts";
import type { ConvProblem } from "../../compiler/kernels/problem.ts";
import { binary, constant, type Expression, input, unary } from "../../runtime/format/expression.ts";
import { leafcutterConv } from "../../runtime/reference/leafcutter-conv.ts";
import { largestError, type ProductCase, randomTensor, runProduct, targets } from "./product.ts";
import { stored } from "./storage.ts";

interface Window {
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
  readonly storage?: ConvProblem["storage"];
}

type Layout = Pick<ProductCase<ConvProblem, never>, "sideChannels" | "inputSideChannels" | "outputHalo">;

const relu = binary("maximum", input(0), constant(0));
const silu = binary("multiply", input(0), unary("sigmoid", input(0)));
const residual = binary("maximum", binary("add", input(0), input(1)), constant(0));

const cases: Readonly<Record<string, Window & Layout>> = {
  "3x3": { size: [7, 9], channels: [8, 16], kernel: [3, 3], pads: [1, 1, 1, 1] },
  "1x1, one channel": { size: [5, 5], channels: [1, 1], kernel: [1, 1] },
  "1x1, ragged": { size: [5, 7], channels: [13, 21], kernel: [1, 1], bias: true },
  "no bias, relu": { size: [6, 6], channels: [5, 11], kernel: [3, 3], pads: [1, 1, 1, 1], bias: false, epilogue: relu },
  "stem": { size: [16, 18], channels: [3, 8], kernel: [3, 3], stride: 2, pads: [0, 0, 1, 1], epilogue: relu },
  "batch": { batch: 3, size: [4, 3], channels: [4, 8], kernel: [3, 3], pads: [1, 1, 1, 1] },
  "batch, epilogue": { batch: 2, size: [4, 3], channels: [4, 9], kernel: [3, 3], pads: [1, 1, 1, 1], epilogue: silu },
  "wide kernel": { size: [8, 8], channels: [2, 8], kernel: [5, 7], pads: [2, 3, 2, 3] },
  "column": { size: [9, 1], channels: [6, 10], kernel: [3, 1], pads: [1, 0, 1, 0] },
  "row": { size: [1, 9], channels: [6, 10], kernel: [1, 3], pads: [0, 1, 0, 1] },
  "row of a member": { size: [1, 9], channels: [6, 10], kernel: [1, 3], pads: [0, 1, 0, 1], inputSideChannels: 2 },
  "dilation": { size: [9, 9], channels: [8, 8], kernel: [3, 3], dilation: 2, pads: [2, 2, 2, 2] },
  "groups": { size: [5, 6], channels: [12, 20], kernel: [3, 3], groups: 4, pads: [1, 1, 1, 1], bias: true },
  "member of a concatenation": { size: [5, 6], channels: [8, 12], kernel: [3, 3], pads: [1, 1, 1, 1], sideChannels: 3, inputSideChannels: 5, epilogue: relu },
  "bordered output": { batch: 2, size: [5, 6], channels: [8, 16], kernel: [3, 3], pads: [1, 1, 1, 1], outputHalo: { top: 1, left: 1, bottom: 1, right: 1, value: 0 }, epilogue: silu },
  "residual": { size: [5, 6], channels: [8, 19], kernel: [1, 1], epilogue: residual, operands: [[1, 5, 6, 19]] },
  "residual per channel": { size: [5, 6], channels: [8, 19], kernel: [1, 1], epilogue: residual, operands: [[19]] },
  "residual of one value": { size: [5, 6], channels: [8, 19], kernel: [1, 1], epilogue: residual, operands: [[1]] },
  "many rows": { size: [40, 400], channels: [32, 8], kernel: [1, 1], epilogue: silu },
  "float16": { size: [5, 6], channels: [8, 19], kernel: [3, 3], pads: [1, 1, 1, 1], storage: "float16", bias: true },
  "int8": { size: [5, 6], channels: [9, 19], kernel: [3, 3], pads: [1, 1, 1, 1], storage: "int8", bias: true },
  "int8 groups": { size: [5, 6], channels: [9, 18], kernel: [3, 3], pads: [1, 1, 1, 1], groups: 3, storage: "int8", bias: true },
  "more padding than kernel": { size: [3, 3], channels: [4, 8], kernel: [1, 1], pads: [2, 1, 1, 2], bias: true },
};

function build(window: Window & Layout) {
  const { batch = 1, size, channels, kernel, stride = 1, dilation = 1, pads = [0, 0, 0, 0], groups = 1 } = window;
  const extent = (axis: 0 | 1): number =>
    Math.floor((size[axis] + pads[axis] + pads[axis + 2]! - (kernel[axis] - 1) * dilation - 1) / stride) + 1;
  const storage = window.storage ?? "float32";
  const problem: ConvProblem = {
    family: "conv",
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
    groups,
    inputChannels: channels[0],
    outputChannels: channels[1],
    storage,
    epilogue: window.epilogue,
    epilogueOperands: window.operands?.length ?? 0,
  };
  const weights = stored(randomTensor([channels[1], channels[0] / groups, ...kernel], 2), storage, 0);
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
    item: {
      family: convFamily,
      problem,
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

describe.each(convFamily.variants.map((variant) => ({ variant, name: variant.name })))("$name", ({ variant }) => {
  describe.each(targets)("$name", (target) => {
    test.each(Object.entries(cases))("%s", (_, window) => {
      const { item, expected } = build(window);
      const whole = runProduct(target, { ...item, variant });
      expect(largestError(whole, expected)).toBeLessThan(1e-5);
      const rows = item.outputShape[0]! * item.outputShape[1]!;
      if (rows > 1) expect(runProduct(target, { ...item, variant }, [Math.ceil(rows / 3)])).toEqual(whole);
    });
  });
});
