/**
 * What a compile did and what it costs: per step and in total, as data and as text for a terminal.
 */
import { evaluateExtent } from "../runtime/format/extent.ts";
import type { Manifest } from "../runtime/format/manifest.ts";
import { type Program, pageBytes } from "../runtime/format/program.ts";
import type { Calibrated } from "./budget/calibrated-choices.ts";
import { type EnergyTier, millijoulesText, type RunEnergy } from "./budget/energy.ts";
import type { FittedGraph } from "./budget/fit.ts";
import { formatOutcome } from "./budget/format-outcome.ts";
import type { BudgetOutcome } from "./budget/outcome.ts";
import type { PlanCosts } from "./budget/plan-costs.ts";
import type { Plan } from "./plan/plan.ts";
import type { CacheCounts } from "./quantize/work-cache.ts";

export interface ReportStep {
  readonly name: string;
  readonly op: string;
  /** Kernel name; "host" for a step that runs a reference function, "jump" and "repeat" for control flow. */
  readonly kernel: string;
  /** Floating-point operations of the direct form, with every symbol at its upper bound. */
  readonly flops: number;
  /** Bytes of weights that the step reads. */
  readonly weightBytes: number;
}

/** The scheme of one constant. */
export interface ReportStorage {
  readonly constant: string;
  readonly storage: string;
  readonly bytes: number;
}

export interface Report {
  readonly name: string;
  readonly steps: readonly ReportStep[];
  readonly hostSteps: readonly string[];
  readonly flops: number;
  /** Bytes of all files of the package. */
  readonly totalBytes: number;
  readonly weightBytes: number;
  readonly moduleBytes: Readonly<Record<string, number>>;
  /** Linear memory, and the largest sum of live unpadded tensors it is measured against. */
  readonly memoryBytes: number;
  readonly arenaBytes: number;
  readonly liveBytes: number;
  /** One run on one thread of the device, by its profile. */
  readonly predicted: { readonly milliseconds: number; readonly millijoules: number; readonly tier: EnergyTier };
  /** One run of the package as it is measured on this machine, where the command asked for it. */
  readonly measuredEnergy?: RunEnergy;
  /** Constants among whose schemes the budget chose; empty when the model as it is keeps all limits. */
  readonly storage: readonly ReportStorage[];
  /** Relative error of the outputs against float32 on the samples of the budget; undefined without a choice. */
  readonly outputError?: number;
  /** What the budget chose, from what, and how far it is from its limits; undefined without a choice. */
  readonly budget?: BudgetOutcome;
  /** What activations were observed on; undefined where nothing asked for it. */
  readonly calibration?: ReportCalibration;
  /** What did not go as it should, but did no harm to the package. */
  readonly notes: readonly string[];
  readonly milliseconds: number;
}

export interface ReportCalibration extends Calibrated {
  /** Parts that the cache had, and all of them; undefined without a cache. */
  readonly cached?: { readonly parts: number; readonly of: number };
}

export interface ReportInput {
  readonly plan: Plan;
  readonly program: Program;
  readonly manifest: Manifest;
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly fitted: FittedGraph;
  readonly costs: Pick<PlanCosts, "nanoseconds" | "joules">;
  /** Of the device's energy. */
  readonly tier: EnergyTier;
  readonly cached: CacheCounts | undefined;
  readonly notes: readonly string[];
  readonly milliseconds: number;
}

