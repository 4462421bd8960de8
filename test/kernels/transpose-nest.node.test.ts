/** Copies between layouts whose innermost axes differ, for bytes and four-byte elements, blocks whole and ragged. */
import { expect, it } from "vitest";
import { bindLoopNest } from "../../compiler/kernels/loop/bind.ts";
import { along, identityAccess, type LoopNest } from "../../compiler/loop/loop.ts";
import type { DType } from "../../runtime/format/dtype.ts";
import { input } from "../../runtime/format/expression.ts";
import { tensorOfNumbers } from "../../runtime/reference/numbers.ts";
import { transpose } from "../../runtime/reference/rearrange.ts";
import { runSteps } from "./run.ts";
import { collect, gappedBuffer, scatter, sizeOf } from "./tensors.ts";

const cases = (["uint8", "int8", "bool", "float32"] as const).flatMap((dtype) =>
  [
    [1, 8, 8, 8],
    [2, 9, 5, 17],
    [1, 16, 3, 40],
    [3, 23, 1, 8],
    [1, 3, 4, 5],
  ].map((shape): readonly [DType, readonly number[]] => [dtype, shape]),
);

it.each(cases)("%s %j", (dtype, shape) => {
  const values = Array.from(
    { length: sizeOf(shape) },
    (_, index) => (index * 37 + (index >> 7)) % (dtype === "bool" ? 2 : 128),
  );
  const x = tensorOfNumbers(dtype, shape, values);
  const order = [0, 2, 3, 1];
  const [expected] = transpose({ version: 13, attributes: { perm: order }, inputs: [x], outputCount: 1 });
  const extents = order.map((axis) => shape[axis] as number);
  const nest: LoopNest = {
    extents,
    reductions: 0,
    operands: [{ dtype, access: shape.map((_, axis) => along(order.indexOf(axis))) }],
    parameters: [],
    body: input(0),
    output: { dtype, access: identityAccess(4) },
  };
  for (const gaps of [
    [0, 0, 0, 0],
    [3, 5, 2, 0],
  ]) {
    const [source, target] = [gappedBuffer("x", dtype, shape, gaps, 3), gappedBuffer("y", dtype, extents, gaps, 1)];
    const step = bindLoopNest(nest, [source], target);
    const before = scatter(
      target,
      tensorOfNumbers(
        dtype,
        extents,
        values.map(() => 0),
      ),
    );
    for (const parts of [1, 2]) {
      const initial = new Map([
        [source.buffer, scatter(source, x)],
        [target.buffer, before],
      ]);
      const after = runSteps([step], { initial, parts }).get(target.buffer) as Uint8Array;
      expect(collect(target, after)).toEqual(expected);
      expect(
        scatter(
          target,
          tensorOfNumbers(
            dtype,
            extents,
            values.map(() => 0),
          ),
          after,
        ),
      ).toEqual(before);
    }
  }
});
