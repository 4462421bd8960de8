/** Cases of quantised graphs: Q/DQ pairs as exporters write them, QOperator forms, dynamic quantisation, and what our own inserts. */

import { integerAttribute, integersAttribute, stringAttribute } from "../../compiler/graph/attribute.ts";
import type { Attribute, Attributes, Value } from "../../compiler/graph/graph.ts";
import { tensorOf } from "../../runtime/format/tensor.ts";
import { type CaseBuilder, type PassCase, passCase, randomTensor } from "./pass-case.ts";

interface Grid {
  readonly scale: number;
  readonly zero: number;
  readonly dtype?: "int8" | "uint8";
}

export function parameters(builder: CaseBuilder, { scale, zero, dtype = "uint8" }: Grid): readonly [Value, Value] {
  return [
    builder.constant("scale", tensorOf("float32", [], [scale])),
    builder.constant("zero", tensorOf(dtype, [], [zero])),
  ];
}

const quantise = (builder: CaseBuilder, x: Value, grid: Grid): Value =>
  builder.add("QuantizeLinear", [x, ...parameters(builder, grid)]);
const dequantise = (builder: CaseBuilder, x: Value, grid: Grid): Value =>
  builder.add("DequantizeLinear", [x, ...parameters(builder, grid)]);
const rounded = (builder: CaseBuilder, x: Value, grid: Grid): Value =>
  dequantise(builder, quantise(builder, x, grid), grid);

/** int8 numbers that look random. */
export function integers(builder: CaseBuilder, name: string, shape: readonly number[], seed: number): Value {
  const data = Array.from(randomTensor(shape, seed).data as Float32Array, (value) => Math.round(value * 120));
  return builder.constant(name, tensorOf("int8", shape, data));
}

/** Weights with one scale for each index along `axis`. */
export function weights(builder: CaseBuilder, name: string, shape: readonly number[], axis: number): Value {
  const scales = Array.from({ length: shape[axis] as number }, (_, index) => 0.004 + index * 0.0007);
  return builder.add(
    "DequantizeLinear",
    [
      integers(builder, name, shape, 11 + shape.length + (shape[0] as number)),
      builder.constant(`${name}.scales`, tensorOf("float32", [scales.length], scales)),
      builder.constant(
        `${name}.zeros`,
        tensorOf(
          "int8",
          [scales.length],
          scales.map(() => 0),
        ),
      ),
    ],
    { axis: integerAttribute(axis) },
  );
}

/** An int32 bias with one scale. */
function bias(builder: CaseBuilder, name: string, count: number): Value {
  const data = Array.from(randomTensor([count], 5).data as Float32Array, (value) => Math.round(value * 2000));
  const scale = builder.constant(`${name}.scale`, tensorOf("float32", [], [0.0001]));
  return builder.add("DequantizeLinear", [builder.constant(name, tensorOf("int32", [count], data)), scale]);
}

function conv(
  builder: CaseBuilder,
  name: string,
  x: Value,
  channels: number,
  kernel: number,
  attributes: Attributes = {},
  withBias = true,
): Value {
  const group = (attributes.group as Extract<Attribute, { kind: "integer" }> | undefined)?.value ?? 1;
  const shape = [channels, (x.type.shape[1] as number) / group, kernel, kernel];
  return builder.add(
    "Conv",
    [x, weights(builder, `${name}.w`, shape, 0), withBias ? bias(builder, `${name}.b`, channels) : undefined],
    { pads: integersAttribute(new Array<number>(4).fill(kernel >> 1)), ...attributes },
    { name },
  );
}

const input: Grid = { scale: 0.008, zero: 120 };
const middle: Grid = { scale: 0.02, zero: 0 };
const wide: Grid = { scale: 0.0513, zero: 128 };

