import { expect, test } from "vitest";
import { islandsOf, withIslands } from "../../compiler/budget/float-islands.ts";
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
/** What int8 loses in each layer. */
const items = (...losses: readonly number[]) =>
  losses.map((loss) => [0, loss].map((lost) => quantities.map((_, k) => (k === indexOf.loss ? lost : 1))));
const all = [1, 1, 1, 1];

test("the layers that make most of the noise are islands, the noisiest first", () => {
  expect(islandsOf(integers, all, items(0.01, 1e-5, 0.02, 1e-5))).toEqual([2, 0]);
});

test("nothing is where int8 is good enough, nor a layer that is in float anyway", () => {
  expect(islandsOf(integers, all, items(2e-4, 1e-6, 1e-6, 1e-6))).toEqual([]);
  const layers = [layer("int8"), layer("int8-weights"), layer("int8"), layer("int8")];
  expect(islandsOf(layers, all, items(0.02, 0.02, 0.01, 1e-5))).toEqual([0, 2]);
});

test("as many islands as the plan's time allows: less than half of what int8 saves", async () => {
  // Each layer takes 2 ms in float and 1 in int8; integers and floats side by side take 0.2 more.
  const timeOf = async (picks: readonly number[]) =>
    picks.reduce<number>((sum, pick, i) => sum + 2 - pick + (i > 0 && pick !== picks[i - 1] ? 0.2 : 0), 0);
  expect(await withIslands([1, 1, 1, 1], [2, 0, 1], timeOf)).toEqual([1, 1, 0, 1]);
  expect(await withIslands([1, 1, 1, 1], [], timeOf)).toEqual([1, 1, 1, 1]);
  expect(await withIslands([1, 1], [0], timeOf)).toEqual([1, 1]);
});
