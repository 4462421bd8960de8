/**
 * The report of a compile as one file of HTML without scripts or outside assets: what the budget chose, the front it chose
 * from in each stakeholder's view, every layer, every limit's price, weights before and after. Works on a phone and on paper.
 */
import { type EnergyTier, millijoulesText, runEnergyText } from "./budget/energy.ts";
import type { Histogram } from "./budget/histogram.ts";
import { amountText, limitName, limitText } from "./budget/limit-text.ts";
import type { BudgetOutcome, Infeasibility, LayerOutcome, Limited, LimitOutcome, Point } from "./budget/outcome.ts";
import type { Objective } from "./budget/quantities.ts";
import { formatBytes, type Report } from "./report.ts";
import { costTitle, type FrontCost, frontChart } from "./report-front.ts";
import { escapeHtml, styleSheet } from "./report-style.ts";

const short = (value: number): string => String(Number(value.toPrecision(3)));
const percent = (value: number): string => `${Number((100 * value).toPrecision(5))} %`;

export function reportHtml(report: Report): string {
  const { budget, name } = report;
  const sections = budget ? budgetSections(budget) : `<section class="cards">${plainCards(report)}</section>`;
  return page(
    name,
    `${report.steps.length} steps, ${short(report.flops / 1e6)} MFLOP a run; package ${formatBytes(report.totalBytes)}, memory ${formatBytes(report.memoryBytes)}; compiled in ${short(report.milliseconds / 1000)} s`,
    measuredSection(report) + sections + stepsSection(report),
  );
}

const measuredSection = ({ measuredEnergy }: Report): string =>
  measuredEnergy ? `<p>Energy ${escapeHtml(runEnergyText(measuredEnergy))}</p>` : "";

/** Why no package keeps the limits: `details` of the diagnostic. */
export function infeasibleHtml(name: string, message: string, details: Infeasibility): string {
  const limits = details.limits.map(({ quantity, limit }) => {
    const conflicts = details.conflict.includes(quantity);
    const best = details.best.find((entry) => entry.quantity === quantity)?.amount;
    const cells = [
      limitText(quantity, limit),
      best === undefined ? "nothing keeps the others" : amountText(quantity, best, details.tier),
      conflicts ? '<span class="bad">conflicts</span>' : "can be kept",
    ];
    return row(limitName[quantity], cells, ["limit", "best with the others kept", ""]);
  });
  const relaxations = details.relaxations.map(
    ({ quantity, amount, share }) =>
      `<li>${limitName[quantity]} ${escapeHtml(limitText(quantity, amount, details.tier))} <span class="quiet">(${short(100 * share)} % of the limit)</span></li>`,
  );
  return page(
    name,
    message,
    `<section><h2>Limits</h2>${table(["", "limit", "best with the others kept", ""], limits)}</section>
<section><h2>The nearest plan</h2><p>${escapeHtml(pointText(details.nearest, details.tier))}</p></section>
<section><h2>Any one of these is enough</h2><ul>${relaxations.join("")}</ul></section>`,
  );
}

function page(name: string, subtitle: string, content: string): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>${escapeHtml(name)}: compile report</title><style>${styleSheet}</style></head>
<body><main><h1>${escapeHtml(name)}</h1><p class="quiet">${escapeHtml(subtitle)}</p>
${content}
</main></body></html>
`;
}

const pointText = ({ size, memory, latency, energy, quality }: Point, tier: EnergyTier): string =>
  `${formatBytes(size)}, memory ${formatBytes(memory)}, ${short(latency)} ms, ${millijoulesText(energy, tier)}, quality ${percent(quality)}`;

const card = (figure: string, title: string, detail: string): string =>
  `<div class="card"><p class="figure">${figure}</p><p><b>${escapeHtml(title)}</b></p><p class="quiet">${escapeHtml(detail)}</p></div>`;

const plainCards = (report: Report): string =>
  card(formatBytes(report.totalBytes), "package", `weights ${formatBytes(report.weightBytes)}`) +
  card(formatBytes(report.memoryBytes), "memory", `arena ${formatBytes(report.arenaBytes)}`);

function budgetSections(outcome: BudgetOutcome): string {
  return [
    `<section class="cards">${cards(outcome)}</section>`,
    frontSection(outcome),
    limitsSection(outcome),
    qualitySection(outcome),
    layersSection(outcome),
    weightsSection(outcome.layers),
  ].join("\n");
}

function cards({ original, chosen, quality, energy }: BudgetOutcome): string {
  const accuracy = quality.accuracy
    ? card(percent(quality.accuracy.quantised), "right answers", `${percent(quality.accuracy.reference)} before`)
    : "";
  return [
    card(formatBytes(chosen.size), "package", `${formatBytes(original.size)} before`),
    card(formatBytes(chosen.memory), "memory", `${formatBytes(original.memory)} before`),
    card(`${short(chosen.latency)} ms`, "a run, predicted", `${short(original.latency)} ms before`),
    card(
      `${short(chosen.energy)} mJ`,
      `a run, tier ${energy.tier}`,
      `${millijoulesText(original.energy, energy.tier)} before; right within a factor of ${short(energy.band)}: ${energy.source}`,
    ),
    card(
      percent(chosen.quality),
      "quality",
      quality.accuracy
        ? "right answers as a share of the model's own (at most all), on the samples"
        : "likeness of the outputs to the model's own, on the samples",
    ),
    accuracy,
  ].join("\n");
}

const views: readonly FrontCost[] = ["latency", "energy", "size"];

function frontSection(outcome: BudgetOutcome): string {
  const limited = views.find((cost) => outcome.limits.some(({ quantity }) => quantity === cost)) ?? "size";
  const choices = views.map(
    (cost) =>
      `<input class="view-choice" type="radio" name="view" id="view-${cost}"${cost === limited ? " checked" : ""}><label for="view-${cost}">${costTitle(cost, outcome.energy.tier)}</label>`,
  );
  const charts = views.map((cost) => `<div class="front ${cost}">${frontChart(outcome, cost)}</div>`);
  return `<section class="fronts"><h2>What could be had</h2>
