/**
 * The HTML report: one file without scripts or outside assets. Bars are SVG with widths in per cent, so that they fit
 * a phone and a printed page alike while text keeps its size; colours follow the reader's light or dark setting.
 */

import { escapeHtml, styleSheet } from "../compiler/report-style.ts";
import { browserNames, browserTitles } from "./driven-browser.ts";
import {
  bytes,
  denseShare,
  digits,
  energyFigures,
  errorText,
  isDense,
  milliseconds,
  onThreads,
  ratioSummaries,
  roofOf,
  roofText,
  shareOfRoof,
} from "./report-figures.ts";
import type { Profile, Results, Row, Where } from "./row.ts";

const percent = (share: number): string => `${(100 * Math.min(1, Math.max(0, share))).toFixed(2)}%`;
const place: Readonly<Record<Where, string>> = {
  chromium: `${browserTitles.chromium} worker`,
  firefox: `${browserTitles.firefox} worker`,
  webkit: `${browserTitles.webkit} worker`,
  node: "Node",
};

/** Rows by model and place, in the order measured. */
function groupsOf(rows: readonly Row[]): readonly (readonly Row[])[] {
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    const key = `${row.where}\0${row.model}`;
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  return [...groups.values()];
}

function cards(results: Results): string {
  const summaries = ratioSummaries(results).map(
    ({ where, peer, threads, models, geometricMean, least }) => `<div class="card">
<p class="figure">${geometricMean.toFixed(2)}<small>×</small></p>
<p><b>${escapeHtml(peer)}</b> in ${place[where]}${onThreads(threads)}</p>
<p class="quiet">geometric mean of ${models} model${models === 1 ? "" : "s"}; least ${least.ratio.toFixed(2)}× (${escapeHtml(least.model)})</p>
</div>`,
  );
  return summaries.length === 0 ? "" : `<section class="cards">${summaries.join("\n")}</section>`;
}

/** A bar from 0 to `share` of the width with a whisker to `whisker`. */
function bar(className: string, share: number, whisker?: number): string {
  const end = percent(share);
  const line =
    whisker === undefined || whisker <= share
      ? ""
      : `<line class="whisker" x1="${end}" x2="${percent(whisker)}" y1="8" y2="8"/><line class="whisker" x1="${percent(whisker)}" x2="${percent(whisker)}" y1="4" y2="12"/>`;
  return `<svg class="bar" width="100%" height="16" role="presentation"><rect class="track" width="100%" height="16" rx="3"/><rect class="${className}" width="${end}" height="16" rx="3"/>${line}</svg>`;
}

function latencyGroup(rows: readonly Row[]): string {
  const [first] = rows;
  if (first === undefined) return "";
  const scale = 1.02 * Math.max(...rows.map((row) => row.p95Ms ?? row.medianMs ?? 0));
  const bars = rows.map((row) => {
    const { medianMs, p95Ms } = row;
    const mark = row.status === "ok" ? "" : ` <span class="bad">${row.status}</span>`;
    const label = `<div class="label"><span>${row.engine} <span class="quiet">${escapeHtml(row.variant)}${onThreads(row.threads)}</span>${mark}</span>`;
    if (medianMs === null) return `${label}</div><p class="quiet">${escapeHtml(row.reason ?? "")}</p>`;
    const figures = `<span class="number">${digits(medianMs)} ms <span class="quiet">p95 ${milliseconds(p95Ms)}</span></span></div>`;
    const reason = row.reason === undefined ? "" : `<p class="quiet">${escapeHtml(row.reason)}</p>`;
    return `${label}${figures}${bar(row.engine, medianMs / scale, (p95Ms ?? medianMs) / scale)}${reason}`;
  });
  return `<article><h3>${escapeHtml(first.model)} <span class="quiet">${place[first.where]}</span></h3>${bars.join("\n")}</article>`;
}

function latencies(rows: readonly Row[]): string {
  return `<section><h2>Latency</h2>
<p class="quiet">Median of one run; the whisker ends at the 95th percentile. Each model has its own scale.</p>
<div class="multiples">${groupsOf(rows).map(latencyGroup).join("\n")}</div></section>`;
}

