/** Loop nests that the operator tables do not have: transpositions of every raggedness, symbolic extents and parameters. */
import { expect, it } from "vitest";
import type { Buffer, View } from "../../compiler/kernels/contract.ts";
import { bindLoopNest } from "../../compiler/kernels/loop/bind.ts";
import { interpretNest } from "../../compiler/loop/interpret.ts";
import { along, identityAccess, type LoopNest } from "../../compiler/loop/loop.ts";
import { denseBytes, denseView } from "../../compiler/plan/view.ts";
import type { DType } from "../../runtime/format/dtype.ts";
import { axis, binary, cast, constant, input, load, parameter, select } from "../../runtime/format/expression.ts";
import { type Tensor, zeros } from "../../runtime/format/tensor.ts";
import { tensorOfNumbers } from "../../runtime/reference/numbers.ts";
import { runSteps } from "./run.ts";
import { collect, denseBuffer, expectClose, gappedBuffer, noise, scatter, sizeOf, tensor } from "./tensors.ts";

const permutations: readonly (readonly [shape: readonly number[], order: readonly number[]])[] = [
  [
    [5, 7],
    [1, 0],
  ],
  [
    [16, 16],
    [1, 0],
  ],
  [
    [4, 33],
    [1, 0],
  ],
  [
    [35, 18],
    [1, 0],
  ],
  [
    [2, 3, 17, 19],
    [0, 2, 3, 1],
  ],
  [
    [2, 17, 19, 3],
    [0, 3, 1, 2],
  ],
  [
    [2, 6, 5, 7],
    [0, 2, 3, 1],
  ],
  [
    [2, 9, 3, 6],
    [0, 2, 3, 1],
  ],
  [
    [2, 9, 3, 6],
    [0, 2, 1, 3],
  ],
  [
    [3, 4, 5, 6],
    [3, 2, 1, 0],
  ],
  [
    [3, 5, 4, 6],
    [2, 0, 3, 1],
  ],
];

const transposeNest = (dtype: DType, shape: readonly number[], order: readonly number[]): LoopNest => ({
  extents: order.map((from) => shape[from] ?? 1),
  reductions: 0,
  operands: [{ dtype, access: shape.map((_, from) => along(order.indexOf(from))) }],
  parameters: [],
  body: input(0),
  output: { dtype, access: identityAccess(shape.length) },
});

const transposes = permutations.flatMap(([shape, order]) =>
  (["float32", "int32", "float16", "int64", "bool"] as const).map((dtype) => ({ shape, order, dtype })),
);

it.each(transposes)("$dtype of $shape by $order", ({ shape, order, dtype }) => {
  const nest = transposeNest(dtype, shape, order);
  const numbers = noise(sizeOf(shape)).map((value, index) => (dtype === "bool" ? index % 2 : Math.round(value * 1000)));
  const x = tensorOfNumbers(dtype, shape, numbers);
  const expected = zeros(dtype, nest.extents as readonly number[]);
  interpretNest(nest, [x], expected);
  const run = (place: (name: string, shape: readonly number[]) => View, parts: number): Tensor => {
    const [from, to] = [place("x", shape), place("y", expected.shape)];
    const step = bindLoopNest(nest, [from], to);
    const result = runSteps([step], { initial: new Map([[from.buffer, scatter(from, x)]]), parts });
    return collect(to, result.get(to.buffer) as Uint8Array);
  };
  expect(run((name, extents) => denseBuffer(name, dtype, extents), 1)).toEqual(expected);
  const outerGaps = (extents: readonly number[]): number[] => extents.map((_, at) => (at < extents.length - 1 ? 3 : 0));
  expect(run((name, extents) => gappedBuffer(name, dtype, extents, outerGaps(extents), 3), 3)).toEqual(expected);
  const allGaps = (extents: readonly number[]): number[] => extents.map(() => 1);
  expect(run((name, extents) => gappedBuffer(name, dtype, extents, allGaps(extents)), 2)).toEqual(expected);
});

