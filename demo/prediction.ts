/** What the model says: classes as bars for the embedded networks, a summary of every output for other models. */
import type { Tensor } from "../runtime/index.ts";
import { element } from "./element.ts";
import { percentText } from "./quantity.ts";

/** Softmax of logits. */
export function probabilities(logits: ArrayLike<number>): readonly number[] {
  const values = Array.from(logits);
  const most = Math.max(...values);
  const powers = values.map((value) => Math.exp(value - most));
  const sum = powers.reduce((total, value) => total + value, 0);
  return powers.map((value) => value / sum);
}

export function indexOfLargest(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if ((values[i] ?? 0) > (values[best] ?? 0)) best = i;
  return best;
}

export interface Shown {
  readonly logits: ArrayLike<number>;
  /** The same of onnxruntime-web, when it runs beside. */
  readonly peer?: ArrayLike<number> | undefined;
  /** The class that is right, where that is known. */
  readonly truth?: number | undefined;
}

/** Replaces the content of `host`. */
export function showClasses(host: HTMLElement, classes: readonly string[], { logits, peer, truth }: Shown): void {
  const shares = probabilities(logits);
  const peerShares = peer === undefined ? undefined : probabilities(peer);
  const best = indexOfLargest(shares);
  const longest = Math.max(...classes.map(({ length }) => length));
  const rows = classes.map((name, index) => {
    const share = shares[index] ?? 0;
    const mark = peerShares?.[index];
    return element(
      "li",
      { class: index === best ? "class best" : "class" },
      element("span", { class: "class-name" }, name),
      element(
        "span",
        { class: "track" },
        element("span", { class: "bar", style: `width:${100 * share}%` }),
        ...(mark === undefined
          ? []
          : [
              element("span", {
                class: "mark",
                style: `left:${100 * mark}%`,
                title: `onnxruntime-web: ${percentText(mark)}`,
              }),
            ]),
      ),
      element("span", { class: "class-share" }, percentText(share)),
    );
  });
  const truthText =
    truth === undefined ? "" : truth === best ? ", which is right" : `, but it is ${classes[truth] ?? truth}`;
  host.dataset.answer = classes[best] ?? String(best);
  host.replaceChildren(
    element(
      "p",
      { class: "answer" },
      element("strong", {}, classes[best] ?? String(best)),
      element("span", {}, `${percentText(shares[best] ?? 0)}${truthText}`),
    ),
    element("ol", { class: "classes", style: `--name-width:${0.6 * longest + 0.6}em` }, ...rows),
    ...(peer === undefined
      ? []
      : [element("p", { class: "hint" }, element("i", { class: "mark-sample" }), "onnxruntime-web, same input")]),
  );
}

export function showHint(host: HTMLElement, text: string): void {
  delete host.dataset.answer;
  host.replaceChildren(element("p", { class: "empty" }, text));
}

const significant = (value: number): string => (Number.isInteger(value) ? String(value) : value.toPrecision(4));

function summaryOf(name: string, { dtype, shape, data }: Tensor): HTMLElement {
  const values = Float64Array.from(data as ArrayLike<number>, Number);
  const finite = values.filter(Number.isFinite);
  const [low, high] = finite.reduce(([min, max], value) => [Math.min(min, value), Math.max(max, value)] as const, [
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
  ] as const);
  const mean = finite.reduce((sum, value) => sum + value, 0) / finite.length;
  const first = Array.from(values.subarray(0, 8), significant).join(", ");
  const facts: readonly (readonly [string, string])[] = [
    ["range", finite.length === 0 ? "nothing finite" : `${significant(low)} to ${significant(high)}`],
    ["mean", finite.length === 0 ? "" : significant(mean)],
    ["first values", `${first}${values.length > 8 ? ", …" : ""}`],
    ...(values.length > 1 && finite.length > 0 ? [["largest at", String(indexOfLargest(values))] as const] : []),
    ...(finite.length < values.length ? [["not finite", String(values.length - finite.length)] as const] : []),
  ];
  return element(
    "div",
    { class: "output" },
    element("p", {}, element("strong", {}, name), " ", element("code", {}, `${dtype} [${shape.join(", ")}]`)),
    element(
      "dl",
      { class: "facts" },
      ...facts.flatMap(([key, value]) => [element("dt", {}, key), element("dd", {}, value)]),
    ),
  );
}

/** Replaces the content of `host`. */
export function showOutputs(host: HTMLElement, outputs: Readonly<Record<string, Tensor>>): void {
  const shown = Object.entries(outputs)
    .slice(0, 6)
    .map(([name, tensor]) => summaryOf(name, tensor));
  const rest = Object.keys(outputs).length - shown.length;
  host.dataset.answer = "outputs";
  host.replaceChildren(...shown, ...(rest > 0 ? [element("p", { class: "hint" }, `and ${rest} more outputs`)] : []));
}