function ratios(rows: readonly Row[]): string {
  const entries = rows.flatMap(({ model, where, threads, ratio = {} }) =>
    Object.entries(ratio).map(([peer, value]) => ({ model, where, threads, peer, value })),
  );
  if (entries.length === 0) return "";
  const scale = 1.05 * Math.max(1, ...entries.map(({ value }) => value));
  const one = percent(1 / scale);
  const bars = entries.map(
    ({
      model,
      where,
      threads,
      peer,
      value,
    }) => `<div class="label"><span>${escapeHtml(model)} <span class="quiet">to ${escapeHtml(peer)}, ${place[where]}${onThreads(threads)}</span></span><span class="number">${value.toFixed(2)}×</span></div>
<svg class="bar" width="100%" height="16" role="presentation"><rect class="track" width="100%" height="16" rx="3"/><rect class="${value >= 1 ? "leafcutter" : "slower"}" width="${percent(value / scale)}" height="16" rx="3"/><line class="one" x1="${one}" x2="${one}" y1="0" y2="16"/></svg>`,
  );
  return `<section><h2>How many times faster</h2>
<p class="quiet">A peer's median over Leafcutter's, same worker, same rounds. The line is 1×. Models whose outputs differ have no ratio.</p>
<div class="multiples">${bars.map((item) => `<div>${item}</div>`).join("\n")}</div></section>`;
}

interface Column {
  readonly title: string;
  readonly text: (row: Row) => string;
}

const loadColumns: readonly Column[] = [
  { title: "ready, ms", text: (row) => milliseconds(row.readyMs) },
  { title: "first output, ms", text: (row) => milliseconds(row.firstOutputMs) },
  { title: "page round trip, ms", text: (row) => milliseconds(row.roundTripMs) },
  { title: "fetched", text: (row) => bytes(row.bytesFetched) },
  { title: "peak memory", text: (row) => bytes(row.peakBytes) },
];

const runColumns: readonly Column[] = [
  { title: "threads", text: (row) => `${row.threads}` },
  { title: "median, ms", text: (row) => milliseconds(row.medianMs) },
  { title: "p95, ms", text: (row) => milliseconds(row.p95Ms) },
  { title: "p99, ms", text: (row) => milliseconds(row.p99Ms) },
  { title: "runs a second", text: (row) => milliseconds(row.throughput) },
  { title: "energy, mJ (above idle), tier", text: (row) => energyFigures(row.energy) },
  { title: "samples", text: (row) => (row.samples === 0 ? "–" : `${row.samples}`) },
  { title: "largest error", text: (row) => errorText(row.maxError) },
  {
    title: "ratio",
    text: (row) =>
      row.status === "ok"
        ? Object.values(row.ratio ?? {})
            .map((ratio) => `${ratio.toFixed(2)}×`)
            .join(" ") || "–"
        : row.status,
  },
];

function table(rows: readonly Row[], columns: readonly Column[]): string {
  const head = ["model", "engine", ...columns.map(({ title }) => title)].map((title) => `<th>${title}</th>`).join("");
  const body = rows.map((row) => {
    const cells = columns.map(
      ({ title, text }) =>
        `<td data-title="${title}"${row.status === "ok" ? "" : ' class="bad"'}>${escapeHtml(text(row))}</td>`,
    );
    const name = `<td>${escapeHtml(row.model)} <span class="quiet">${row.where}</span></td>`;
    const engine = `<td><span class="dot ${row.engine}"></span>${row.engine} <span class="quiet">${escapeHtml(row.variant)} ${escapeHtml(row.precision)}</span></td>`;
    return `<tr>${name}${engine}${cells.join("")}</tr>`;
  });
  return `<table><thead><tr>${head}</tr></thead><tbody>${body.join("\n")}</tbody></table>`;
}

const shownSteps = 40;