<p class="quiet">One front, seen from the user who waits, the battery and the download. Points are sums over the layers; the choice was measured by running.${outcome.limits.length > 0 ? " The dashed line is the limit." : ""}</p>
<div class="views">${choices.join("")}</div>${charts.join("\n")}</section>`;
}

const objectiveUnits: Readonly<Record<Objective, string>> = {
  quality: "points of quality",
  latency: "ms",
  energy: "mJ",
  size: "bytes",
};

function limitsSection({ limits, objective, proved, device, energy }: BudgetOutcome): string {
  if (limits.length === 0) return "";
  const rows = limits.map((limit) =>
    row(
      limitName[limit.quantity],
      [
        isBytes(limit.quantity) ? `at most ${formatBytes(limit.limit)}` : limitText(limit.quantity, limit.limit),
        shortAmount(limit.quantity, limit.value, energy.tier),
        shortAmount(limit.quantity, limit.slack, energy.tier),
        priceText(limit, objective, energy.tier),
      ],
      ["limit", "value", "to spare", "price"],
    ),
  );
  return `<section><h2>Limits and their price</h2>
<p class="quiet">Best ${objective} within them${proved ? "" : " (not proved to be the best)"}, on ${escapeHtml(device)}.</p>
${table(["", "limit", "value", "to spare", "price"], rows)}</section>`;
}

const isBytes = (quantity: Limited): boolean => quantity === "size" || quantity === "memory";

/** As limits are set: bytes in kB and MB. */
const shortAmount = (quantity: Limited, amount: number, tier: EnergyTier): string =>
  isBytes(quantity) ? formatBytes(amount) : amountText(quantity, amount, tier);

function priceText({ quantity, price }: LimitOutcome, objective: Objective, tier: EnergyTier): string {
  if (!price) return "more of it buys nothing";
  const sign = quantity === "quality" ? "−" : "+";
  return `${sign}${shortAmount(quantity, price.by, tier)} buys ${short(price.gain)} ${objectiveUnits[objective]}${objective === "energy" ? ` (tier ${tier})` : ""}`;
}

function qualitySection({ quality }: BudgetOutcome): string {
  const rows = quality.outputs.map(({ name, cosine, sqnr, classes }) =>
    row(
      name,
      [
        cosine.toFixed(6),
        `${short(sqnr)} dB`,
        classes ? percent(classes.agreement) : "–",
        classes ? percent(classes.topFive) : "–",
        classes ? `${short(classes.divergence)} nats` : "–",
      ],
      ["cosine", "SQNR", "first class agrees", "of the first five", "divergence"],
    ),
  );
  const { worstGroup, perplexity, metric, groups } = quality;
  const unit = metric?.unit ?? "points";
  const value = (score: number): string =>
    `${short(score)}${metric?.unit === undefined ? "" : ` ${escapeHtml(metric.unit)}`}`;
  const worst = [
    perplexity
      ? `<p>Perplexity on ${perplexity.tokens} tokens of the samples: <b>${perplexity.quantised.toFixed(3)}</b>, ${perplexity.reference.toFixed(3)} before.</p>`
      : "",
    metric
      ? `<p>${escapeHtml(metric.name)} (better when ${metric.higherIsBetter ? "higher" : "lower"}): <b>${value(metric.quantised)}</b>, ${value(metric.reference)} before.</p>`
      : "",
    worstGroup
      ? `<p>The group that loses most is <b>${escapeHtml(worstGroup.name)}</b>: ${short(worstGroup.drop)} ${escapeHtml(unit)} on ${worstGroup.samples} samples.</p>`
      : "",
    groups.length > 1
      ? table(
          ["group", "samples", "drop"],
          groups.map(({ name, samples, drop }) =>
            row(name, [`${samples}`, `${short(drop)} ${escapeHtml(unit)}`], ["samples", "drop"]),
          ),
        )
      : "",
  ].join("");
  return `<section><h2>Outputs against the model's own</h2><p class="quiet">On ${quality.samples} sample${quality.samples === 1 ? "" : "s"}.</p>
