/** Quantised elements in loop nests, four at a time and one by one, and borders of a value around byte images. */
import { describe, expect, it } from "vitest";
import type { Buffer } from "../../compiler/kernels/contract.ts";
import { haloFillStep } from "../../compiler/kernels/halo/bind.ts";
import { bindLoopNest } from "../../compiler/kernels/loop/bind.ts";
import { interpretNest } from "../../compiler/loop/interpret.ts";
import { identityAccess, type LoopNest } from "../../compiler/loop/loop.ts";
import { haloBytes, haloLayout, haloView } from "../../compiler/plan/view.ts";
import type { DType } from "../../runtime/format/dtype.ts";
import { binary, cast, constant, type Expression, input, unary } from "../../runtime/format/expression.ts";
import { type Tensor, zeros } from "../../runtime/format/tensor.ts";
import { tensorOfNumbers } from "../../runtime/reference/numbers.ts";
import { runSteps } from "./run.ts";
import { collect, denseBuffer, scatter } from "./tensors.ts";

const clamp = (value: Expression, low: number, high: number, dtype: DType = "float32"): Expression =>
  binary("minimum", binary("maximum", value, constant(low, dtype)), constant(high, dtype));
const rounded = (scale: number): Expression => unary("round", binary("multiply", input(0), constant(scale)));
const float = (value: Expression): Expression => cast("float32", value);

const floats = [
  ...[0, -0, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 127.49, 127.5, 128, 254.5, 255.5, 300, -128.5, -129, 1e9, -1e9],
  ...[Infinity, -Infinity, Number.NaN, 3e38, 4194303.5, -4194303.5, 8388609, 2 ** 31, -(2 ** 31), 1e-30, 100.25],
];
const integers = [0, 1, -1, 127, 128, 129, -128, -129, 255, 256, 257, 65535, 2 ** 31 - 1, -(2 ** 31), 77, -77, 12345];
const bytes = [0, 1, 2, 127, 128, 200, 255, 13, 100, 50, 33];

const cases: Readonly<Record<string, readonly [from: DType, values: readonly number[], body: Expression]>> = {
  "to uint8": ["float32", floats, cast("uint8", clamp(binary("add", rounded(1), constant(17)), 0, 255))],
  "to int8, bounds first": [
    "float32",
    floats,
    cast("int8", binary("add", clamp(rounded(0.5), -100, 90), constant(-20))),
  ],
  "to int32": ["float32", floats, cast("int32", clamp(rounded(3), -5000, 70000))],
  "to int32, wide bounds": ["float32", floats, cast("int32", clamp(rounded(3), -1e9, 1e9))],
  "to uint8 without bounds": ["float32", floats, cast("uint8", rounded(1))],
  "to int8 without rounding": ["float32", floats, cast("int8", input(0))],
  "int32 to int8": ["int32", integers, cast("int8", input(0))],
  "int32 to uint8, bounded": ["int32", integers, cast("uint8", clamp(input(0), 0, 255, "int32"))],
  "int32 to uint8 and back": ["int32", integers, cast("float32", cast("uint8", input(0)))],
  "from uint8": ["uint8", bytes, binary("multiply", float(input(0)), constant(0.37))],
  "uint8 to uint8": [
    "uint8",
    bytes,
    cast(
      "uint8",
      clamp(binary("add", unary("round", binary("multiply", float(input(0)), constant(1.7))), constant(-9)), 0, 255),
    ),
  ],
  "sum of int8 wraps": ["int8", bytes.map((value) => value - 128), binary("add", input(0), constant(100, "int8"))],
  "largest of int8": ["int8", bytes.map((value) => value - 128), binary("maximum", input(0), constant(-3, "int8"))],
};

describe.each(Object.entries(cases))("%s", (_, [from, values, body]) => {
  it.each([values.length, 4, 3, 53])("of %i", (count) => {
    const x = tensorOfNumbers(
      from,
      [count],
      Array.from({ length: count }, (_, index) => values[index % values.length] as number),
    );
    const to = body.kind === "cast" ? body.dtype : from === "uint8" ? "float32" : from;
    const access = identityAccess(1);
    const nest: LoopNest = {
      extents: [count],
      reductions: 0,
      operands: [{ dtype: from, access }],
      parameters: [],
      body,
      output: { dtype: to, access },
    };
    const expected = zeros(to, [count]);
    interpretNest(nest, [x], expected);
    const [source, target] = [denseBuffer("x", from, [count]), denseBuffer("y", to, [count])];
    const result = runSteps([bindLoopNest(nest, [source], target)], {
      initial: new Map([[source.buffer, scatter(source, x)]]),
    });
    expect(collect(target, result.get(target.buffer) as Uint8Array)).toEqual(expected);
  });
});

it("fills the border of a byte image with the zero point, and nothing else", () => {
  const shape = [2, 3, 4, 3];
  const halo = { top: 1, left: 1, bottom: 2, right: 1, value: -7 };
  const buffer: Buffer = { kind: "scratch", name: "image", dtype: "int8", bytes: haloBytes("int8", shape, halo) };
  const view = haloView(buffer, "int8", shape, halo);
  const inner: Tensor = tensorOfNumbers(
    "int8",
    shape,
    Array.from({ length: 72 }, (_, i) => i),
  );
  const initial = scatter(view, inner);
  const result = runSteps([haloFillStep(view, haloLayout(shape, halo), 1, halo.value)], {
    initial: new Map([[buffer, initial]]),
  }).get(buffer) as Uint8Array;
  expect(collect(view, result)).toEqual(inner);
  const inside = scatter(view, zeros("int8", shape), new Uint8Array(result.length).fill(1));
  expect([...result].filter((_, index) => inside[index] === 1).every((byte) => byte === 256 - 7)).toBe(true);
  expect(() => haloFillStep(view, haloLayout(shape, halo), 4, 1)).toThrow(RangeError);
});
