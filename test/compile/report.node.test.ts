/** The page of a compile: what the budget found is on it, and nothing of a model's names can break out of it. */
import { expect, test } from "vitest";
import type { BudgetOutcome, Point } from "../../compiler/budget/outcome.ts";
import { type Report, reportHtml } from "../../compiler/compile.ts";
import { frontChart } from "../../compiler/report-front.ts";

const point = (size: number, latency: number, quality: number): Point => ({
  size,
  latency,
  quality,
  memory: 2 * size,
  energy: 0.5,
});
const original = point(4e6, 10, 1);
const chosen = point(1e6, 5, 0.999);

const budget: BudgetOutcome = {
  objective: "quality",
  device: "a device",
  energy: { tier: "C", band: 10, source: "a table" },
  limits: [{ quantity: "size", limit: 1.1e6, value: 1e6, slack: 1e5, price: { by: 1e5, gain: 0.03 } }],
  original,
  chosen,
  quality: { samples: 3, outputs: [{ name: "y", cosine: 0.999, sqnr: 31 }], groups: [], score: 0.999 },
  layers: [
    {
      layer: "conv <script>",
      constant: "w",
      chosen: 1,
      options: [
        { scheme: "float32", bytes: 4000, milliseconds: 2, millijoules: 0.1, loss: 0 },
        { scheme: "int4/32", bytes: 600, milliseconds: 1, millijoules: 0.05, loss: 1e-4 },
      ],
      weights: { low: -1, high: 1, before: [1, 4, 1], after: [0, 6, 0] },
    },
  ],
  front: [
    { ...point(2e6, 7, 0.9999), measured: false, chosen: false },
    { ...point(3e6, 8, 0.9998), measured: false, chosen: false },
    { ...chosen, measured: true, chosen: true },
  ],
  proved: true,
};

const report: Report = {
  name: "model",
  steps: [],
  hostSteps: [],
  flops: 0,
  totalBytes: 1e6,
  weightBytes: 9e5,
  moduleBytes: {},
  memoryBytes: 2e6,
  arenaBytes: 1e5,
  liveBytes: 1e5,
  predicted: { milliseconds: 5, millijoules: 0.5, tier: "C" },
  storage: [],
  budget,
  notes: [],
  milliseconds: 100,
};

test("limits, prices, layers and weights are on the page, names as text", () => {
  const html = reportHtml(report);
  expect(html).toContain("+100.0 kB buys 0.03 points of quality");
  expect(html).toContain("conv &#60;script&#62;");
  expect(html).not.toContain("<script");
  expect(html).toContain("int4/32");
  expect(html.match(/class="front /g)).toHaveLength(3);
  expect(html.match(/class="after"/g)).toHaveLength(1);
});

test("the front leaves out what is beaten in both, and marks limit, original and choice", () => {
  const chart = frontChart(budget, "size");
  expect(chart.match(/class="point"/g)).toHaveLength(2);
  for (const mark of ['class="limit"', 'class="original"', 'class="chosen"']) expect(chart).toContain(mark);
  expect(frontChart(budget, "latency")).not.toContain('class="limit"');
  const far = { ...budget, limits: budget.limits.map((limit) => ({ ...limit, limit: 1e9 })) };
  expect(frontChart(far, "size")).not.toContain('class="limit"');
  expect(frontChart(far, "size")).toContain("limit 1000 →");
});
