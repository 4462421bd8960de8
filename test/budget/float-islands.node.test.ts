import { expect, test } from "vitest";
import { withFloatIslands } from "../../compiler/budget/float-islands.ts";
import type { Layer } from "../../compiler/budget/layers.ts";
import { indexOf, quantities } from "../../compiler/budget/quantities.ts";

const layer = (kind: "int8" | "int8-weights"): Layer => {
  const scheme = kind === "int8" ? { kind, activationBits: 8 as const, dynamic: false } : { kind };
  const tensor = { dtype: "float32" as const, shape: [1], data: Float32Array.of(1) };
  return {
    constant: { name: "w", type: { dtype: "float32", shape: [1] } },
    nodes: [],
    reader: "conv",
    options: [
      { scheme: { kind: "float32" }, tensor, storage: undefined },
      { scheme, tensor, storage: undefined },
    ],
  };
};
const integers = Array.from({ length: 4 }, () => layer("int8"));
/** Of each layer: what int8 loses, and the milliseconds in float and in int8. */
const items = (...layers: readonly (readonly [loss: number, float: number, int8: number])[]) =>
  layers.map(([loss, float, int8]) =>
    [
      [0, float],
      [loss, int8],
    ].map(([lost = 0, time = 0]) =>
      quantities.map((_, k) => (k === indexOf.loss ? lost : k === indexOf.latency ? time : 1)),
    ),
  );

test("the layer that makes most of the noise stays in float", () => {
  const measured = items([0.02, 10.1, 10], [1e-4, 10.1, 10], [1e-4, 10.1, 10], [1e-4, 10.1, 10]);
  expect(withFloatIslands(integers, [1, 1, 1, 1], measured)).toEqual([0, 1, 1, 1]);
});

test("nothing does where int8 is good enough", () => {
  const measured = items([2e-4, 10.1, 10], [1e-6, 10.1, 10], [1e-6, 10.1, 10], [1e-6, 10.1, 10]);
  expect(withFloatIslands(integers, [1, 1, 1, 1], measured)).toEqual([1, 1, 1, 1]);
});

test("nor a layer that would cost more time than int8 may give away, nor one that is in float anyway", () => {
  const measured = items([0.02, 20, 10], [0.02, 10.1, 10], [0.01, 10.1, 10], [1e-4, 10.1, 10]);
  const layers = [layer("int8"), layer("int8-weights"), layer("int8"), layer("int8")];
  expect(withFloatIslands(layers, [1, 1, 1, 1], measured)).toEqual([1, 1, 0, 1]);
});
