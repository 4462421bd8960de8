/** Reductions against their references: ragged extents, every combination, maps and finishes, NaN, cut ranges. */
import { expect, test } from "vitest";
import type { ReduceProblem } from "../../compiler/kernels/problem.ts";
import { reduceFamily } from "../../compiler/kernels/reduce/family.ts";
import { reduceVariants } from "../../compiler/kernels/reduce/variants.ts";
import { binary, input, unary } from "../../runtime/format/expression.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import { reduceL2, reduceMax, reduceMean, reduceMin, reduceProd, reduceSum } from "../../runtime/reference/reduce.ts";
import { runSteps } from "./run.ts";
import { collect, denseBuffer, expectClose, noise, scatter, sizeOf, tensor } from "./tensors.ts";

const shapes: readonly (readonly [number, number, number])[] = [
  [1, 1, 1],
  [7, 3, 1],
  [4, 16, 1],
  [3, 151, 1],
  [1, 49, 1000],
  [2, 5, 3],
  [3, 9, 21],
];

const reductions = [
  { name: "sum", reference: reduceSum, combine: "add" },
  { name: "mean", reference: reduceMean, combine: "add", finish: binary("divide", input(0), input(1)) },
  { name: "max", reference: reduceMax, combine: "maximum" },
  { name: "min", reference: reduceMin, combine: "minimum" },
  { name: "product", reference: reduceProd, combine: "multiply" },
  {
    name: "L2",
    reference: reduceL2,
    combine: "add",
    map: binary("multiply", input(0), input(0)),
    finish: unary("sqrt", input(0)),
  },
] as const;

const runs = reduceVariants.flatMap((variant) =>
  shapes.flatMap((shape) =>
    reductions.flatMap((reduction) => [false, true].map((special) => ({ variant, shape, special, ...reduction }))),
  ),
);

test.each(runs)("$name of $shape by $variant.name, special $special", ({ variant, shape, special, ...reduction }) => {
  const [outer, reduced, inner] = shape;
  const problem: ReduceProblem = {
    family: "reduce",
    combine: reduction.combine,
    outer,
    reduced,
    inner,
    map: "map" in reduction ? reduction.map : undefined,
    finish: "finish" in reduction ? reduction.finish : undefined,
  };
  if (!reduceFamily.accepts(variant, problem)) {
    expect(inner).toBeGreaterThan(1);
    return;
  }
  const values = noise(sizeOf(shape));
  if (special) {
    values[Math.floor(values.length / 2)] = Number.NaN;
    values[values.length - 1] = Number.NEGATIVE_INFINITY;
  }
  const x = tensor(shape, values);
  const [expected] = reduction.reference({
    inputs: [x],
    attributes: { axes: [1], keepdims: 0 },
    version: 13,
    outputCount: 1,
  });
  const run = (parts: number): Tensor => {
    const [from, to] = [denseBuffer("x", "float32", shape), denseBuffer("y", "float32", [outer, inner])];
    const step = reduceFamily.bind(variant, problem, [from], [to], undefined, undefined);
    const result = runSteps([step], { initial: new Map([[from.buffer, scatter(from, x)]]), parts });
    return collect(to, result.get(to.buffer) as Uint8Array);
  };
  const whole = run(1);
  expectClose(whole, expected, 1e-5);
  expect(run(3)).toEqual(whole);
});
