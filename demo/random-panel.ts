/** The input of a model that the page cannot interpret: its ports, and a seed that fills them. */
import type { PortDescription } from "../runtime/index.ts";
import { button, element } from "./element.ts";

/** Replaces the content of `host` and calls `onSeed` at once, and for every other seed. */
export function showRandomPanel(
  host: HTMLElement,
  ports: readonly PortDescription[],
  onSeed: (seed: number) => void,
): void {
  let seed = 1;
  const text = element("b", {}, String(seed));
  const another = button("Another seed", { class: "quiet" }, () => {
    seed += 1;
    text.textContent = String(seed);
    onSeed(seed);
  });
  const list = ports.map(({ name, dtype, shape }) =>
    element(
      "li",
      {},
      element("strong", {}, name),
      " ",
      element(
        "code",
        {},
        `${dtype} [${shape.map((extent) => (typeof extent === "object" ? "…" : extent)).join(", ")}]`,
      ),
    ),
  );
  host.replaceChildren(
    element("p", {}, "The page does not know what this model's inputs mean, so it fills them with seeded numbers."),
    element("ul", { class: "ports" }, ...list),
    element("div", { class: "actions" }, element("span", { class: "hint" }, "seed ", text), another),
  );
  onSeed(seed);
}
