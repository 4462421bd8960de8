/** What layers are charged with adds up to what plans take, also where integer products have constants of their own. */
import { expect, test } from "vitest";
import { costsOf } from "../../compiler/budget/device-profile.ts";
import { layerCosts } from "../../compiler/budget/layer-costs.ts";
import { integerSchemes, layersOf, weightSchemes } from "../../compiler/budget/layers.ts";
import { applyPicks } from "../../compiler/budget/picks.ts";
import { framedPicks, singlePicks } from "../../compiler/budget/regular-picks.ts";
import { syntheticSamples } from "../../compiler/budget/samples.ts";
import { openExecution } from "../../compiler/execution.ts";
import { toIntegers } from "../../compiler/pipeline.ts";
import { costOfPlan } from "../../compiler/plan/cost-of-plan.ts";
import { defaultProfile } from "../../compiler/plan/default-profile.ts";
import { makePlan } from "../../compiler/plan/make-plan.ts";
import { prepare } from "../../compiler/quantize/prepare.ts";
import { chain } from "./chain.ts";

const costs = costsOf(defaultProfile);
const plain = chain(false, 64);
const { graph, calibration } = await prepare(plain, syntheticSamples(plain, 2), {
  open: (candidate, variants) => openExecution(candidate, variants, costs),
  source: "synthetic inputs",
  secondMoments: false,
});
const layers = layersOf(graph, [...weightSchemes, ...integerSchemes], calibration);
const choices = { graph, layers, calibration, toIntegers };
const costOf = (candidate: typeof graph) => costOfPlan(makePlan(candidate, costs, []), defaultProfile);
const table = layerCosts(choices, { costOf });
const weightBytes = (candidate: typeof graph): number =>
  costOf(candidate).weights.reduce((sum, { bytes }) => sum + bytes, 0);

test.each(singlePicks(layers).map((picks) => [picks.join(), picks] as const))("options %s everywhere", (_, picks) => {
  const applied = applyPicks(choices, picks);
  const sum = (quantity: "bytes" | "milliseconds", of: readonly number[]): number =>
    table.reduce((all, row, layer) => all + (row[of[layer] ?? 0]?.[quantity] ?? 0), 0);
  const own = layers.map(() => 0);
  expect(sum("bytes", picks)).toBe(weightBytes(applied));
  const rest = costOf(graph).nanoseconds * 1e-6 - sum("milliseconds", own);
  const planned = costOf(applied).nanoseconds * 1e-6;
  // A longer run yields more often, which is no layer's own.
  expect(Math.abs(sum("milliseconds", picks) + rest - planned)).toBeLessThan(1e-3 * planned);
});

test("integers are framed by layers as the model has them, and by int8 weights", () => {
  const items = table.map((row) => row.map(({ bytes, milliseconds }) => [0, bytes, 0, milliseconds, 0]));
  const kinds = framedPicks(layers, items).map((picks) =>
    picks.map((option, layer) => layers[layer]?.options[option]?.scheme.kind),
  );
  expect(kinds).toContainEqual(["float32", "int8", "int8"]);
  expect(kinds).toContainEqual(["int8-weights", "int8", "int8-weights"]);
  expect(kinds.every((row) => row.includes("int8"))).toBe(true);
});
