/** Counts of steps are polynomials of the symbols; expanded, their bounds can be below zero, which no validator accepts. */
import { expect, it } from "vitest";
import { generateProgram } from "../../compiler/codegen/program.ts";
import { integersAttribute } from "../../compiler/graph/attribute.ts";
import { GraphBuilder } from "../../compiler/graph/build.ts";
import { inferNode } from "../../compiler/ops/infer.ts";
import { optimise } from "../../compiler/pipeline.ts";
import { defaultCosts } from "../../compiler/plan/default-costs.ts";
import { makePlan } from "../../compiler/plan/make-plan.ts";
import { extentBounds } from "../../runtime/format/extent.ts";

it("counts are bounded by zero where batch, height and width are symbols and the window shrinks the image", () => {
  const builder = new GraphBuilder("pool", inferNode);
  const shape = [builder.symbol("batch", 1, 3), 3, builder.symbol("height", 4, 11), builder.symbol("width", 5, 9)];
  const x = builder.input("x", "float32", shape);
  const pooled = builder.add("MaxPool", [x], { kernel_shape: integersAttribute([2, 2]) }, { version: 12 });
  builder.output("y", pooled);
  const plan = makePlan(optimise(builder.finish()), defaultCosts);
  const { program } = generateProgram(plan);
  const symbols = new Map(program.symbols.map((symbol) => [symbol.name, symbol]));
  const kernels = program.steps.filter((step) => step.kind === "kernel");
  expect(kernels.length).toBeGreaterThan(0);
  for (const { range, flops, bytes, invocations } of kernels)
    for (const count of [range, flops, bytes, invocations])
      expect(extentBounds(count, symbols)[0]).toBeGreaterThanOrEqual(0);
});
