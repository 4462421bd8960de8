/** Normalised rows against the formula in float64: ragged lengths, scale and shift, large means, NaN, cut ranges. */
import { expect, test } from "vitest";
import type { View } from "../../compiler/kernels/contract.ts";
import { normFamily } from "../../compiler/kernels/norm/family.ts";
import { normVariants } from "../../compiler/kernels/norm/variants.ts";
import type { NormProblem } from "../../compiler/kernels/problem.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import { runSteps } from "./run.ts";
import { collect, denseBuffer, expectClose, noise, scatter, sizeOf, tensor } from "./tensors.ts";

const epsilon = 1e-5;

function expectedOf(problem: NormProblem, x: Tensor, scale: Tensor | undefined, shift: Tensor | undefined): Tensor {
  const [outer, length] = x.shape as readonly [number, number];
  const values = Array.from({ length: outer }, (_, row) => {
    const elements = Array.from(x.data.subarray(row * length, (row + 1) * length), Number);
    const average = (list: readonly number[]): number => list.reduce((sum, value) => sum + value, 0) / length;
    const mean = problem.centered ? average(elements) : 0;
    const deviation = Math.sqrt(average(elements.map((value) => (value - mean) ** 2)) + epsilon);
    return elements.map((value, column) => {
      const place = problem.affine === "element" ? column : row % (problem.channels as number);
      return ((value - mean) / deviation) * Number(scale?.data[place] ?? 1) + Number(shift?.data[place] ?? 0);
    });
  });
  return tensor(x.shape, values.flat());
}

const shapes = [
  [1, 1],
  [6, 3],
  [4, 16],
  [6, 77],
  [2, 768],
] as const;

const runs = shapes.flatMap((shape) =>
  (["none", "element", "row"] as const).flatMap((affine) =>
    [true, false].flatMap((centered) => [true, false].map((shifted) => ({ shape, affine, centered, shifted }))),
  ),
);

test.each(runs)(
  "$shape, affine $affine, centered $centered, shift $shifted",
  ({ shape, affine, centered, shifted }) => {
    const [outer, length] = shape;
    const channels = outer % 2 === 0 ? 2 : 1;
    const problem: NormProblem = { family: "norm", outer, length, centered, epsilon, affine, channels };
    const values = noise(sizeOf(shape)).map((value, index) => value + (index < length ? 100 : 0));
    if (outer > 4) values[length * 4] = Number.NaN;
    const x = tensor(shape, values);
    const factors = affine === "element" ? length : channels;
    const scale = affine === "none" ? undefined : tensor([factors], noise(factors, 2));
    const shift = affine === "none" || !shifted ? undefined : tensor([factors], noise(factors, 3));
    const run = (parts: number): Tensor => {
      const [from, to] = [denseBuffer("x", "float32", shape), denseBuffer("y", "float32", shape)];
      const initial = new Map([[from.buffer, scatter(from, x)]]);
      const constants = [scale, shift].map((constant, index): View | undefined => {
        if (!constant) return undefined;
        const view = denseBuffer(index === 0 ? "scale" : "shift", "float32", constant.shape, "weight");
        initial.set(view.buffer, scatter(view, constant));
        return view;
      });
      const [variant] = normVariants as readonly [(typeof normVariants)[number]];
      const step = normFamily.bind(variant, problem, [from, ...constants], [to], undefined, undefined);
      return collect(to, runSteps([step], { initial, parts }).get(to.buffer) as Uint8Array);
    };
    const whole = run(1);
    expectClose(whole, expectedOf(problem, x, scale, shift), 5e-5);
    expect(run(2)).toEqual(whole);
  },
);
