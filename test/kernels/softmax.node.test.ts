/** Softmax and log-softmax against their references: ragged lengths, masks of -Infinity, NaN, cut ranges. */
import { expect, test } from "vitest";
import { softmaxFamily } from "../../compiler/kernels/softmax/family.ts";
import { softmaxVariants } from "../../compiler/kernels/softmax/variants.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import { logSoftmax, softmax } from "../../runtime/reference/softmax.ts";
import { runSteps } from "./run.ts";
import { collect, denseBuffer, expectClose, noise, scatter, sizeOf, tensor } from "./tensors.ts";

const shapes: readonly (readonly [number, number, number])[] = [
  [1, 1, 1],
  [5, 3, 1],
  [4, 16, 1],
  [3, 77, 1],
  [2, 1000, 1],
  [2, 5, 3],
  [3, 9, 4],
  [2, 17, 13],
];

function inputOf(shape: readonly number[], special: boolean): Tensor {
  const values = noise(sizeOf(shape)).map((value) => value * 8);
  if (special) {
    values[1] = Number.NEGATIVE_INFINITY;
    values[2] = 1e9;
    values[Math.floor(values.length / 2)] = Number.NaN;
    values[values.length - 1] = Number.POSITIVE_INFINITY;
    values[values.length - 2] = -1e9;
  }
  return tensor(shape, values);
}

const runs = softmaxVariants.flatMap((variant) =>
  shapes.flatMap((shape) =>
    [false, true].flatMap((logarithm) =>
      [false, true].map((special) => ({ variant, shape, logarithm, special, name: variant.name })),
    ),
  ),
);

test.each(runs)("$name of $shape, logarithm $logarithm, special $special", ({ variant, shape, logarithm, special }) => {
  const [outer, length, inner] = shape;
  const problem = { family: "softmax", logarithm, outer, length, inner } as const;
  if (!softmaxFamily.accepts(variant, problem)) {
    expect(inner).toBeGreaterThan(1);
    return;
  }
  const x = inputOf(shape, special);
  const [expected] = (logarithm ? logSoftmax : softmax)({
    inputs: [x],
    attributes: { axis: 1 },
    version: 13,
    outputCount: 1,
  });
  const run = (parts: number): Tensor => {
    const [from, to] = [denseBuffer("x", "float32", shape), denseBuffer("y", "float32", shape)];
    const step = softmaxFamily.bind(variant, problem, [from], [to], undefined, undefined);
    const result = runSteps([step], { initial: new Map([[from.buffer, scatter(from, x)]]), parts });
    return collect(to, result.get(to.buffer) as Uint8Array);
  };
  const whole = run(1);
  expectClose(whole, expected, 2e-6);
  expect(run(2)).toEqual(whole);
});

test("in place", () => {
  const x = inputOf([3, 10, 1], false);
  const place = denseBuffer("x", "float32", [3, 10, 1]);
  const problem = { family: "softmax", logarithm: false, outer: 3, length: 10, inner: 1 } as const;
  const step = softmaxFamily.bind(
    softmaxVariants[0] as (typeof softmaxVariants)[number],
    problem,
    [place],
    [place],
    undefined,
    undefined,
  );
  const result = runSteps([step], { initial: new Map([[place.buffer, scatter(place, x)]]) });
  const [expected] = softmax({ inputs: [x], attributes: { axis: 1 }, version: 13, outputCount: 1 });
  expectClose(collect(place, result.get(place.buffer) as Uint8Array), expected, 2e-6);
});