/** y[i, j] = x[j, i] + n where j < n, else x[i % 3, 0] read through a computed coordinate. */
it("takes symbolic extents and parameters", () => {
  const bindings = new Map([
    ["n", 6],
    ["m", 21],
  ]);
  const resolve = (extents: readonly (number | string)[]): number[] =>
    extents.map((extent) => (typeof extent === "number" ? extent : (bindings.get(extent) ?? 0)));
  const nestOf = (n: string | number, m: string | number): LoopNest => ({
    extents: [n, m],
    reductions: 0,
    operands: [
      { dtype: "float32", access: [along(1), along(0)] },
      { dtype: "float32", access: "indexed" },
    ],
    parameters: [n],
    body: select(
      binary("less", axis(1), parameter(0)),
      binary("add", input(0), cast("float32", parameter(0))),
      load(1, [binary("remainder", axis(0), constant(3, "int32")), constant(0, "int32")]),
    ),
    output: { dtype: "float32", access: identityAccess(2) },
  });
  const x = tensor(resolve(["m", "n"]), noise(6 * 21));
  const expected = zeros("float32", resolve(["n", "m"]));
  interpretNest(nestOf(6, 21), [x, x], expected);
  const buffer = (name: string, shape: readonly (number | string)[]): View => {
    const place: Buffer = { kind: "scratch", name, dtype: "float32", bytes: denseBytes("float32", shape) };
    return denseView(place, "float32", shape);
  };
  const [from, to] = [buffer("x", ["m", "n"]), buffer("y", ["n", "m"])];
  const step = bindLoopNest(nestOf("n", "m"), [from, from], to);
  const initial = new Map([[from.buffer, new Uint8Array(x.data.buffer.slice(0))]]);
  for (const parts of [1, 4]) {
    const result = runSteps([step], { initial, bindings, parts });
    expect(collect(denseBuffer("y", "float32", expected.shape), result.get(to.buffer) as Uint8Array)).toEqual(expected);
  }
});

/** Symbolic transposition: the blocks are counted when the extents are known. */
it("turns symbolic extents", () => {
  const nest: LoopNest = { ...transposeNest("float32", [1, 1], [1, 0]), extents: ["m", "n"] };
  const bindings = new Map([
    ["n", 19],
    ["m", 37],
  ]);
  const x = tensor([19, 37], noise(19 * 37));
  const place = (name: string, shape: readonly string[]): View =>
    denseView({ kind: "scratch", name, dtype: "float32", bytes: ["*", ["*", "n", "m"], 4] }, "float32", shape);
  const [from, to] = [place("x", ["n", "m"]), place("y", ["m", "n"])];
  const step = bindLoopNest(nest, [from], to);
  expect(step.kernel.name).toBe("transpose");
  const result = runSteps([step], {
    initial: new Map([[from.buffer, new Uint8Array(x.data.buffer.slice(0))]]),
    bindings,
    parts: 2,
  });
  const expected = zeros("float32", [37, 19]);
  interpretNest(transposeNest("float32", [19, 37], [1, 0]), [x], expected);
  expect(collect(denseBuffer("y", "float32", [37, 19]), result.get(to.buffer) as Uint8Array)).toEqual(expected);
});

/** Constants that JSON writes alike make different kernels. */
it("tells infinities, NaN and the zeros apart", () => {
  const x = tensor([5], [-1, 0, 1, 2, 3]);
  const from = denseBuffer("x", "float32", [5]);
  const constants = [Infinity, -Infinity, Number.NaN, 0, -0];
  const nests = constants.map(
    (value): LoopNest => ({
      extents: [5],
      reductions: 0,
      operands: [{ dtype: "float32", access: identityAccess(1) }],
      parameters: [],
      body: select(
        binary("less", input(0), constant(1.5)),
        binary("minimum", input(0), constant(value)),
        binary("minimum", input(0), constant(-value)),
      ),
      output: { dtype: "float32", access: identityAccess(1) },
    }),
  );
  const targets = nests.map((_, index) => denseBuffer(`y ${index}`, "float32", [5]));
  const steps = nests.map((nest, index) => bindLoopNest(nest, [from], targets[index] as View));
  expect(new Set(steps.map(({ kernel }) => kernel.key)).size).toBe(constants.length);
  const result = runSteps(steps, { initial: new Map([[from.buffer, scatter(from, x)]]) });
  nests.forEach((nest, index) => {
    const target = targets[index] as View;
    const expected = zeros("float32", [5]);
    interpretNest(nest, [x], expected);
    expectClose(collect(target, result.get(target.buffer) as Uint8Array), expected, 0);
  });
});
