/** Figures and their wording, shared by the terminal's table and the HTML report. */
import type { RunEnergy } from "../compiler/budget/energy.ts";
import { geometricMean } from "./measure/statistics.ts";
import type { EngineName } from "./page/engine.ts";
import type { Roof } from "./roof.ts";
import type { Host, Profile, Results, Row, Where } from "./row.ts";

/** Three significant digits, no exponent. */
export function digits(value: number): string {
  if (value === 0) return "0";
  const whole = Math.floor(Math.log10(Math.abs(value))) + 1;
  return value.toFixed(Math.min(4, Math.max(0, 3 - whole)));
}

const orNothing = (value: number | null, text: (known: number) => string): string =>
  value === null ? "–" : text(value);

export const milliseconds = (value: number | null): string => orNothing(value, (known) => digits(known));

export function bytes(value: number | null): string {
  return orNothing(value, (known) => {
    if (known < 1e3) return `${known} B`;
    return known < 1e6 ? `${digits(known / 1e3)} KB` : `${digits(known / 1e6)} MB`;
  });
}

export const errorText = (value: number | null): string =>
  orNothing(value, (known) => (known === 0 ? "0" : known.toExponential(1)));

/** "4.21 (3.1) A": millijoules of a run, those beyond what the machine takes at rest, and what they are worth. */
export function energyFigures(energy: RunEnergy | undefined): string {
  if (energy === undefined) return "–";
  const { joules, aboveIdle, tier } = energy;
  return `${digits(1e3 * joules)}${aboveIdle === undefined ? "" : ` (${digits(1e3 * aboveIdle)})`} ${tier}`;
}

/** Every source of energies with the widest of its bands. */
export function energySources({ rows }: Results): readonly RunEnergy[] {
  const widest = new Map<string, RunEnergy>();
  for (const { energy } of rows) {
    if (energy === undefined) continue;
    const key = `${energy.tier} ${energy.source}`;
    if (energy.band > (widest.get(key)?.band ?? 0)) widest.set(key, energy);
  }
  return [...widest.values()];
}

/** "2.31x" for each peer; what is wrong, where something is. */
export function ratioText(row: Row): string {
  if (row.status !== "ok") return row.status;
  return Object.values(row.ratio ?? {})
    .map((ratio) => `${ratio.toFixed(2)}x`)
    .join(" / ");
}

export interface RatioSummary {
  readonly where: Where;
  readonly peer: EngineName;
  readonly threads: number;
  readonly models: number;
  readonly geometricMean: number;
  readonly least: { readonly model: string; readonly ratio: number };
}

/** Of every place, peer and number of threads that has a ratio. */
export function ratioSummaries({ rows }: Results): readonly RatioSummary[] {
  const groups = new Map<
    string,
    {
      readonly where: Where;
      readonly peer: EngineName;
      readonly threads: number;
      readonly list: { model: string; ratio: number }[];
    }
  >();
  for (const { where, model, threads, ratio = {} } of rows) {
    for (const [name, value] of Object.entries(ratio)) {
      const peer = name as EngineName;
      const key = `${where} ${peer} ${threads}`;
      const group = groups.get(key) ?? { where, peer, threads, list: [] };
      group.list.push({ model, ratio: value });
      groups.set(key, group);
    }
  }
  return [...groups.values()].map(({ where, peer, threads, list }) => {
    const [least = { model: "", ratio: 0 }] = [...list].sort((left, right) => left.ratio - right.ratio);
    const mean = geometricMean(list.map(({ ratio }) => ratio)) ?? 0;
    return { where, peer, threads, models: list.length, geometricMean: mean, least };
  });
}

export interface MemorySummary {
  readonly where: Where;
  readonly peer: EngineName;
  readonly models: number;
  /** Of Leafcutter's peak over the peer's. */
  readonly geometricMean: number;
  readonly most: { readonly model: string; readonly ratio: number };
}

/** Peak memory of every place and peer in which both have one. */
export function memorySummaries({ rows }: Results): readonly MemorySummary[] {
  const groups = new Map<string, { where: Where; peer: EngineName; list: { model: string; ratio: number }[] }>();
  for (const own of rows) {
    if (own.engine !== "leafcutter" || own.peakBytes === null) continue;
    for (const { engine: peer, model, where, threads, peakBytes } of rows) {
      const isPair = model === own.model && where === own.where && threads === own.threads;
      if (peer === "leafcutter" || !isPair || peakBytes === null) continue;
      const key = `${where} ${peer}`;
      const group = groups.get(key) ?? { where, peer, list: [] };
      group.list.push({ model, ratio: own.peakBytes / peakBytes });
      groups.set(key, group);
    }
  }
  return [...groups.values()].map(({ where, peer, list }) => {
    const [most = { model: "", ratio: 0 }] = [...list].sort((left, right) => right.ratio - left.ratio);
    const mean = geometricMean(list.map(({ ratio }) => ratio)) ?? 0;
    return { where, peer, models: list.length, geometricMean: mean, most };
  });
}

