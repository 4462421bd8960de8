/**
 * Random small graphs that are hard to place: views of views, joins of joins on any axis, the same value twice,
 * slices, splits, several readers, inputs and inner values as outputs, extents of 0 and 1.
 */
import { integerAttribute, integersAttribute } from "../../compiler/graph/attribute.ts";
import { GraphBuilder } from "../../compiler/graph/build.ts";
import { sameShape } from "../../compiler/graph/dimension.ts";
import type { Graph, Value } from "../../compiler/graph/graph.ts";
import { inferNode } from "../../compiler/ops/infer.ts";
import { elementCount, tensorOf } from "../../runtime/format/tensor.ts";
import { randomTensor } from "../passes/pass-case.ts";

function generatorOf(seed: number): (bound: number) => number {
  let state = (seed * 16807 + 11) % 2147483647;
  return (bound) => {
    state = (state * 48271) % 2147483647;
    return Math.floor((state / 2147483647) * bound);
  };
}

const steps = 14;
const largest = 4000;

export function randomPlanGraph(seed: number): Graph {
  const below = generatorOf(seed);
  const builder = new GraphBuilder(`plan-${seed}`, inferNode);
  const shapeOf = (value: Value): readonly number[] => value.type.shape as readonly number[];
  const startShapes: readonly (readonly number[])[] = [
    [2, 3, 4, 4],
    [1, 4, 5, 3],
    [1, 8, 6],
    [3, 4],
    [1, 1, 6, 8],
    [2, 0, 4],
    [6],
    [],
  ];
  const values: Value[] = [builder.input("x", "float32", startShapes[below(startShapes.length)] as readonly number[])];
  if (below(2)) values.push(builder.input("y", "float32", startShapes[below(startShapes.length)] as readonly number[]));
  if (below(4) === 0) builder.input("unused", "float32", [2]);
  const constant = (...shape: readonly number[]): Value => builder.constant("c", randomTensor(shape, below(1e6)));
  const integers = (...list: readonly number[]): Value => builder.constant("i", tensorOf("int64", [list.length], list));
  const pick = (): Value => values[Math.max(0, values.length - 1 - below(5))] as Value;
  const axisOf = (value: Value): number => below(shapeOf(value).length);
  const like = (x: Value): Value | undefined => {
    const found = values.filter((value) => sameShape(value.type.shape, x.type.shape));
    return found[below(found.length)];
  };

  const makers: readonly ((x: Value) => Value | readonly Value[] | undefined)[] = [
    (x) => builder.add(["Relu", "Sigmoid", "Neg", "Abs"][below(4)] as string, [x]),
    (x) => builder.add(["Add", "Mul", "Sub"][below(3)] as string, [x, like(x)]),
    (x) => builder.add("Add", [x, constant(shapeOf(x).at(-1) ?? 1)]),
    // Joins: with itself, with a constant, with others.
    (x) => (shapeOf(x).length > 0 ? builder.add("Concat", [x, x], { axis: integerAttribute(axisOf(x)) }) : undefined),
    (x) =>
      shapeOf(x).length > 0
        ? builder.add("Concat", [constant(...shapeOf(x)), x, like(x)], { axis: integerAttribute(axisOf(x)) })
        : undefined,
    (x) => {
      if (shapeOf(x).length === 0) return undefined;
      const axis = axisOf(x);
      const fits = values.filter(
        (value) =>
          shapeOf(value).length === shapeOf(x).length &&
          shapeOf(value).every((extent, i) => i === axis || extent === shapeOf(x)[i]),
      );
      const members = [x, ...fits.slice(-2), builder.add("Relu", [x])];
      return builder.add("Concat", members, { axis: integerAttribute(axis - (below(2) ? shapeOf(x).length : 0)) });
    },
    // Views.
    (x) => builder.add("Flatten", [x], { axis: integerAttribute(below(shapeOf(x).length + 1)) }),
    (x) => builder.add("Reshape", [x, integers(elementCount(shapeOf(x)))], { allowzero: integerAttribute(1) }),
    (x) => builder.add("Unsqueeze", [x, integers(below(shapeOf(x).length + 1))]),
    (x) => {
      const [first = 1, ...rest] = shapeOf(x);
      return first % 2 === 0 && first > 0
        ? builder.add("Reshape", [x, integers(2, first / 2, ...rest)], { allowzero: integerAttribute(1) })
        : undefined;
    },
    (x) => {
      const axis = shapeOf(x).indexOf(1);
      return axis < 0 ? undefined : builder.add("Squeeze", [x, integers(axis)]);
    },
    (x) => {
      const perm = shapeOf(x).map((_, axis) => axis);
      const at = below(perm.length);
      return builder.add("Transpose", [x], { perm: integersAttribute([...perm.slice(at), ...perm.slice(0, at)]) });
    },
    // Parts.
    (x) => {
      const axis = axisOf(x);
      return (shapeOf(x)[axis] ?? 0) > 1
        ? builder.add("Slice", [x, integers(1), integers(99), integers(axis)])
        : undefined;
    },
    (x) => {
      const axis = axisOf(x);
      const extent = shapeOf(x)[axis] ?? 0;
      if (extent < 2) return undefined;
      return builder.addNode(
        "Split",
        [x, integers(1, extent - 1)],
        { axis: integerAttribute(axis) },
        { outputs: ["left", "right"] },
      );
    },
    (x) =>
      shapeOf(x).length > 0
        ? builder.add("Pad", [x, integers(...shapeOf(x).map(() => 0), ...shapeOf(x).map(() => 1))])
        : undefined,
    // Whole axes.
    (x) =>
      shapeOf(x).length > 0 && !shapeOf(x).includes(0)
        ? builder.add(["ReduceMean", "ReduceSum", "ReduceMax"][below(3)] as string, [x, integers(axisOf(x))], {
            keepdims: integerAttribute(below(2)),
          })
        : undefined,
    (x) => (shapeOf(x).length > 0 ? builder.add("Softmax", [x], { axis: integerAttribute(axisOf(x)) }) : undefined),
    (x) => {
      const inner = shapeOf(x).at(-1);
      return shapeOf(x).length >= 2 && inner ? builder.add("MatMul", [x, constant(inner, 1 + below(9))]) : undefined;
    },
    (x) => {
      if (shapeOf(x).length < 2) return undefined;
      const perm = shapeOf(x).map((_, axis) => axis);
      const turned = [...perm.slice(0, -2), perm.length - 1, perm.length - 2];
      return builder.add("MatMul", [x, builder.add("Transpose", [x], { perm: integersAttribute(turned) })]);
    },
    (x) => {
      const [, channels = 0, height = 0, width = 0] = shapeOf(x);
      if (shapeOf(x).length !== 4 || channels * height * width === 0) return undefined;
      const group = below(3) === 0 ? channels : 1;
      return builder.add("Conv", [x, constant(group === 1 ? 1 + below(7) : channels, channels / group, 3, 3)], {
        pads: integersAttribute([1, 1, 1, 1]),
        group: integerAttribute(group),
      });
    },
    (x) => {
      const [, , height = 0, width = 0] = shapeOf(x);
      if (shapeOf(x).length !== 4 || height < 2 || width < 2 || shapeOf(x).includes(0)) return undefined;
      return builder.add(below(2) ? "MaxPool" : "AveragePool", [x], {
        kernel_shape: integersAttribute([2, 2]),
        strides: integersAttribute([1, 1 + below(2)]),
      });
    },
  ];

  for (let step = 0; step < steps; step++) {
    const made = makers[below(makers.length)]?.(pick()) ?? [];
    for (const value of "name" in made ? [made] : made)
      if (elementCount(shapeOf(value)) <= largest && shapeOf(value).length <= 5) values.push(value);
  }
  builder.output("last", values.at(-1) as Value);
  builder.output("inner", values[below(values.length)] as Value);
  builder.output("another", values[below(values.length)] as Value);
  if (below(3) === 0) builder.output("last again", values.at(-1) as Value);
  if (below(4) === 0) builder.output("constant", constant(2, 3));
  return builder.finish();
}
