/** Dynamic quantisation gives the bits of the reference, whatever the count and the range. */
import { expect, it } from "vitest";
import type { Buffer } from "../../compiler/kernels/contract.ts";
import { dynamicQuantizeFamily } from "../../compiler/kernels/dynamic-quantize/family.ts";
import { dynamicQuantizeVariants } from "../../compiler/kernels/dynamic-quantize/variants.ts";
import { dynamicQuantizeLinear } from "../../runtime/reference/quantize.ts";
import { runSteps } from "./run.ts";
import { collect, denseBuffer, noise, scatter, tensor } from "./tensors.ts";

const random = (count: number, map: (value: number) => number): readonly number[] => noise(count, count).map(map);

it.each<readonly [string, readonly number[]]>([
  ["both signs", random(512, (value) => value * 3.7)],
  ["a ragged count", random(172 + 7, (value) => value)],
  ["above zero", random(64, (value) => value + 2.5)],
  ["below zero", random(33, (value) => value - 2.5)],
  ["zeros", [0, 0, 0, -0, 0]],
  ["one element", [-3.25]],
  ["ties", random(129, (value) => Math.round(value * 16) / 2)],
  ["large and small", [3e38, -1e-30, 5, 1e37, 2, 7e37]],
  ["none", []],
])("%s", (_, values) => {
  const x = tensor([values.length], values);
  const expected = dynamicQuantizeLinear({ version: 11, attributes: {}, inputs: [x], outputCount: 3 });
  const source = denseBuffer("x", "float32", x.shape);
  const outputs = expected.map(({ dtype, shape }, index) => denseBuffer(`output ${index}`, dtype, shape));
  const [variant] = dynamicQuantizeVariants;
  if (!variant) throw new Error("no variant");
  const problem = { family: "dynamic-quantize", elements: values.length } as const;
  const step = dynamicQuantizeFamily.bind(variant, problem, [source], outputs, undefined, undefined);
  const result = runSteps([step], { initial: new Map<Buffer, Uint8Array>([[source.buffer, scatter(source, x)]]) });
  outputs.forEach((view, index) => {
    const actual = collect(view, result.get(view.buffer) as Uint8Array);
    expect(Array.from(actual.data as Float32Array)).toEqual(Array.from(expected[index]?.data as Float32Array));
  });
});

it("NaN gives a scale of NaN and zeros", () => {
  const x = tensor([5], [1, Number.NaN, -2, 3, 4]);
  const views = [denseBuffer("x", "float32", [5]), denseBuffer("y", "uint8", [5]), denseBuffer("scale", "float32", [])];
  const [source, output, scale] = views as [(typeof views)[0], (typeof views)[0], (typeof views)[0]];
  const step = dynamicQuantizeFamily.bind(
    { name: "whole" },
    { family: "dynamic-quantize", elements: 5 },
    [source],
    [output, scale, denseBuffer("zero", "uint8", [])],
    undefined,
    undefined,
  );
  const result = runSteps([step], { initial: new Map([[source.buffer, scatter(source, x)]]) });
  expect(collect(scale, result.get(scale.buffer) as Uint8Array).data[0]).toBeNaN();
  expect(Array.from(collect(output, result.get(output.buffer) as Uint8Array).data as Uint8Array)).toEqual([
    0, 0, 0, 0, 0,
  ]);
});
