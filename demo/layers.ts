/** Time per step of the program as a list of bars, in the order in which the steps run. */
import { element } from "./element.ts";
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

const shownAtFirst = 14;

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

/** Replaces the content of `host`. */
export function showLayers(host: HTMLElement, layers: readonly LayerTime[]): void {
  const most = Math.max(...layers.map(({ milliseconds }) => milliseconds), 1e-9);
  const total = layers.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  const rows = layers.map((layer) => rowOf(layer, most, total));
  const list = element("ol", { class: "layer-list" }, ...rows.slice(0, shownAtFirst));
  host.replaceChildren(list);
  if (rows.length <= shownAtFirst) return;
  const more = element("button", { type: "button", class: "quiet" }, `Show all ${rows.length} steps`);
  more.addEventListener("click", () => {
    list.replaceChildren(...rows);
    more.remove();
  });
  host.append(more);
}
