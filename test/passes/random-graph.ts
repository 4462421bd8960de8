/** Random small networks on [N, C, H, W] values: convolutions, pools, activations, residuals, joins, axes and views. */
import { floatAttribute, integerAttribute, integersAttribute } from "../../compiler/graph/attribute.ts";
import { GraphBuilder } from "../../compiler/graph/build.ts";
import { sameShape } from "../../compiler/graph/dimension.ts";
import type { Graph, Value } from "../../compiler/graph/graph.ts";
import { inferNode } from "../../compiler/ops/infer.ts";
import { tensorOf } from "../../runtime/format/tensor.ts";
import { randomTensor } from "./pass-case.ts";

/** Numbers below a bound from the multiplicative generator of Park and Miller. */
function generatorOf(seed: number): (bound: number) => number {
  let state = (seed * 48271) % 2147483647;
  return (bound) => {
    state = (state * 48271) % 2147483647;
    return state % bound;
  };
}

/** @param symbolicBatch axis 0 of everything is the symbol "batch", 1 to 4. */
export function randomGraph(seed: number, symbolicBatch = false): Graph {
  const below = generatorOf(seed);
  const builder = new GraphBuilder(`random-${seed}`, inferNode);
  const fixedBatch = 1 + below(2);
  const batch = symbolicBatch ? builder.symbol("batch", 1, 4) : fixedBatch;
  const values: Value[] = [builder.input("x", "float32", [batch, 4, 6, 6])];
  const pick = (): Value => values[Math.max(0, values.length - 1 - below(3))] as Value;
  const constant = (...shape: readonly number[]): Value => builder.constant("c", randomTensor(shape, below(1e6)));
  const integers = (...list: readonly number[]): Value => builder.constant("i", tensorOf("int64", [list.length], list));
  const dims = (value: Value): readonly [number, number, number, number] =>
    value.type.shape as unknown as readonly [number, number, number, number];

  const makers: readonly ((x: Value) => Value | undefined)[] = [
    (x) => {
      const [, channels] = dims(x);
      const kernel = 1 + 2 * below(2);
      const group = below(3) === 0 ? channels : 1;
      const count = group === 1 ? 1 + below(6) : channels;
      const attributes = {
        pads: integersAttribute([1, 1, 1, 1].map((pad) => pad * (kernel >> 1))),
        group: integerAttribute(group),
      };
      return builder.add(
        "Conv",
        [x, constant(count, channels / group, kernel, kernel), below(2) ? constant(count) : undefined],
        attributes,
      );
    },
    (x) => builder.add(["Relu", "Sigmoid", "Tanh", "HardSwish", "Abs"][below(5)] as string, [x]),
    (x) => builder.add("LeakyRelu", [x], { alpha: floatAttribute(0.25) }),
    (x) => builder.add("Mul", [x, builder.add("Sigmoid", [x])]),
    (x) => {
      const other = values.find((value) => value !== x && sameShape(value.type.shape, x.type.shape));
      return other && builder.add(below(2) ? "Add" : "Sub", [x, other]);
    },
    (x) => builder.add(below(2) ? "Mul" : "Add", [x, constant(dims(x)[1], 1, 1)]),
    (x) => {
      const [batch, , height, width] = dims(x);
      const other = values.find(
        (value) =>
          value !== x &&
          sameShape(
            [batch, height, width],
            [0, 2, 3].map((axis) => value.type.shape[axis] as number),
          ),
      );
      return other && builder.add("Concat", [x, other], { axis: integerAttribute(1) });
    },
    (x) =>
      dims(x)[2] >= 3 && dims(x)[3] >= 3
        ? builder.add(below(2) ? "MaxPool" : "AveragePool", [x], {
            kernel_shape: integersAttribute([2, 2]),
            strides: integersAttribute([1 + below(2), 1]),
          })
        : undefined,
    (x) =>
      builder.add("BatchNormalization", [
        x,
        ...[0, 1, 2].map(() => constant(dims(x)[1])),
        builder.constant("variance", tensorOf("float32", [dims(x)[1]], new Array<number>(dims(x)[1]).fill(0.7))),
      ]),
    (x) => (dims(x)[1] > 1 ? builder.add("Slice", [x, integers(1), integers(9), integers(1)]) : undefined),
    (x) => builder.add("Pad", [x, integers(0, 0, 1, 0, 0, 0, 0, 1)]),
    (x) => builder.add("Softmax", [x], { axis: integerAttribute(1) }),
    (x) => builder.add("Mul", [x, builder.add("Sigmoid", [builder.add("GlobalAveragePool", [x])])]),
    (x) => builder.add("Transpose", [x], { perm: integersAttribute([0, 1, 3, 2]) }),
    (x) => {
      const [, channels, height, width] = dims(x);
      const flat = builder.add("Reshape", [x, integers(0, channels, height * width)]);
      return builder.add("Reshape", [builder.add("Relu", [flat]), integers(0, channels, height, width)]);
    },
  ];

  for (let step = 0; step < 14; step++) {
    const value = makers[below(makers.length)]?.(pick());
    if (value) values.push(value);
  }
  const last = values.at(-1) as Value;
  builder.output("last", last);
  builder.output("middle", values[values.length >> 1] as Value);
  const flat = builder.add("Flatten", [last]);
  builder.output("product", builder.add("Gemm", [flat, constant(flat.type.shape[1] as number, 3), constant(3)]));
  return builder.finish();
}