function profile(row: Row, steps: Profile, roof: number | null, isOpen: boolean): string {
  const total = steps.reduce((sum, step) => sum + step.milliseconds, 0);
  const slowest = Math.max(...steps.map((step) => step.milliseconds));
  const order = new Map(steps.map((step, index) => [step, index]));
  const shown = [...steps]
    .sort((left, right) => right.milliseconds - left.milliseconds)
    .slice(0, shownSteps)
    .sort((left, right) => (order.get(left) ?? 0) - (order.get(right) ?? 0));
  const dense = roof === null ? undefined : denseShare(steps, roof);
  const rest = steps.length - shown.length;
  const note = `${digits(total)} ms in ${steps.length} steps${dense === undefined ? "" : `; dense layers at ${(100 * dense).toFixed(0)} % of the roof`}${rest > 0 ? `; the ${rest} shortest are left out` : ""}`;
  const lines = shown.map((step) => {
    const share = roof !== null && isDense(step) ? shareOfRoof(step, roof) : undefined;
    const speed =
      step.flops > 0 && step.milliseconds > 0 ? `${digits(step.flops / step.milliseconds / 1e6)} GFLOP/s` : "";
    const ofRoof = share === undefined ? "" : ` <b>${(100 * share).toFixed(0)} %</b> of the roof`;
    return `<div class="step"><div class="label"><span class="name">${escapeHtml(step.name)} <span class="quiet">${escapeHtml(step.kernel)}${step.where === "host" ? " (host)" : ""}</span></span><span class="number">${digits(step.milliseconds)} ms <span class="quiet">${(total > 0 ? (100 * step.milliseconds) / total : 0).toFixed(1)} %</span></span></div>${bar(step.where === "host" ? "slower" : "leafcutter", slowest > 0 ? step.milliseconds / slowest : 0)}<p class="quiet">${speed}${ofRoof}</p></div>`;
  });
  return `<details${isOpen ? " open" : ""}><summary><b>${escapeHtml(row.model)}</b> <span class="quiet">${place[row.where]}, ${escapeHtml(row.variant)}: ${note}</span></summary><div class="steps">${lines.join("\n")}</div></details>`;
}

function profiles({ host, rows }: Results): string {
  const profiled = rows.flatMap((row) =>
    row.profile === undefined || row.profile.length === 0 ? [] : [{ row, steps: row.profile }],
  );
  if (profiled.length === 0) return "";
  return `<section><h2>Where the time goes</h2>
<p class="quiet">Leafcutter's steps in the order they run. Share of the roof: direct-form operations a second over the fused (or plain SIMD) rate measured in the same place.</p>
${profiled.map(({ row, steps }, index) => profile(row, steps, roofOf(host, row), index === 0)).join("\n")}</section>`;
}

/** The whole report as one HTML document. */
export function renderHtml(results: Results): string {
  const { host, rows } = results;
  const roofs = Object.entries(host.roof).map(
    ([where, roof]) => `<li>${escapeHtml(roofText(where as Where, roof))}</li>`,
  );
  const browser = browserNames
    .flatMap((name) => (host[name] === undefined ? [] : [`, ${browserTitles[name]} ${host[name]}`]))
    .join("");
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>Leafcutter bench</title><style>${styleSheet}</style></head>
<body><main>
<header><h1>Leafcutter bench</h1>
<p class="quiet">${escapeHtml(host.cpu)}, ${host.cores} cores, ${bytes(host.memoryBytes)} memory, ${escapeHtml(host.platform)}; Node ${escapeHtml(host.node)}${escapeHtml(browser)}; ${escapeHtml(host.date.slice(0, 16).replace("T", " "))} UTC</p></header>
${cards(results)}
${ratios(rows)}
${latencies(rows)}
<section><h2>Runs</h2>${table(rows, runColumns)}</section>
<section><h2>Loading and memory</h2>
<p class="quiet">Fresh pages, nothing cached, less an empty page. Ready: engine up and compiled, no weights. Bytes are uncompressed and without the inputs.</p>${table(rows, loadColumns)}</section>
${profiles(results)}
<footer><h2>What this machine can do</h2><p class="quiet">128-bit arithmetic and memory of one thread, measured with generated modules in the same run.</p><ul>${roofs.join("")}</ul></footer>
</main></body></html>
`;
}
