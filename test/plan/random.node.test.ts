/** Random graphs through plan, generated code and engine. */
import { describe, test } from "vitest";
import { passCases } from "../passes/cases.ts";
import { randomGraph } from "../passes/random-graph.ts";
import { expectPlanned, expectRuns } from "./expect-planned.ts";
import { randomPlanGraph } from "./random-plan-graph.ts";

describe("graphs of the passes' tests", () => {
  for (const { name, build, bindings } of passCases) test(name, () => expectPlanned(build(), bindings));
});

describe("random networks", () => {
  for (let seed = 1; seed <= 60; seed++)
    test(`network ${seed}`, () => expectPlanned(randomGraph(seed), undefined, seed));
});

describe("random networks for batches of 1 to 4", () => {
  for (let seed = 101; seed <= 130; seed++)
    test(`network ${seed}`, async () => {
      const batches = [4, 1, 3, 2, 4].map((batch) => new Map([["batch", batch]]));
      await expectRuns(randomGraph(seed, true), batches, seed);
    });
});

describe("random views, joins and reductions", () => {
  for (let seed = 1; seed <= 140; seed++)
    test(`graph ${seed}`, () => expectPlanned(randomPlanGraph(seed), undefined, seed));
});