/** " on 2 threads"; nothing for one, which is the ordinary case. */
export const onThreads = (threads: number): string => (threads === 1 ? "" : ` on ${threads} threads`);

/** What further threads bring to Leafcutter, of every model that was measured on one thread and on several. */
export function threadSummaries({ rows }: Results): readonly string[] {
  const own = rows.filter(({ engine, status }) => engine === "leafcutter" && status === "ok");
  return own.flatMap(({ model, where, variant, threads, medianMs }) => {
    const alone = own.find((row) => row.model === model && row.where === where && row.threads === 1);
    if (threads === 1 || alone === undefined || alone.medianMs === null || medianMs === null) return [];
    if (!variant.endsWith("-threads")) return [`${model} in ${where} runs on one thread where ${threads} may`];
    const ratio = (alone.medianMs / medianMs).toFixed(2);
    return [`${threads} threads are ${ratio}x one thread on ${model} in ${where}`];
  });
}

/** GFLOP/s that the variant of a row could reach at most in its place, on one thread. */
export function roofOf(host: Host, { where, variant }: Pick<Row, "where" | "variant">): number | null {
  const roof = host.roof[where];
  if (roof === undefined || variant === "webgpu" || variant.endsWith("-threads")) return null;
  return variant === "wasm-relaxed" ? roof.relaxedGflops : roof.simdGflops;
}

export function roofText(where: Where, roof: Roof): string {
  const fused = roof.relaxedGflops === null ? "no relaxed SIMD" : `${digits(roof.relaxedGflops)} GFLOP/s fused`;
  return `${where}: ${fused}, ${digits(roof.simdGflops)} as product and sum; reads ${digits(roof.readGigabytes)} GB/s (${digits(roof.cachedReadGigabytes)} from the cache), copies ${digits(roof.copyGigabytes)} GB/s`;
}

type Step = Profile[number];

/** Steps whose time should be decided by multiply-adds alone. */
export const isDense = ({ kernel, where, flops }: Step): boolean =>
  where !== "host" && flops > 0 && /^(conv|matmul)\b/.test(kernel);

/** Share of the roof that a step reaches, 0…1. */
export const shareOfRoof = ({ flops, milliseconds: time }: Step, roof: number): number =>
  time > 0 ? flops / time / 1e6 / roof : 0;

/** Share of the roof of all dense steps together; undefined when there are none. */
export function denseShare(profile: Profile, roof: number): number | undefined {
  const dense = profile.filter(isDense);
  const flops = dense.reduce((sum, step) => sum + step.flops, 0);
  const time = dense.reduce((sum, step) => sum + step.milliseconds, 0);
  return time > 0 ? flops / time / 1e6 / roof : undefined;
}

export interface PredictionSummary {
  readonly where: Where;
  readonly rows: number;
  /** Rows whose median is within 15 % of what was predicted. */
  readonly near: number;
  /** Spearman's coefficient of predicted and measured medians. */
  readonly rankCorrelation: number;
}

const nearShare = 0.15;

export function predictionSummaries({ rows }: Results): readonly PredictionSummary[] {
  return [...new Set(rows.map(({ where }) => where))].flatMap((where) => {
    const pairs = rows.flatMap((row) =>
      row.where === where && row.predictedMs !== undefined && row.medianMs !== null
        ? [[row.predictedMs, row.medianMs] as const]
        : [],
    );
    if (pairs.length === 0) return [];
    const near = pairs.filter(([predicted, measured]) => Math.abs(predicted / measured - 1) <= nearShare).length;
    const [first, second] = [0, 1].map((side) => ranksOf(pairs.map((pair) => pair[side] as number)));
    return [{ where, rows: pairs.length, near, rankCorrelation: correlation(first ?? [], second ?? []) }];
  });
}

function ranksOf(values: readonly number[]): readonly number[] {
  const order = values.map((_, index) => index).sort((a, b) => (values[a] as number) - (values[b] as number));
  const ranks = new Array<number>(values.length);
  for (const [rank, index] of order.entries()) ranks[index] = rank;
  return ranks;
}

function correlation(left: readonly number[], right: readonly number[]): number {
  const mean = (left.length - 1) / 2;
  let [both, one] = [0, 0];
  for (const [i, rank] of left.entries()) {
    both += (rank - mean) * ((right[i] as number) - mean);
    one += (rank - mean) ** 2;
  }
  return one === 0 ? 1 : both / one;
}
