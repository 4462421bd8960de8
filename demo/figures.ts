/** The few numbers that matter, in a row. */
import { byId, element } from "./element.ts";

const names = ["Package", "Compiled in", "Median run", "Memory", "Runs on"] as const;
export type FigureName = (typeof names)[number];

export class Figures {
  readonly #values: ReadonlyMap<FigureName, readonly [value: HTMLElement, detail: HTMLElement]>;

  constructor() {
    this.#values = new Map(
      names.map((name) => [
        name,
        [element("dd", { class: "value" }, "–"), element("dd", { class: "detail" })] as const,
      ]),
    );
    const groups = [...this.#values].map(([name, nodes]) => element("div", {}, element("dt", {}, name), ...nodes));
    byId("figures").replaceChildren(...groups);
  }

  show(name: FigureName, value: string, detail = ""): void {
    const nodes = this.#values.get(name);
    if (nodes === undefined) return;
    nodes[0].textContent = value;
    nodes[1].textContent = detail;
  }

  clear(): void {
    for (const name of this.#values.keys()) this.show(name, "–");
  }
}