export function makeReport(input: ReportInput): Report {
  const { plan, program, manifest, files, fitted, costs, tier, cached, notes, milliseconds } = input;
  const upper = new Map(program.symbols.map((symbol) => [symbol.name, symbol.upper]));
  const steps = plan.steps.map((step): ReportStep => {
    if (step.kind !== "kernel") return { name: step.name, op: step.op, kernel: step.kind, flops: 0, weightBytes: 0 };
    const weightBytes = step.arguments.reduce(
      (sum, argument) =>
        sum +
        (argument.kind === "address" && argument.buffer.kind === "weight"
          ? evaluateExtent(argument.buffer.bytes, upper)
          : 0),
      0,
    );
    return {
      name: step.name,
      op: step.op,
      kernel: step.kernel.name,
      flops: evaluateExtent(step.flops, upper),
      weightBytes,
    };
  });
  const { outcome, outputError } = fitted;
  let totalBytes = 0;
  for (const bytes of files.values()) totalBytes += bytes.byteLength;
  return {
    name: manifest.name,
    steps,
    hostSteps: steps.filter(({ kernel }) => kernel === "host").map(({ name, op }) => `${name} (${op})`),
    flops: steps.reduce((sum, step) => sum + step.flops, 0),
    totalBytes,
    weightBytes: plan.memory.weights.bytes,
    moduleBytes: Object.fromEntries(manifest.modules.map(({ variant, bytes }) => [variant, bytes])),
    memoryBytes: plan.memory.pages * pageBytes,
    arenaBytes: plan.memory.arena.bytes,
    liveBytes: plan.liveBytes,
    predicted: { milliseconds: costs.nanoseconds * 1e-6, millijoules: costs.joules * 1e3, tier },
    storage: (outcome?.layers ?? []).map(({ constant, options, chosen }) => ({
      constant,
      storage: options[chosen]?.scheme ?? "float32",
      bytes: options[chosen]?.bytes ?? 0,
    })),
    ...(outputError === undefined ? {} : { outputError }),
    ...(outcome ? { budget: withSize(outcome, totalBytes) } : {}),
    ...(fitted.calibrated
      ? {
          calibration: {
            ...fitted.calibrated,
            ...(cached ? { cached: { parts: cached.hits, of: cached.hits + cached.misses } } : {}),
          },
        }
      : {}),
    notes: [...(fitted.notes ?? []), ...notes],
    milliseconds,
  };
}

/** The size of the package as it was written, which is exact even where no limit asked for it. */
function withSize(outcome: BudgetOutcome, size: number): BudgetOutcome {
  const front = outcome.front.map((point) => (point.chosen ? { ...point, size } : point));
  return { ...outcome, chosen: { ...outcome.chosen, size }, front };
}

/** 1234567 -> "1.23 MB" (MB = 10^6 bytes). */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(1)} kB`;
  return `${(bytes / 1e6).toFixed(2)} MB`;
}

/** The summary that `leafcutter compile` prints. */
export function formatReport(report: Report): string {
  const lines = [
    `${report.name}: ${report.steps.length} steps, ${(report.flops / 1e6).toFixed(1)} MFLOP a run`,
    `  package ${formatBytes(report.totalBytes)}: weights ${formatBytes(report.weightBytes)}, ${Object.entries(
      report.moduleBytes,
    )
      .map(([variant, bytes]) => `${variant} ${formatBytes(bytes)}`)
      .join(", ")}`,
    `  memory ${formatBytes(report.memoryBytes)}: arena ${formatBytes(report.arenaBytes)} for ${formatBytes(report.liveBytes)} of live tensors`,
  ];
  const { milliseconds, millijoules, tier } = report.predicted;
  lines.push(
    `  predicted for the device: ${Number(milliseconds.toPrecision(3))} ms and ${millijoulesText(millijoules, tier)} a run`,
  );
  const counts = new Map<string, number>();
  for (const { storage } of report.storage) counts.set(storage, (counts.get(storage) ?? 0) + 1);
  if (counts.size > 0) {
    const list = [...counts].map(([storage, count]) => `${count} ${storage}`).join(", ");
    const error =
      report.outputError === undefined ? "" : `; relative output error ${report.outputError.toExponential(2)}`;
    lines.push(`  schemes of weights: ${list}${error}`);
  }
  if (report.budget) lines.push(...formatOutcome(report.budget).map((line) => `  ${line}`));
  if (report.calibration) lines.push(`  ${calibrationLine(report.calibration)}`);
  lines.push(...report.notes.map((note) => `  note: ${note}`));
  lines.push(report.hostSteps.length === 0 ? "  no host steps" : `  host steps: ${report.hostSteps.join(", ")}`);
  lines.push(`  compiled in ${(report.milliseconds / 1000).toFixed(2)} s`);
  return lines.join("\n");
}

function calibrationLine({ source, samples, ranges, cached }: ReportCalibration): string {
  const what = source === "samples" ? `${samples} sample${samples === 1 ? "" : "s"}` : `${source} (${samples})`;
  const kept = cached && cached.parts > 0 ? `; ${cached.parts} of ${cached.of} parts from the cache` : "";
  return `calibrated on ${what}, ranges by ${ranges}${kept}`;
}
