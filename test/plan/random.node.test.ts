/** Random graphs through plan, generated code and engine. */
import { describe, test } from "vitest";
import { passCases } from "../passes/cases.ts";
import { randomGraph } from "../passes/random-graph.ts";
import { expectPlanned } from "./expect-planned.ts";
import { randomPlanGraph } from "./random-plan-graph.ts";

describe("graphs of the passes' tests", () => {
  for (const { name, build, bindings } of passCases) test(name, () => expectPlanned(build(), bindings));
});

describe("random networks", () => {
  for (let seed = 1; seed <= 60; seed++)
    test(`network ${seed}`, () => expectPlanned(randomGraph(seed), undefined, seed));
});

describe("random views, joins and reductions", () => {
  for (let seed = 1; seed <= 140; seed++)
    test(`graph ${seed}`, () => expectPlanned(randomPlanGraph(seed), undefined, seed));
});
