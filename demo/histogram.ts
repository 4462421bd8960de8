/** Histograms of run times, one row per engine, on one logarithmic axis so that rows can be compared by eye. */
import { element, svg } from "./element.ts";
import { ascending, millisecondsText, quantile } from "./quantity.ts";

export interface Series {
  readonly name: string;
  readonly kind: "leafcutter" | "peer";
  /** Milliseconds, in any order. */
  readonly values: readonly number[];
}

const rowHeight = 88;
const axisHeight = 22;
const binWidth = 9;

/** 1, 2 and 5 times powers of ten inside the range. */
function ticks(low: number, high: number): readonly number[] {
  const result: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    for (const digit of [1, 2, 5]) {
      const value = digit * 10 ** power;
      if (value >= low && value <= high) result.push(value);
    }
  }
  return result;
}

const tickText = (value: number): string =>
  value < 0.9 ? `${Number((value * 1000).toPrecision(1))} µs` : `${Number(value.toPrecision(1))} ms`;

/** The range that holds nearly all values: a few very slow runs would squeeze the rest, and are counted at the edge. */
function rangeOf(sorted: readonly Float64Array[]): readonly [low: number, high: number] {
  const low = Math.min(...sorted.map((values) => values[0] ?? 1));
  const high = Math.max(...sorted.map((values) => quantile(values, 0.985)));
  const floor = Math.max(low, 0.001);
  return [floor * 0.85, Math.max(high * 1.15, floor * 1.6)];
}

/** Replaces the content of `host`. Series without values are left out. */
export function showHistogram(host: HTMLElement, series: readonly Series[]): void {
  const shown = series.filter(({ values }) => values.length > 0);
  if (shown.length === 0) {
    host.replaceChildren();
    return;
  }
  const width = Math.max(260, host.clientWidth);
  const sorted = shown.map(({ values }) => ascending(values));
  const [low, high] = rangeOf(sorted);
  const bins = Math.floor(width / binWidth);
  const place = (value: number): number => (Math.log(value / low) / Math.log(high / low)) * width;

  const rows = shown.map((entry, index) => {
    const values = sorted[index] ?? new Float64Array();
    const counts = new Uint32Array(bins);
    for (const value of values) {
      const bin = Math.floor((place(Math.max(value, low)) / width) * bins);
      counts[Math.min(bins - 1, Math.max(0, bin))]! += 1;
    }
    const most = Math.max(1, ...counts);
    const bars = Array.from(counts, (count, bin) => {
      const height = count === 0 ? 0 : Math.max(2, (count / most) * (rowHeight - 6));
      const x = (bin * width) / bins;
      return svg("rect", { x: x + 0.5, y: rowHeight - height, width: width / bins - 1, height, rx: 1 });
    });
    const median = place(quantile(values, 0.5));
    const text = ["median", "p95", "p99"].map((label, position) => {
      const share = [0.5, 0.95, 0.99][position] ?? 0.5;
      return element("span", {}, `${label} `, element("b", {}, millisecondsText(quantile(values, share))));
    });
    return element(
      "div",
      { class: `series ${entry.kind}` },
      element("div", { class: "series-head" }, element("strong", {}, entry.name), ...text),
      svg(
        "svg",
        {
          width,
          height: rowHeight,
          viewBox: `0 0 ${width} ${rowHeight}`,
          role: "img",
          "aria-label": `Histogram of ${values.length} runs of ${entry.name}`,
        },
        ...bars,
        svg("line", { class: "median", x1: median, x2: median, y1: 0, y2: rowHeight }),
        svg("line", { class: "base", x1: 0, x2: width, y1: rowHeight - 0.5, y2: rowHeight - 0.5 }),
      ),
    );
  });

  let free = 0;
  const labels = ticks(low, high).flatMap((value) => {
    const x = place(value);
    if (x < free || x > width - 24) return [];
    free = x + 56;
    return [
      svg("line", { x1: x, x2: x, y1: 0, y2: 4 }),
      svg("text", { x, y: 17, "text-anchor": x < 20 ? "start" : "middle" }, tickText(value)),
    ];
  });
  host.replaceChildren(
    ...rows,
    svg("svg", { class: "axis", width, height: axisHeight, "aria-hidden": "true" }, ...labels),
  );
}
