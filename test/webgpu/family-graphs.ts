/** One graph or more for every kernel family, whose every step has a shader. */
import {
  floatAttribute,
  integerAttribute,
  integersAttribute,
  stringAttribute,
} from "../../compiler/graph/attribute.ts";
import { GraphBuilder } from "../../compiler/graph/build.ts";
import type { Attribute, Graph, Value } from "../../compiler/graph/graph.ts";
import { inferNode } from "../../compiler/ops/infer.ts";
import { tensorOf } from "../../runtime/format/tensor.ts";
import { attentionCases } from "../ops/cases/attention.ts";
import { integerProductCases } from "../ops/cases/integer-product.ts";
import { randomTensor } from "../passes/pass-case.ts";

export interface FamilyGraph {
  readonly name: string;
  /** How the name of its kernel begins. */
  readonly kernel: string;
  readonly build: () => Graph;
}

type Attributes = Readonly<Record<string, Attribute>>;

/** One operator on an input of `shape` and random constants. */
const single = (
  name: string,
  kernel: string,
  op: string,
  shape: readonly number[],
  constants: readonly (readonly number[])[],
  attributes: Attributes = {},
  after: (builder: GraphBuilder, y: Value, x: Value) => Value = (_, y) => y,
): FamilyGraph => ({
  name,
  kernel,
  build: () => {
    const builder = new GraphBuilder(name, inferNode);
    const x = builder.input("x", "float32", shape);
    const operands = constants.map((extents, index) => builder.constant(`c${index}`, randomTensor(extents, index + 3)));
    const y = builder.add(op, [x, ...operands], attributes);
    builder.output("y", after(builder, y, x));
    return builder.finish();
  },
});

/** One operator on an input of uint8; a convolution has 3x3 weights. */
const bytes = (
  name: string,
  kernel: string,
  op: string,
  shape: readonly number[],
  attributes: Attributes,
): FamilyGraph => ({
  name,
  kernel,
  build: () => {
    const builder = new GraphBuilder(name, inferNode);
    const x = builder.input("x", "uint8", shape);
    const channels = shape[shape.length - 1] ?? 1;
    const weights = Array.from({ length: channels * 9 }, (_, index) => ((index * 31) % 255) - 127);
    const operands =
      op === "leafcutter.IntegerConv" ? [builder.constant("w", tensorOf("int8", [channels, 1, 3, 3], weights))] : [];
    builder.output("y", builder.add(op, [x, ...operands], attributes));
    return builder.finish();
  },
});

/** A recurrent layer of 3 batch rows; W, R, biases. */
const recurrent = (
  name: string,
  op: "LSTM" | "GRU" | "RNN",
  time: number,
  hidden: number,
  attributes: Attributes = {},
): FamilyGraph => {
  const gates = { LSTM: 4, GRU: 3, RNN: 1 }[op];
  const directions = attributes.direction?.value === "bidirectional" ? 2 : 1;
  return {
    name,
    kernel: op.toLowerCase(),
    build: () => {
      const builder = new GraphBuilder(name, inferNode);
      const x = builder.input("x", "float32", [time, 3, 20]);
      const constants = [
        [directions, gates * hidden, 20],
        [directions, gates * hidden, hidden],
        [directions, 2 * gates * hidden],
      ].map((shape, index) => builder.constant(`c${index}`, randomTensor(shape, index + 3)));
      const lengths = builder.constant("lengths", tensorOf("int32", [3], [time, 1, Math.max(1, time - 1)]));
      const results = builder.addNode(op, [x, ...constants, time > 1 ? lengths : undefined], attributes);
      for (const [index, value] of results.entries()) builder.output(`y${index}`, value);
      return builder.finish();
    },
  };
};

const pads = (pad: number): Attribute => integersAttribute([pad, pad, pad, pad]);
const silu = (builder: GraphBuilder, y: Value): Value => builder.add("Mul", [y, builder.add("Sigmoid", [y])]);
const axes = (builder: GraphBuilder, ...list: readonly number[]): Value =>
  builder.constant("axes", tensorOf("int64", [list.length], list));

