/** The compile report: what the compiler did, in a few facts, and every step of the plan behind a fold. */
import type { Report } from "../compiler/compile.ts";
import { element } from "./element.ts";
import { bytesText, millisecondsText } from "./quantity.ts";

function storageText({ storage }: Report): string {
  const counts = new Map<string, number>();
  for (const entry of storage) counts.set(entry.storage, (counts.get(entry.storage) ?? 0) + 1);
  if (counts.size === 0) return "float32";
  return [...counts].map(([name, count]) => `${count} × ${name}`).join(", ");
}

function factsOf(report: Report): readonly (readonly [name: string, value: string])[] {
  const error = report.outputError;
  return [
    [
      "Steps",
      `${report.steps.length}, ${report.hostSteps.length === 0 ? "all in generated code" : `${report.hostSteps.length} of them on the host`}`,
    ],
    ["Arithmetic", `${(report.flops / 1e6).toFixed(1)} MFLOP a run`],
    ["Weights", `${bytesText(report.weightBytes)} as ${storageText(report)}`],
    ...(error === undefined ? [] : [["Output error", `${(100 * error).toPrecision(2)} % against float32`] as const]),
    ["Arena", `${bytesText(report.arenaBytes)} for at most ${bytesText(report.liveBytes)} of live values`],
    ["Compiled in", millisecondsText(report.milliseconds)],
  ];
}

function stepsTable(report: Report): HTMLTableElement {
  const rows = report.steps.map((step) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, step.op.replace("leafcutter.", "")),
      element("td", {}, element("code", {}, step.kernel)),
      element("td", { class: "number" }, (step.flops / 1e6).toFixed(2)),
      element("td", { class: "number" }, step.weightBytes === 0 ? "" : bytesText(step.weightBytes)),
    ),
  );
  const heads = ["step", "kernel", "MFLOP", "weights"].map((text) => element("th", { scope: "col" }, text));
  return element("table", {}, element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...rows));
}

/** Replaces the content of `host`. */
export function showReport(host: HTMLElement, report: Report): void {
  const facts = factsOf(report).flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]);
  host.replaceChildren(
    element("dl", { class: "facts" }, ...facts),
    element(
      "details",
      {},
      element("summary", {}, "Every step of the plan"),
      element("div", { class: "scroll" }, stepsTable(report)),
    ),
  );
}
