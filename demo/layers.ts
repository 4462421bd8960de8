/** Time per step of the program as a list of bars, in the order in which the steps run. */
import { button, element } from "./element.ts";
import { millisecondsText, percentText } from "./quantity.ts";

/** What one step takes: the mean over some profiled runs. */
export interface LayerTime {
  readonly name: string;
  readonly op: string;
  readonly kernel: string;
  readonly where: string;
  readonly milliseconds: number;
  readonly flops: number;
}

const shownAtFirst = 16;

/** The element-wise mean of profiled runs of the same program. */
export function meanOfRuns(runs: readonly (readonly LayerTime[])[]): readonly LayerTime[] {
  const [first = []] = runs;
  return first.map((layer, index) => ({
    ...layer,
    milliseconds: runs.reduce((sum, run) => sum + (run[index]?.milliseconds ?? 0), 0) / runs.length,
  }));
}

function rowOf(layer: LayerTime, most: number, total: number): HTMLLIElement {
  const rate = layer.flops / (layer.milliseconds * 1e6);
  const detail = layer.flops > 0 && Number.isFinite(rate) ? `${rate.toFixed(rate < 10 ? 1 : 0)} GFLOP/s` : "";
  const share = layer.milliseconds / total;
  return element(
    "li",
    { class: layer.where === "host" ? "layer host" : "layer" },
    element(
      "span",
      { class: "layer-name" },
      element("b", { title: layer.name }, layer.op.replace("leafcutter.", "")),
      element("code", {}, layer.where === "host" ? "host step" : layer.kernel),
    ),
    element(
      "span",
      { class: "track" },
      element("span", { class: "bar", style: `width:${(100 * layer.milliseconds) / most}%` }),
    ),
    element(
      "span",
      { class: "layer-time", title: `${percentText(share)} of the run` },
      millisecondsText(layer.milliseconds),
    ),
    element("span", { class: "layer-rate" }, detail),
  );
}

/** Replaces the content of `host`. A long list is cut to its slowest steps until the reader asks for all. */
export function showLayers(host: HTMLElement, layers: readonly LayerTime[]): void {
  const slowestFirst = [...layers].sort((left, right) => right.milliseconds - left.milliseconds);
  const most = Math.max(slowestFirst[0]?.milliseconds ?? 0, 1e-9);
  const total = layers.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  const shown = new Set(slowestFirst.slice(0, shownAtFirst));
  const rows = (chosen: readonly LayerTime[]): readonly HTMLLIElement[] =>
    chosen.map((layer) => rowOf(layer, most, total));
  const list = element("ol", { class: "layer-list" }, ...rows(layers.filter((layer) => shown.has(layer))));
  host.replaceChildren(list);
  if (layers.length <= shownAtFirst) return;
  const rest = slowestFirst.slice(shownAtFirst).reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  const text = `Show the other ${layers.length - shownAtFirst} steps (${millisecondsText(rest)} together)`;
  const more = button(text, { class: "quiet" }, () => {
    list.replaceChildren(...rows(layers));
    more.remove();
  });
  host.append(more);
}
