/** The budget's outcome for a terminal: limits with slack and price, the front around the choice, the layers that lose most. */
import { type EnergyTier, millijoulesText, sourceText } from "./energy.ts";
import { amountText, limitName, limitText } from "./limit-text.ts";
import type { BudgetOutcome, Limited, LimitOutcome, Point } from "./outcome.ts";
import type { OutputQuality, Quality } from "./quality.ts";
import type { Objective } from "./quantities.ts";

const mostPoints = 9;
const mostLayers = 5;
const mostOutputs = 6;

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(3)} MB`;
const short = (value: number): string => String(Number(value.toPrecision(3)));

export function formatOutcome(outcome: BudgetOutcome): readonly string[] {
  const { objective, device, energy, original, chosen } = outcome;
  return [
    `budget: best ${objective}${outcome.proved ? "" : " (not proved to be the best)"}, on ${device}`,
    `  as it was  ${pointText(original, energy.tier)}`,
    `  chosen     ${pointText(chosen, energy.tier)}`,
    `  energy ${sourceText(energy)}`,
    ...qualityLines(outcome.quality),
    ...outcome.limits.map((limit) => `  ${limitLine(limit, objective, energy.tier)}`),
    ...frontLines(outcome),
    ...layerLines(outcome),
  ];
}

const pointText = ({ size, memory, latency, energy, quality }: Point, tier: EnergyTier): string =>
  `${megabytes(size)}, memory ${megabytes(memory)}, ${short(latency)} ms, ${millijoulesText(energy, tier)}, quality ${amountText("quality", quality)}`;

const percent = (share: number): string => `${Number((100 * share).toFixed(2))} %`;
const from = (before: string, after: string): string => `${after} (${before} before)`;

/** What was measured by running, output by output, then what is known of the right answers. */
function qualityLines({
  samples,
  outputs,
  accuracy,
  perplexity,
  metric,
  worstGroup,
  groups,
}: Quality): readonly string[] {
  const ofOutput = ({ name, cosine, sqnr, classes }: OutputQuality): string => {
    const top = classes
      ? `, first class agrees ${percent(classes.agreement)}, of the first ${classes.top} ${percent(classes.topFive)}, KL divergence ${short(classes.divergence)} nats`
      : "";
    return `  ${name}: cosine ${cosine.toFixed(6)}, SQNR ${Number.isFinite(sqnr) ? `${short(sqnr)} dB` : "without noise"}${top}`;
  };
  const more =
    outputs.length > mostOutputs ? [`  and ${outputs.length - mostOutputs} outputs more (all in the report)`] : [];
  const unit = metric ? (metric.unit === undefined ? " points" : ` ${metric.unit}`) : " points";
  const value = (score: number): string => `${short(score)}${metric?.unit === undefined ? "" : ` ${metric.unit}`}`;
  return [
    `  outputs against the model's own, on ${samples} sample${samples === 1 ? "" : "s"}:`,
    ...[...outputs.slice(0, mostOutputs).map(ofOutput), ...more].map((line) => `  ${line}`),
    ...(accuracy ? [`  accuracy ${from(percent(accuracy.reference), percent(accuracy.quantised))}`] : []),
    ...(perplexity
      ? [
          `  perplexity ${from(perplexity.reference.toFixed(3), perplexity.quantised.toFixed(3))} on ${perplexity.tokens} tokens`,
        ]
      : []),
    ...(metric
      ? [
          `  ${metric.name} ${from(value(metric.reference), value(metric.quantised))}, better when ${metric.higherIsBetter ? "higher" : "lower"}`,
        ]
      : []),
    ...(worstGroup
      ? [
          `  of ${groups.length} groups ${worstGroup.name} loses most: ${short(worstGroup.drop)}${unit} on ${worstGroup.samples} samples`,
        ]
      : []),
  ];
}

/** Of a difference. */
const amount = (quantity: Limited, value: number, tier: EnergyTier): string => {
  if (quantity === "size" || quantity === "memory") return value < 1e4 ? `${value} bytes` : megabytes(value);
  return quantity === "quality" ? short(value) : amountText(quantity, value, tier);
};

function limitLine(
  { quantity, limit, value, slack, price }: LimitOutcome,
  objective: Objective,
  tier: EnergyTier,
): string {
  const units: Readonly<Record<Objective, string>> = {
    quality: "points",
    latency: "ms",
    energy: `mJ (tier ${tier})`,
    size: "bytes",
  };
  const sign = quantity === "quality" ? "-" : "+";
  const priced = price
    ? `; ${sign}${amount(quantity, price.by, tier)} buys ${short(price.gain)} ${units[objective]} of ${objective}`
    : "";
  const bound =
    quantity === "size" || quantity === "memory" ? `at most ${megabytes(limit)}` : limitText(quantity, limit);
  return `${limitName[quantity]} ${bound}: ${quantity === "quality" ? amountText(quantity, value) : amount(quantity, value, tier)}, ${amount(quantity, slack, tier)} to spare${priced}`;
}

/** Points at equal distances on the front, the choice among them. */
function frontLines({ front, energy: { tier } }: BudgetOutcome): readonly string[] {
  const step = Math.max(1, (front.length - 1) / (mostPoints - 1));
  const shown = new Set(Array.from({ length: mostPoints }, (_, i) => Math.round(i * step)));
  const points = front.filter((point, index) => point.chosen || shown.has(index));
  return [
    "  front: quality against size, latency and energy (by sums over the layers; > was measured)",
    ...points.map(
      ({ quality, size, latency, energy, chosen }) =>
        `  ${chosen ? ">" : " "} ${amountText("quality", quality).padEnd(11)}  ${megabytes(size)}  ${short(latency)} ms  ${millijoulesText(energy, tier)}`,
    ),
  ];
}

function layerLines({ layers }: BudgetOutcome): readonly string[] {
  const losses = layers
    .flatMap(({ layer, options, chosen }) => {
      const option = options[chosen];
      return option && option.loss > 0 ? [{ layer, option }] : [];
    })
    .sort((left, right) => right.option.loss - left.option.loss)
    .slice(0, mostLayers);
  if (losses.length === 0) return [];
  return [
    "  layers that lose most:",
    ...losses.map(
      ({ layer, option }) => `    ${layer}: ${option.scheme}, relative squared error ${option.loss.toExponential(1)}`,
    ),
  ];
}
