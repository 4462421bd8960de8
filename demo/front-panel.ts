/** The front of the budget: what could be had, seen from the user who waits, the battery and the download. */
import type { Report } from "../compiler/compile.ts";
import { type FrontCost, frontChart } from "../compiler/report-front.ts";
import { byId, element } from "./element.ts";
import { showHint } from "./prediction.ts";

const views: readonly (readonly [FrontCost, string])[] = [
  ["size", "MB"],
  ["latency", "ms"],
  ["energy", "mJ"],
];

export class FrontPanel {
  readonly #views = byId("front-views");
  #report: Report | undefined;

  constructor() {
    for (const [cost, label] of views) {
      const input = element("input", { type: "radio", name: "front-view", value: cost, checked: cost === "size" });
      input.addEventListener("change", () => this.#draw());
      this.#views.append(element("label", {}, input, element("span", {}, label)));
    }
  }

  show(report: Report | undefined): void {
    this.#report = report;
    this.#draw();
  }

  #draw(): void {
    const chosen = this.#views.querySelector<HTMLInputElement>("input:checked")?.value;
    const cost = views.find(([name]) => name === chosen)?.[0] ?? "size";
    const budget = this.#report?.budget;
    if (budget === undefined)
      return showHint(byId("front"), "Set a budget: the front of quality against its price appears here.");
    byId("front").innerHTML = frontChart(budget, cost);
  }
}