export const quantisedCases: readonly PassCase[] = [
  passCase("quantised-conv-relu-conv", (builder) => {
    const x = rounded(builder, builder.input("x", "float32", [1, 4, 7, 6]), input);
    const first = rounded(builder, builder.add("Relu", [conv(builder, "first", x, 8, 3)]), middle);
    const depthwise = conv(builder, "depthwise", first, 8, 3, {
      group: integerAttribute(8),
      strides: integersAttribute([2, 2]),
    });
    builder.output("y", rounded(builder, depthwise, wide));
  }),
  passCase("quantised-residual", (builder) => {
    const x = rounded(builder, builder.input("x", "float32", [1, 4, 5, 5]), input);
    const branch = rounded(builder, conv(builder, "branch", x, 4, 3), wide);
    const sum = rounded(builder, builder.add("Relu", [builder.add("Add", [branch, x])]), middle);
    builder.output("y", rounded(builder, conv(builder, "last", sum, 3, 1), wide));
  }),
  passCase("quantised-joins-and-pools", (builder) => {
    const x = rounded(builder, builder.input("x", "float32", [1, 4, 6, 6]), input);
    const left = rounded(builder, builder.add("Relu", [conv(builder, "left", x, 4, 1)]), middle);
    const right = rounded(builder, builder.add("Relu", [conv(builder, "right", x, 6, 3)]), { scale: 0.03, zero: 10 });
    const joined = rounded(builder, builder.add("Concat", [left, right], { axis: integerAttribute(1) }), {
      scale: 0.03,
      zero: 10,
    });
    const pooled = builder.add("MaxPool", [joined], {
      kernel_shape: integersAttribute([3, 3]),
      strides: integersAttribute([2, 2]),
      pads: integersAttribute([1, 1, 1, 1]),
    });
    const sizes = builder.constant("sizes", tensorOf("float32", [4], [1, 1, 2, 2]));
    const larger = builder.add("Resize", [rounded(builder, pooled, { scale: 0.03, zero: 10 }), undefined, sizes], {
      mode: stringAttribute("nearest"),
      coordinate_transformation_mode: stringAttribute("asymmetric"),
      nearest_mode: stringAttribute("floor"),
    });
    const mean = builder.add("GlobalAveragePool", [conv(builder, "last", larger, 5, 1)]);
    builder.output("y", rounded(builder, mean, wide));
  }),
  passCase("quantised-norm-between", (builder) => {
    const x = rounded(builder, builder.input("x", "float32", [1, 4, 5, 5]), input);
    const product = rounded(builder, conv(builder, "conv", x, 6, 3, {}, false), wide);
    const norm = builder.add("BatchNormalization", [
      product,
      builder.positive("factor", 6),
      builder.weights("shift", 6),
      builder.weights("mean", 6),
      builder.positive("variance", 6),
    ]);
    builder.output("y", rounded(builder, builder.add("Relu", [norm]), middle));
  }),
  passCase("quantised-norm-behind", (builder) => {
    const x = rounded(builder, builder.input("x", "float32", [1, 4, 5, 5]), input);
    const norm = builder.add("BatchNormalization", [
      conv(builder, "conv", x, 6, 3),
      builder.weights("factor", 6),
      builder.weights("shift", 6),
      builder.weights("mean", 6),
      builder.positive("variance", 6),
    ]);
    builder.output("y", rounded(builder, norm, wide));
  }),
  passCase("quantised-classifier", (builder) => {
    const x = rounded(builder, builder.input("x", "float32", [2, 4, 3, 2]), input);
    const flat = rounded(builder, builder.add("Flatten", [conv(builder, "conv", x, 4, 1)]), wide);
    const scale = builder.constant("w.scale", tensorOf("float32", [], [0.006]));
    const table = builder.add("DequantizeLinear", [integers(builder, "w", [24, 5], 3), scale]);
    const product = builder.add("Add", [builder.add("MatMul", [flat, table]), builder.weights("offset", 5)]);
    builder.output("y", rounded(builder, product, wide));
    const gemm = builder.add("Gemm", [flat, weights(builder, "v", [3, 24], 0), bias(builder, "c", 3)], {
      transB: integerAttribute(1),
      alpha: { kind: "float", value: 0.5 },
    });
    builder.output("z", builder.add("Softmax", [gemm]));
  }),
  passCase("quantised-weights-only", (builder) => {
    const x = builder.input("x", "float32", [1, 4, 5, 5]);
    builder.output("y", builder.add("Relu", [conv(builder, "conv", x, 6, 3)]));
  }),
  passCase("quantised-wide-bias", (builder) => {
    const x = rounded(builder, builder.input("x", "float32", [1, 4, 3, 3]), { scale: 1e-6, zero: 128 });
    const product = builder.add("Conv", [
      x,
      weights(builder, "w", [3, 4, 1, 1], 0),
      builder.constant("b", tensorOf("float32", [3], [30, -20, 10])),
    ]);
    builder.output("y", rounded(builder, product, { scale: 0.25, zero: 128 }));
  }),
  passCase("quantised-seven-bits", (builder) => {
    const seven: Grid = { scale: 0.01, zero: 20 };
    const bounded = (x: Value): Value => {
      const limit = builder.scalar("limit", (127 - seven.zero) * seven.scale);
      return rounded(builder, builder.add("Min", [x, limit]), seven);
    };
    const first = bounded(conv(builder, "first", bounded(builder.input("x", "float32", [1, 4, 5, 5])), 4, 3));
    builder.output("y", rounded(builder, conv(builder, "last", first, 3, 3), wide));
  }),
  passCase("quantised-float-readers", (builder) => {
    const x = rounded(builder, builder.input("x", "float32", [1, 4, 5, 5]), input);
    const y = builder.add("Sigmoid", [conv(builder, "conv", x, 4, 3)]);
    const next = conv(builder, "next", rounded(builder, y, { scale: 0.004, zero: 0 }), 4, 1);
    builder.output("y", rounded(builder, builder.add("Mul", [next, y]), wide));
  }),
  passCase("quantised-operators", (builder) => {
    const [scale, zero] = parameters(builder, input);
    const x = builder.add("QuantizeLinear", [builder.input("x", "float32", [1, 4, 4, 4]), scale, zero]);
    const [factor, none] = [
      builder.constant("w.scales", tensorOf("float32", [3], [0.004, 0.005, 0.006])),
      builder.constant("w.zeros", tensorOf("int8", [3], [0, 0, 0])),
    ];
    const [middleScale, middleZero] = parameters(builder, { ...wide, zero: 100 });
    const offsets = builder.constant("offsets", tensorOf("int32", [3], [500, -800, 1200]));
    const w = integers(builder, "w", [3, 4, 3, 3], 9);
    const y = builder.add("QLinearConv", [x, scale, zero, w, factor, none, middleScale, middleZero, offsets], {
      pads: integersAttribute([1, 1, 1, 1]),
    });
    const b = integers(builder, "v", [4, 2], 2);
    const [step, level] = [
      builder.constant("v.scale", tensorOf("float32", [], [0.007])),
      builder.constant("v.zero", tensorOf("int8", [], [0])),
    ];
    const [lastScale, lastZero] = parameters(builder, wide);
    const z = builder.add("QLinearMatMul", [y, middleScale, middleZero, b, step, level, lastScale, lastZero]);
    builder.output("y", builder.add("DequantizeLinear", [z, lastScale, lastZero]));
  }),
  passCase("quantised-in-the-run", (builder) => {
    const x = builder.input("x", "float32", [1, 3, 16]);
    const [a, scale, zero] = builder.addNode("DynamicQuantizeLinear", [x]) as readonly [Value, Value, Value];
    const b = integers(builder, "w", [16, 8], 4);
    const levels = builder.constant("w.zeros", tensorOf("int8", [8], [0, 1, 2, 3, 0, -1, -2, -3]));
    const steps = builder.constant(
      "w.scales",
      tensorOf(
        "float32",
        [8],
        [1, 2, 3, 4, 5, 6, 7, 8].map((n) => n / 900),
      ),
    );
    const sum = builder.add("MatMulInteger", [a, b, zero, levels]);
    const floats = builder.add("Cast", [sum], { to: integerAttribute(1) });
    const product = builder.add("Mul", [floats, builder.add("Mul", [scale, steps])]);
    builder.output("y", builder.add("Relu", [builder.add("Add", [product, builder.weights("offset", 8)])]));
  }),
];