export const familyGraphs: readonly FamilyGraph[] = [
  single("conv 3x3 with a border", "conv", "Conv", [2, 8, 7, 9], [[19, 8, 3, 3], [19]], { pads: pads(1) }, silu),
  single("conv 1x1, ragged", "conv", "Conv", [1, 13, 5, 7], [[21, 13, 1, 1]]),
  single("conv with strides and dilation", "conv", "Conv", [1, 5, 15, 13], [[6, 5, 3, 2], [6]], {
    strides: integersAttribute([2, 1]),
    dilations: integersAttribute([1, 2]),
  }),
  single("grouped conv", "conv", "Conv", [1, 12, 5, 6], [[20, 3, 3, 3], [20]], {
    group: integerAttribute(4),
    pads: pads(1),
  }),
  single("conv and residual", "conv", "Conv", [1, 9, 6, 5], [[9, 9, 3, 3], [9]], { pads: pads(1) }, (b, y, x) =>
    b.add("Relu", [b.add("Add", [y, x])]),
  ),
  single(
    "depthwise conv",
    "depthwise",
    "Conv",
    [2, 10, 8, 7],
    [[10, 1, 3, 3], [10]],
    { group: integerAttribute(10), pads: pads(1) },
    silu,
  ),
  single("depthwise conv with a multiplier", "depthwise", "Conv", [1, 5, 8, 7], [[15, 1, 5, 5], [15]], {
    group: integerAttribute(5),
    pads: pads(2),
  }),
  single("transposed conv", "conv-transpose", "ConvTranspose", [2, 6, 4, 5], [[6, 5, 3, 3], [10]], {
    group: integerAttribute(2),
    strides: integersAttribute([2, 2]),
    pads: pads(1),
    output_padding: integersAttribute([1, 0]),
  }),
  single("transposed conv with dilation", "conv-transpose", "ConvTranspose", [1, 21, 4, 5], [[21, 9, 3, 2]], {
    strides: integersAttribute([3, 2]),
    dilations: integersAttribute([2, 3]),
  }),
  single("constant matmul", "matmul", "MatMul", [2, 7, 13], [[13, 21]], {}, (b, y) =>
    b.add("Gelu", [y], {}, { version: 20 }),
  ),
  single("matmul of one row", "matmul", "MatMul", [1, 64], [[64, 10]]),
  {
    name: "matmul of activations",
    kernel: "matmul",
    build: () => {
      const builder = new GraphBuilder("batched", inferNode);
      const [a, b] = [builder.input("a", "float32", [3, 5, 11]), builder.input("b", "float32", [3, 11, 13])];
      builder.output("y", builder.add("MatMul", [a, b]));
      return builder.finish();
    },
  },
  single("max pool", "pool max", "MaxPool", [1, 6, 9, 8], [], {
    kernel_shape: integersAttribute([3, 3]),
    strides: integersAttribute([2, 2]),
  }),
  single("average pool with its padding", "pool average", "AveragePool", [1, 6, 9, 8], [], {
    kernel_shape: integersAttribute([3, 2]),
    pads: pads(1),
    count_include_pad: integerAttribute(1),
  }),
  single("average pool without", "pool average", "AveragePool", [2, 3, 7, 8], [], {
    kernel_shape: integersAttribute([3, 3]),
    pads: pads(1),
  }),
  single("global average", "reduce", "GlobalAveragePool", [2, 6, 9, 8], []),
  single("softmax of rows", "softmax", "Softmax", [3, 77], [], { axis: integerAttribute(-1) }),
  single("softmax of columns", "softmax", "Softmax", [2, 9, 5], [], { axis: integerAttribute(1) }),
  single("log-softmax", "log-softmax", "LogSoftmax", [4, 10], [], { axis: integerAttribute(-1) }),
  single("layer norm", "layer norm", "LayerNormalization", [4, 6, 24], [[24], [24]], { epsilon: floatAttribute(1e-5) }),
  {
    name: "reductions",
    kernel: "reduce",
    build: () => {
      const builder = new GraphBuilder("reductions", inferNode);
      const x = builder.input("x", "float32", [3, 10, 7]);
      for (const op of ["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL2"])
        builder.output(op, builder.add(op, [x, axes(builder, 1)], { keepdims: integerAttribute(0) }));
      return builder.finish();
    },
  },
  ...attentionCases.map(
    (one): FamilyGraph => ({
      name: `attention, ${one.name}`,
      kernel: "attention",
      build: () => {
        const builder = new GraphBuilder("attention", inferNode);
        const operands = one.inputs.map((tensor, index) => {
          if (!tensor || index >= 3) return tensor && builder.constant(`c${index}`, tensor);
          return builder.input(`x${index}`, tensor.dtype, tensor.shape);
        });
        builder.output("y", builder.add(one.op, operands, one.attributes, { version: one.version }));
        return builder.finish();
      },
    }),
  ),
  ...integerProductCases.map(
    (one): FamilyGraph => ({
      name: `${one.op}, ${one.name}`,
      kernel:
        one.op === "leafcutter.IntegerMatMul"
          ? "matmul-i8"
          : one.name.startsWith("depthwise")
            ? "depthwise"
            : "conv-i8",
      build: () => {
        const builder = new GraphBuilder("integers", inferNode);
        const operands = one.inputs.map((tensor, index) => {
          if (!tensor || index === 1 || index === 2) return tensor && builder.constant(`c${index}`, tensor);
          return builder.input(`x${index}`, tensor.dtype, tensor.shape);
        });
        builder.output("y", builder.add(one.op, operands, one.attributes, { version: one.version }));
        return builder.finish();
      },
    }),
  ),
  bytes("integer depthwise, 19 channels", "depthwise-i8", "leafcutter.IntegerConv", [1, 7, 6, 19], {
    group: integerAttribute(19),
    pads: integersAttribute([1, 1, 1, 1]),
    padValue: integerAttribute(1),
  }),
  bytes("largest of bytes", "pool", "leafcutter.Pool", [1, 7, 6, 11], {
    mode: stringAttribute("max"),
    kernelShape: integersAttribute([3, 2]),
    strides: integersAttribute([2, 2]),
    pads: integersAttribute([1, 0, 1, 1]),
  }),
  bytes("transposition of bytes", "transpose", "Transpose", [9, 6, 11], { perm: integersAttribute([2, 0, 1]) }),
  single("transposition", "transpose", "Transpose", [3, 6, 5], [], { perm: integersAttribute([2, 0, 1]) }),
  single("permuted blocks", "copy", "Transpose", [3, 4, 5], [], { perm: integersAttribute([1, 0, 2]) }),
  recurrent("LSTM both ways", "LSTM", 5, 18, { direction: stringAttribute("bidirectional") }),
  recurrent("LSTM of one step", "LSTM", 1, 18),
  recurrent("GRU that resets first", "GRU", 4, 18, { clip: floatAttribute(0.7) }),
  recurrent("GRU that resets later", "GRU", 4, 18, {
    linear_before_reset: integerAttribute(1),
    direction: stringAttribute("reverse"),
  }),
  recurrent("RNN", "RNN", 4, 18),
];
