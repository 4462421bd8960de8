/** Outputs of quantised models are compared by steps of their last rounding. */
import { describe, expect, test } from "vitest";
import { compareOutputs } from "../../bench/compare.ts";
import { outputSteps } from "../../bench/quantisation-steps.ts";
import { integerAttribute } from "../../compiler/graph/attribute.ts";
import { GraphBuilder } from "../../compiler/graph/build.ts";
import { inferNode } from "../../compiler/ops/infer.ts";
import { type Tensor, tensorOf } from "../../runtime/format/tensor.ts";

const y = (values: readonly number[]): Record<string, Tensor> => ({ y: tensorOf("float32", [values.length], values) });
const ramp = Array.from({ length: 100 }, (_, index) => index - 50);
/** The ramp with `count` elements `steps` away. */
const off = (count: number, steps: number): Record<string, Tensor> =>
  y(ramp.map((value, index) => (index < count ? value + steps : value)));
const differenceOf = (count: number, steps: number): string | undefined =>
  compareOutputs(off(count, steps), y(ramp), { y: 1 }).difference;

describe("comparison by steps", () => {
  test("single steps anywhere, more of them in few places", () => {
    expect(differenceOf(100, 1)).toBeUndefined();
    expect(differenceOf(10, 3)).toBeUndefined();
    expect(differenceOf(1, 8)).toBeUndefined();
    expect(compareOutputs(off(10, 3), y(ramp), { y: 1 }).withinStep).toBe(0.9);
  });

  test("too many or too large differences are named", () => {
    expect(differenceOf(11, 2)).toMatch(/output y has 89\.0 % within 1 steps of 1\.00, expected 90\.0 %/);
    expect(differenceOf(2, 4)).toMatch(/98\.0 % within 3 steps/);
    expect(differenceOf(1, 9)).toMatch(/99\.0 % within 8 steps/);
    expect(compareOutputs(y([1, Number.NaN]), y([1, 1]), { y: 1 }).difference).toMatch(/is NaN/);
  });

  test("a float model is compared as before", () => {
    expect(compareOutputs(off(1, 1), y(ramp)).difference).toMatch(/expected -50/);
    expect(compareOutputs(off(1, 1), y(ramp)).withinStep).toBeUndefined();
  });
});

describe("steps of outputs", () => {
  const build = (quantised: boolean) => {
    const builder = new GraphBuilder("model", inferNode);
    const x = builder.input("x", "float32", [4]);
    const scale = builder.add("Identity", [builder.constant("scale", tensorOf("float32", [], [0.25]))]);
    const zero = builder.constant("zero", tensorOf("uint8", [], [3]));
    const integers = quantised ? builder.add("QuantizeLinear", [x, scale, zero]) : builder.input("q", "uint8", [4]);
    const floats = builder.add("DequantizeLinear", [integers, scale, zero]);
    builder.output("direct", builder.add("Flatten", [floats], { axis: integerAttribute(0) }));
    builder.output("computed", builder.add("Sigmoid", [floats]));
    builder.output("integers", integers);
    return outputSteps(builder.finish());
  };

  test("the scale behind views; unknown behind other operators; 1 for integers", () => {
    expect(build(true)).toEqual({ direct: 0.25, computed: undefined, integers: 1 });
  });

  test("weights alone do not make a model quantised", () => expect(build(false)).toBeUndefined());
});
