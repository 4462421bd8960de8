/**
 * Random networks of quantised operators, as QDQ pairs and as QOperators, with scales that are powers of two: every product, sum
 * and rounding in them is exact in float32, so that whatever computes them differently is wrong.
 */
import {
  floatAttribute,
  integerAttribute,
  integersAttribute,
  stringAttribute,
} from "../../compiler/graph/attribute.ts";
import { GraphBuilder } from "../../compiler/graph/build.ts";
import { sameShape } from "../../compiler/graph/dimension.ts";
import type { Graph, Value } from "../../compiler/graph/graph.ts";
import { inferNode } from "../../compiler/ops/infer.ts";
import { tensorOf } from "../../runtime/format/tensor.ts";

type Bytes = "int8" | "uint8";

/** A value in bytes, and what its bytes stand for. */
interface Quantised {
  readonly bytes: Value;
  readonly scale: number;
  readonly zero: number;
  readonly dtype: Bytes;
}

/** Numbers below a bound from the multiplicative generator of Park and Miller. */
function generatorOf(seed: number): (bound: number) => number {
  let state = (seed * 48271) % 2147483647;
  return (bound) => {
    state = (state * 48271) % 2147483647;
    return state % bound;
  };
}

/** @param symbolicBatch axis 0 of everything is the symbol "batch", 1 to 4. */
export function randomQuantisedGraph(seed: number, symbolicBatch = false): Graph {
  const below = generatorOf(seed);
  const builder = new GraphBuilder(`random-quantised-${seed}`, inferNode);
  const one = <T>(...choices: readonly T[]): T => choices[below(choices.length)] as T;
  const scalar = (name: string, dtype: Bytes | "float32" | "int32", value: number): Value =>
    builder.constant(name, tensorOf(dtype, [], [value]));
  const integers = (...list: readonly number[]): Value => builder.constant("i", tensorOf("int64", [list.length], list));
  const many = (count: number, of: () => number): readonly number[] => Array.from({ length: count }, of);
  const random = (dtype: "int8" | "uint8" | "int32", shape: readonly number[], low: number, high: number): Value =>
    builder.constant(
      "w",
      tensorOf(
        dtype,
        shape,
        many(
          shape.reduce((a, b) => a * b, 1),
          () => low + below(high - low + 1),
        ),
      ),
    );
  const grid = (): Omit<Quantised, "bytes"> => {
    const dtype = one<Bytes>("uint8", "uint8", "int8");
    const zero = dtype === "uint8" ? one(0, 128, 113, 255, 7) : one(0, 0, -128, 5, 127);
    return { scale: 2 ** -one(4, 5, 6), zero, dtype };
  };
  const parameters = ({ scale, zero, dtype }: Omit<Quantised, "bytes">): readonly [Value, Value] => [
    scalar("scale", "float32", scale),
    scalar("zero", dtype, zero),
  ];
  const quantise = (x: Value, to = grid()): Quantised => ({
    ...to,
    bytes:
      to.zero === 0 && to.dtype === "uint8" && below(2)
        ? builder.add("QuantizeLinear", [x, scalar("scale", "float32", to.scale)])
        : builder.add("QuantizeLinear", [x, ...parameters(to)]),
  });
  const dequantise = (x: Quantised): Value => builder.add("DequantizeLinear", [x.bytes, ...parameters(x)]);
  const shapeOf = ({ bytes }: Quantised): readonly [number, number, number, number] =>
    bytes.type.shape as unknown as readonly [number, number, number, number];

  /** Weights for `count` outputs along `axis`, as bytes with their parameters: one scale, or one for each output. */
  const weights = (shape: readonly number[], axis: number) => {
    const count = shape[axis] as number;
    const perAxis = below(2) === 1;
    const dtype = one<Bytes>("int8", "int8", "uint8");
    const zero = dtype === "uint8" ? one(128, 128, 120) : one(0, 0, 0, 3);
    const [low, high] =
      dtype === "uint8" ? [Math.max(0, zero - 60), Math.min(255, zero + 60)] : [-60 + zero, 60 + zero];
    const vector = <T extends "float32" | Bytes>(name: string, kind: T, of: () => number): Value =>
      builder.constant(name, perAxis ? tensorOf(kind, [count], many(count, of)) : tensorOf(kind, [], [of()]));
    return {
      bytes: random(dtype, shape, low, high),
      scale: vector("w.scale", "float32", () => 2 ** -one(6, 7)),
      zero: vector("w.zero", dtype, () => zero),
      axis: perAxis ? { axis: integerAttribute(axis) } : {},
    };
  };
  const floats = (w: ReturnType<typeof weights>): Value =>
    builder.add("DequantizeLinear", [w.bytes, w.scale, w.zero], w.axis);
  const bias = (count: number): Value | undefined => {
    const kind = below(3);
    if (kind === 0) return undefined;
    if (kind === 1)
      return builder.constant(
        "b",
        tensorOf(
          "float32",
          [count],
          many(count, () => (below(65) - 32) / 16),
        ),
      );
    return builder.add("DequantizeLinear", [random("int32", [count], -4000, 4000), scalar("s", "float32", 2 ** -9)]);
  };
  const activate = (x: Value): Value => {
    const kind = below(6);
    if (kind < 2) return x;
    if (kind === 2) return builder.add("Relu", [x]);
    if (kind === 3) return builder.add("LeakyRelu", [x], { alpha: floatAttribute(0.25) });
    if (kind === 4) return builder.add("Clip", [x, scalar("low", "float32", 0), scalar("high", "float32", 2)]);
    return builder.add("Max", [x, scalar("low", "float32", -0.5)]);
  };

  const window = (x: Quantised) => {
    const [, , height, width] = shapeOf(x);
    const kernel = Math.min(height, width) >= 3 ? one(1, 3) : 1;
    const pads = kernel === 3 ? one([1, 1, 1, 1], [1, 1, 1, 1], [0, 1, 1, 0], [0, 0, 0, 0]) : [0, 0, 0, 0];
    return {
      kernel,
      attributes: { pads: integersAttribute(pads), strides: integersAttribute(one([1, 1], [1, 1], [2, 1], [2, 2])) },
    };
  };
  const fixedBatch = 1 + below(2);
  const batch = symbolicBatch ? builder.symbol("batch", 1, 4) : fixedBatch;
  const values: Quantised[] = [quantise(builder.input("x", "float32", [batch, 4, 8, 8]))];
  const pick = (): Quantised => values[Math.max(0, values.length - 1 - below(3))] as Quantised;
  const partner = (x: Quantised, axes: readonly number[]): Quantised | undefined =>
    values.find(
      (other) =>
        other !== x &&
        sameShape(
          axes.map((axis) => shapeOf(x)[axis] as number),
          axes.map((axis) => shapeOf(other)[axis] as number),
        ),
    );
  /** The same bytes moved: they keep what they stand for. */
  const moved = (x: Quantised, move: (value: Value) => Value): Quantised => {
    if (below(2)) return { ...x, bytes: move(x.bytes) };
    return quantise(move(dequantise(x)), below(3) ? x : grid());
  };

  const makers: readonly ((x: Quantised) => Quantised | undefined)[] = [
    (x) => {
      const channels = shapeOf(x)[1];
      const { kernel, attributes } = window(x);
      const group = one(1, 1, channels);
      const w = weights([group === 1 ? one(1, 5, 8, 9) : channels, channels / group, kernel, kernel], 0);
      const count = w.bytes.type.shape[0] as number;
      const y = builder.add("Conv", [dequantise(x), floats(w), bias(count)], {
        ...attributes,
        group: integerAttribute(group),
      });
      return quantise(activate(y));
    },
    (x) => {
      const channels = shapeOf(x)[1];
      const { kernel, attributes } = window(x);
      const group = one(1, channels);
      const w = weights([group === 1 ? one(3, 8) : channels, channels / group, kernel, kernel], 0);
      const to = grid();
      const count = w.bytes.type.shape[0] as number;
      const inputs = [x.bytes, ...parameters(x), w.bytes, w.scale, w.zero, ...parameters(to)];
      const offsets = below(2) ? [random("int32", [count], -4000, 4000)] : [];
      const y = builder.add("QLinearConv", [...inputs, ...offsets], { ...attributes, group: integerAttribute(group) });
      return { ...to, bytes: y };
    },
    (x) => {
      const { kernel, attributes } = window(x);
      const zero = scalar("w.zero", "int8", one(0, 0, 2));
      const w = random("int8", [one(2, 6), shapeOf(x)[1], kernel, kernel], -60, 60);
      const sums = builder.add("ConvInteger", [x.bytes, w, scalar("zero", x.dtype, x.zero), zero], attributes);
      const scaled = builder.add("Mul", [
        builder.add("Cast", [sums], { to: integerAttribute(1) }),
        scalar("m", "float32", 2 ** -11),
      ]);
      return quantise(activate(scaled));
    },
    (x) => {
      const w = weights([shapeOf(x)[3], one(4, 7)], 1);
      const y = builder.add("MatMul", [dequantise(x), floats(w)]);
      const count = y.type.shape[3] as number;
      return quantise(
        activate(
          below(2)
            ? builder.add("Add", [
                y,
                builder.constant(
                  "b",
                  tensorOf(
                    "float32",
                    [count],
                    many(count, () => below(9) / 4),
                  ),
                ),
              ])
            : y,
        ),
      );
    },
    (x) => {
      const other = partner(x, [0, 1, 2, 3]);
      const perm = integersAttribute([0, 1, 3, 2]);
      if (!other) return undefined;
      return quantise(builder.add("MatMul", [dequantise(x), builder.add("Transpose", [dequantise(other)], { perm })]));
    },
    (x) => {
      const other = partner(x, [0, 1, 2, 3]);
      return (
        other && quantise(activate(builder.add(one("Add", "Add", "Sub", "Mul"), [dequantise(x), dequantise(other)])))
      );
    },
    (x) => {
      const other = partner(x, [0, 1, 2, 3]);
      const to = { ...grid(), dtype: x.dtype, zero: x.zero };
      if (!other || other.dtype !== x.dtype) return undefined;
      const inputs = [x.bytes, ...parameters(x), other.bytes, ...parameters(other), ...parameters(to)];
      return { ...to, bytes: builder.add("com.microsoft.QLinearAdd", inputs) };
    },
    (x) => {
      const other = partner(x, [0, 2, 3]);
      if (!other) return undefined;
      return quantise(builder.add("Concat", [dequantise(x), dequantise(other)], { axis: integerAttribute(1) }));
    },
    (x) => {
      const other = partner(x, [0, 2, 3]);
      if (!other || other.scale !== x.scale || other.zero !== x.zero || other.dtype !== x.dtype) return undefined;
      return { ...x, bytes: builder.add("Concat", [x.bytes, other.bytes], { axis: integerAttribute(1) }) };
    },
    (x) => {
      const [, , height, width] = shapeOf(x);
      if (height < 4 || width < 4) return undefined;
      return moved(x, (value) =>
        builder.add("MaxPool", [value], {
          kernel_shape: integersAttribute([3, 3]),
          strides: integersAttribute([1 + below(2), 1]),
          pads: integersAttribute(one([1, 1, 1, 1], [0, 0, 0, 0])),
        }),
      );
    },
    (x) => {
      const [, , height, width] = shapeOf(x);
      if (height < 4 || width < 4) return undefined;
      return quantise(
        builder.add("AveragePool", [dequantise(x)], {
          kernel_shape: integersAttribute([2, 2]),
          strides: integersAttribute([2, 1]),
        }),
      );
    },
    (x) =>
      shapeOf(x)[1] > 1
        ? moved(x, (value) => builder.add("Slice", [value, integers(1), integers(9), integers(1)]))
        : undefined,
    (x) => moved(x, (value) => builder.add("Transpose", [value], { perm: integersAttribute([0, 1, 3, 2]) })),
    (x) =>
      quantise(
        builder.add("Pad", [dequantise(x), integers(0, 0, 1, 0, 0, 0, 0, 1), scalar("p", "float32", one(0, 0.5))]),
      ),
    (x) => {
      const [, , height, width] = shapeOf(x);
      if (height * width > 64) return undefined;
      const scales = builder.constant("r", tensorOf("float32", [4], [1, 1, 2, 1]));
      return moved(x, (value) =>
        builder.add("Resize", [value, undefined, scales], {
          mode: stringAttribute("nearest"),
          coordinate_transformation_mode: stringAttribute("asymmetric"),
          nearest_mode: stringAttribute("floor"),
        }),
      );
    },
    (x) => {
      const [, channels, height, width] = shapeOf(x);
      return moved(x, (value) =>
        builder.add("Reshape", [
          builder.add("Reshape", [value, integers(0, channels, height * width)]),
          integers(0, channels, height, width),
        ]),
      );
    },
    (x) => quantise(activate(dequantise(x))),
    (x) => quantise(dequantise(x)),
  ];

  for (let step = 0; step < 12; step++) {
    const value = makers[below(makers.length)]?.(pick());
    if (value) values.push(value);
  }
  const last = values.at(-1) as Quantised;
  builder.output("last", dequantise(last));
  builder.output("bytes", (values[values.length >> 1] as Quantised).bytes);
  const flat = builder.add("Flatten", [dequantise(last)]);
  const w = weights([3, flat.type.shape[1] as number], 0);
  builder.output("product", builder.add("Gemm", [flat, floats(w), bias(3)], { transB: integerAttribute(1) }));
  return builder.finish();
}
