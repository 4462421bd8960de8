/**
 * The front as a picture: quality against one cost, for reports and for the demo. An SVG as text whose colours are classes
 * (report-style.ts), so that it follows its page. Quality stands on a scale where each step loses ten times less.
 */
import type { EnergyTier } from "./budget/energy.ts";
import type { BudgetOutcome, FrontPoint, Point } from "./budget/outcome.ts";
import { escapeHtml } from "./report-style.ts";

export type FrontCost = "latency" | "energy" | "size";

const titles: Readonly<Record<FrontCost, string>> = {
  latency: "milliseconds a run",
  energy: "millijoules a run",
  size: "megabytes to download",
};

/** What stands on the axis, energy with its tier. */
export const costTitle = (cost: FrontCost, tier: EnergyTier): string =>
  cost === "energy" ? `${titles.energy} (tier ${tier})` : titles[cost];

const [width, height] = [720, 320];
const edge = { left: 64, right: 18, top: 16, bottom: 44 };
/** Closer points would have their names on each other: the second stands lower. */
const nearby = { across: 120, down: 22 };
/** A limit of so many times the most that any point costs is not drawn but named. */
const farLimit = 2;
/** Losses below it look alike. */
const leastLoss = 1e-6;

const shown: Readonly<Record<FrontCost, number>> = { latency: 1, energy: 1, size: 1e-6 };
const costOf = (point: Point, cost: FrontCost): number => point[cost] * shown[cost];
/** 0 for no likeness at all, 1 for a loss of a tenth, 2 for a hundredth. */
const nines = (quality: number): number => -Math.log10(Math.max(leastLoss, 1 - quality));
const mostNines = -Math.log10(leastLoss);
const qualityText = (step: number): string =>
  step >= mostNines ? "100 %" : `${Number((100 * (1 - 10 ** -step)).toFixed(4))} %`;
const short = (value: number): string => String(Number(value.toPrecision(3)));

/** Round numbers between `low` and `high`, about five. */
function ticksOf(low: number, high: number): readonly number[] {
  const rough = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5].find((digit) => digit * power >= rough) ?? 10) * power;
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) => (first + i) * step);
}

export function frontChart(
  outcome: Pick<BudgetOutcome, "front" | "original" | "chosen" | "limits" | "quality" | "energy">,
  cost: FrontCost,
): string {
  // With labels the quality of the choice is its accuracy; the front's is likeness.
  const chosen = { ...outcome.chosen, quality: outcome.quality.score };
  const title = costTitle(cost, outcome.energy.tier);
  const titleOf = (point: Point): string =>
    escapeHtml(`${short(costOf(point, cost))} ${title}, quality ${point.quality.toFixed(5)}`);
  const front = outcome.front.map((point) =>
    point.chosen && point.measured ? { ...point, quality: chosen.quality } : point,
  );
  const points = [...front, outcome.original, chosen];
  const limit = outcome.limits.find(({ quantity }) => quantity === cost);
  const most = Math.max(...points.map((point) => costOf(point, cost)), 1e-9);
  const allowed = limit && limit.limit * shown[cost];
  // A limit far beyond all points would leave no room for them.
  const isFar = allowed !== undefined && allowed > farLimit * most;
  const [low, high] = [0, 1.05 * (isFar ? most : Math.max(most, allowed ?? 0))];
  const steps = points.map(({ quality }) => nines(quality));
  const [bottom, top] = [Math.max(0, Math.floor(Math.min(...steps) - 0.2)), Math.ceil(Math.max(...steps))];
  const x = (value: number): number => edge.left + ((value - low) / (high - low)) * (width - edge.left - edge.right);
  const y = (quality: number): number =>
    height - edge.bottom - ((nines(quality) - bottom) / Math.max(1, top - bottom)) * (height - edge.top - edge.bottom);
  const place = (point: Point): string => `${x(costOf(point, cost)).toFixed(1)},${y(point.quality).toFixed(1)}`;
  const lines = Array.from({ length: top - bottom + 1 }, (_, i) => {
    const at = y(1 - 10 ** -(bottom + i)).toFixed(1);
    return `<line class="grid" x1="${edge.left}" x2="${width - edge.right}" y1="${at}" y2="${at}"/><text x="${edge.left - 8}" y="${at}" dy="4" text-anchor="end">${qualityText(bottom + i)}</text>`;
  });
  const columns = ticksOf(low, high).map(
    (value) =>
      `<line class="grid" x1="${x(value).toFixed(1)}" x2="${x(value).toFixed(1)}" y1="${edge.top}" y2="${height - edge.bottom}"/><text x="${x(value).toFixed(1)}" y="${height - edge.bottom + 18}" text-anchor="middle">${short(value)}</text>`,
  );
  const ordered = paretoOf(front, cost);
  const dots = ordered.map(
    (point) =>
      `<circle class="point" cx="${place(point).replace(",", '" cy="')}" r="4"><title>${titleOf(point)}</title></circle>`,
  );
  const bound =
    allowed === undefined
      ? ""
      : isFar
        ? `<text class="mark" x="${width - edge.right}" y="${height - edge.bottom - 10}" text-anchor="end">limit ${short(allowed)} →</text>`
        : `<line class="limit" x1="${x(allowed).toFixed(1)}" x2="${x(allowed).toFixed(1)}" y1="${edge.top}" y2="${height - edge.bottom}"/>`;
  const isNear =
    Math.abs(x(costOf(outcome.original, cost)) - x(costOf(chosen, cost))) < nearby.across &&
    Math.abs(y(outcome.original.quality) - y(chosen.quality)) < nearby.down;
  const marked = (point: Point, name: string, className: string, down = 4): string => {
    const isLeft = x(costOf(point, cost)) > width * 0.7;
    const at = place(point).split(",") as [string, string];
    return `<circle class="${className}" cx="${at[0]}" cy="${at[1]}" r="7"><title>${name}: ${titleOf(point)}</title></circle><text class="mark" x="${at[0]}" y="${at[1]}" dx="${isLeft ? -12 : 12}" dy="${down}" text-anchor="${isLeft ? "end" : "start"}">${name}</text>`;
  };
  return `<svg class="chart" viewBox="0 0 ${width} ${height}" role="img" aria-label="Quality against ${title}">
${lines.join("")}${columns.join("")}${bound}
<polyline class="path" points="${ordered.map(place).join(" ")}"/>${dots.join("")}
${marked(outcome.original, "as it was", "original")}${marked(chosen, "chosen", "chosen", isNear ? 4 + nearby.down : 4)}
<text x="${(edge.left + width - edge.right) / 2}" y="${height - 6}" text-anchor="middle">${title}</text></svg>`;
}

/** The points that nothing else beats in this cost and quality, by rising cost. */
function paretoOf(front: readonly FrontPoint[], cost: FrontCost): readonly FrontPoint[] {
  let best = -1;
  return front
    .toSorted((left, right) => left[cost] - right[cost] || right.quality - left.quality)
    .filter(({ quality }) => {
      if (quality <= best) return false;
      best = quality;
      return true;
    });
}