${table(["output", "cosine", "SQNR", "first class agrees", "of the first five", "divergence"], rows)}${worst}</section>`;
}

function layersSection({ layers, energy: { tier } }: BudgetOutcome): string {
  const most = Math.max(1e-12, ...layers.map(({ options, chosen }) => options[chosen]?.loss ?? 0));
  const rows = layers.map(({ layer, options, chosen }) => {
    const [own, option] = [options[0], options[chosen]];
    const share = Math.sqrt((option?.loss ?? 0) / most);
    const bar = `<svg class="bar" width="100%" height="10" role="presentation"><rect class="track" width="100%" height="10" rx="3"/><rect class="leafcutter" width="${(100 * share).toFixed(1)}%" height="10" rx="3"/></svg>`;
    return row(
      layer,
      [
        escapeHtml(option?.scheme ?? ""),
        `${formatBytes(option?.bytes ?? 0)} <span class="quiet">of ${formatBytes(own?.bytes ?? 0)}</span>`,
        `${short(option?.milliseconds ?? 0)} ms <span class="quiet">of ${short(own?.milliseconds ?? 0)}</span>`,
        millijoulesText(option?.millijoules ?? 0, tier),
        `${option?.loss ? option.loss.toExponential(1) : "0"}${bar}`,
      ],
      ["scheme", "bytes", "time", "energy", "loss alone"],
    );
  });
  return `<section><h2>Layers</h2><p class="quiet">Loss is the relative squared error of the outputs with this layer's choice alone; bars are its square root.</p>
${table(["layer", "scheme", "bytes", "time", "energy", "loss alone"], rows)}</section>`;
}

const mostHistograms = 12;

function weightsSection(layers: readonly LayerOutcome[]): string {
  const changed = layers
    .filter(({ weights }) => weights !== undefined)
    .toSorted((left, right) => lossOf(right) - lossOf(left))
    .slice(0, mostHistograms);
  if (changed.length === 0) return "";
  const articles = changed.map(
    ({ layer, options, chosen, weights }) =>
      `<article><h3>${escapeHtml(layer)} <span class="quiet">${escapeHtml(options[chosen]?.scheme ?? "")}</span></h3>${weights ? histogram(weights) : ""}</article>`,
  );
  return `<section><h2>Weights before and after</h2><p class="quiet">The layers that lose most: grey before, green after rounding; heights are square roots of counts.</p>
<div class="multiples">${articles.join("\n")}</div></section>`;
}

const lossOf = ({ options, chosen }: LayerOutcome): number => options[chosen]?.loss ?? 0;

function histogram({ low, high, before, after }: Histogram): string {
  const most = Math.sqrt(Math.max(1, ...before, ...after));
  const bars = (counts: readonly number[], className: string, inset: number): string =>
    counts
      .map((count, bin) => {
        const size = (62 * Math.sqrt(count)) / most;
        return count === 0
          ? ""
          : `<rect class="${className}" x="${bin * 10 + inset}" y="${(64 - size).toFixed(1)}" width="${10 - 2 * inset}" height="${size.toFixed(1)}"/>`;
      })
      .join("");
  return `<svg class="histogram" viewBox="0 0 ${before.length * 10} 66" preserveAspectRatio="none" role="img" aria-label="Distribution of weights before and after rounding">${bars(before, "before", 0)}${bars(after, "after", 2)}</svg>
<div class="label quiet"><span>${short(low)}</span><span>${short(high)}</span></div>`;
}

function stepsSection({ steps, hostSteps }: Report): string {
  const rows = steps.map(({ name, op, kernel, flops, weightBytes }) =>
    row(
      name,
      [escapeHtml(op), escapeHtml(kernel), flops === 0 ? "–" : `${short(flops / 1e6)} MFLOP`, formatBytes(weightBytes)],
      ["operator", "kernel", "work", "weights"],
    ),
  );
  return `<section><h2>Steps</h2><p class="quiet">${hostSteps.length === 0 ? "All of them are generated code." : `${hostSteps.length} run as host steps: ${escapeHtml(hostSteps.join(", "))}`}</p>
<details><summary>${steps.length} steps</summary>${table(["step", "operator", "kernel", "work", "weights"], rows)}</details></section>`;
}

/** A row of cells that are HTML; their titles stand in front of them on a phone. */
const row = (name: string, cells: readonly string[], titles: readonly string[]): string =>
  `<tr><td>${escapeHtml(name)}</td>${cells.map((cell, i) => `<td data-title="${titles[i] ?? ""}">${cell}</td>`).join("")}</tr>`;

const table = (titles: readonly string[], rows: readonly string[]): string =>
  `<table><thead><tr>${titles.map((title) => `<th>${title}</th>`).join("")}</tr></thead><tbody>${rows.join("\n")}</tbody></table>`;
