/**
 * The compiler's one entry: a model file into a package. Platform neutral: runs in Node and in a browser's worker.
 * Reads as a table of contents: one call per arrow of the design.
 */

import { LeafcutterError } from "../runtime/format/diagnostic.ts";
import type { Manifest } from "../runtime/format/manifest.ts";
import { costsOf } from "./budget/device-profile.ts";
import { type FittedGraph, fitToBudget } from "./budget/fit.ts";
import type { Limits } from "./budget/quantities.ts";
import { withReadableStorage } from "./budget/readable-storage.ts";
import type { BudgetTools } from "./budget/tools.ts";
import { type Built, buildPackage } from "./build-package.ts";
import type { BudgetOptions, CompileOptions } from "./compile-options.ts";
import { openExecution } from "./execution.ts";
import type { Graph } from "./graph/graph.ts";
import { importOnnx } from "./import/onnx/import.ts";
import { checkSamples, type SamplePort, type SampleSet } from "./import/samples/sample-set.ts";
import type { ByteSource } from "./import/source.ts";
import { ObserverTeam } from "./observer-team.ts";
import type { PackagedFiles } from "./package/package.ts";
import { optimise, toIntegers } from "./pipeline.ts";
import { costOfPlan } from "./plan/cost-of-plan.ts";
import { defaultProfile } from "./plan/default-profile.ts";
import { makePlan } from "./plan/make-plan.ts";
import { resolveStates } from "./plan/states.ts";
import { checkProvenance, checkSamePackage, hasBudget, optionsOf, provenanceOf } from "./provenance.ts";
import { languageModelOf } from "./quantize/language-model.ts";
import { normStatistics } from "./quantize/norm-statistics.ts";
import { WorkCache } from "./quantize/work-cache.ts";
import { makeReport, type Report } from "./report.ts";

export { LeafcutterError } from "../runtime/format/diagnostic.ts";
export type { DeviceProfile } from "./budget/device-profile.ts";
export { parseDeviceProfile } from "./budget/device-profile.ts";
export { type Metric, metricFrom } from "./budget/metric.ts";
export type { BudgetOutcome, Infeasibility } from "./budget/outcome.ts";
export type { Sample } from "./budget/tools.ts";
export type { BudgetOptions, CompileOptions } from "./compile-options.ts";
export { type ByteSource, blobSource, bytesSource, fileSetSource, urlSource } from "./import/source.ts";
export { parseRangeMethod, type RangeMethod } from "./quantize/histogram.ts";
export { parseScheme, type Scheme, schemeName } from "./quantize/scheme.ts";
export type { CalibrationStore } from "./quantize/work-cache.ts";
export type { Report } from "./report.ts";
export { formatBytes, formatReport } from "./report.ts";
export { infeasibleHtml, reportHtml } from "./report-html.ts";
export { cacheStorageStore, memoryStore } from "./stores.ts";

/** Version of the compiler, as package.json has it. */
export const version = "0.1.0";

export interface Package extends PackagedFiles {
  readonly manifest: Manifest;
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly report: Report;
}

/**
 * Compiles a model. Throws LeafcutterError: those of import, and budget-infeasible (with an explanation as its details)
 * when nothing keeps all limits.
 */
export async function compile(source: ByteSource, given: CompileOptions = {}): Promise<Package> {
  const { locked } = given;
  const options = locked ? { ...optionsOf(locked), ...given } : given;
  const started = performance.now();
  const progress = (stage: string, done = 0, total = 1): void => {
    options.signal?.throwIfAborted();
    options.onProgress?.(stage, done, total);
  };
  progress("import");
  const imported = await importOnnx(source, options);
  const states = resolveStates(imported, options.states ?? {});
  const graph = withReadableStorage(
    optimise(imported, { onProgress: (_, done, total) => progress("optimise", done, total) }),
  );
  const device = options.device ?? defaultProfile;
  const costs = costsOf(device);
  const samples = hasBudget(options) ? await samplesOf(graph, options) : undefined;
  const compiler = `leafcutter ${version}`;
  const provenance = await provenanceOf({ compiler, source, options, samples: samples?.hash });
  if (locked) checkProvenance(locked.provenance, provenance);
  const build = (candidate: Graph, maxSize = options.maxSize): Promise<Built> =>
    buildPackage(candidate, {
      name: options.name ?? baseName(source.name),
      costs,
      states,
      provenance: maxSize === undefined ? provenance : { ...provenance, options: { ...provenance.options, maxSize } },
      webgpu: options.webgpu ?? false,
      threads: options.threads,
    });
  const tools: BudgetTools = {
    costOf: (candidate) => costOfPlan(makePlan(candidate, costs, states), device),
    sizeOf: async (candidate, maxSize) => totalBytes((await build(candidate, maxSize)).packaged.files),
    open: (candidate, variants) => openExecution(candidate, variants, costs),
  };
  const { calibrationStore, ranges, signal } = options;
  const cache = calibrationStore && new WorkCache(calibrationStore, version);
  const team = new ObserverTeam({ workers: options.workers, costs });
  const toBudget = (): Promise<FittedGraph> =>
    fitToBudget(graph, {
      ...tools,
      limits: limitsOf(options),
      objective: options.objective ?? "quality",
      precision: options.precision,
      samples: samples?.samples,
      norms: normStatistics(imported),
      truth: { labels: samples?.labels, groups: samples?.groups, metric: options.metric },
      device,
      observing: {
        ...(ranges ? { method: ranges } : {}),
        openObserver: (candidate, runs) => team.open(candidate, runs),
        cache,
        signal,
      },
      acceptPrior: options.acceptPrior ?? false,
      toIntegers,
      onProgress: progress,
    });
  const fitted: FittedGraph = hasBudget(options)
    ? await toBudget().finally(() => team.close())
    : { graph, layers: [], picks: [] };
  progress("generate");
  const built = await build(fitted.graph);
  if (locked) checkSamePackage(locked, built.packaged.manifest);
  progress("done", 1, 1);
  const report = makeReport({
    ...built,
    ...built.packaged,
    fitted,
    costs: costOfPlan(built.plan, device),
    tier: device.energy.tier,
    cached: cache?.counts,
    notes: [...unusedNotes(options), ...team.notes, ...(cache?.notes ?? [])],
    milliseconds: performance.now() - started,
  });
  return { ...built.packaged, report };
}

/** Of a language model the tokens are enough: the mask is of ones, positions count up, a cache is empty. */
function samplePorts(graph: Graph): readonly SamplePort[] {
  const model = languageModelOf(graph);
  return graph.inputs.map(({ name, type }) => ({
    name,
    type,
    ...(model ? { follows: ({ input_ids: ids }) => ids && model.sample(Array.from(ids.data, Number))[name] } : {}),
  }));
}

/** Throws option-invalid for limits on a metric that is not there, or that is better the other way. */
function checkMetric({ metric, minMetric, maxMetric, samples }: BudgetOptions): void {
  const { higherIsBetter = true, name } = metric ?? {};
  const refuse = (where: string, message: string, advice: string): LeafcutterError =>
    new LeafcutterError({ code: "option-invalid", where, message, advice });
  const limit = minMetric === undefined ? "maxMetric" : "minMetric";
  if (!metric && (minMetric ?? maxMetric) !== undefined)
    throw refuse(limit, "a limit on a metric needs the metric", "Give the module of the metric, too (--metric).");
  if (metric && samples === undefined)
    throw refuse("metric", "a metric needs samples", "Give samples that it is measured on (--calibrate).");
  if ((minMetric !== undefined && !higherIsBetter) || (maxMetric !== undefined && higherIsBetter))
    throw refuse(
      limit,
      `the metric ${name} is better when ${higherIsBetter ? "higher" : "lower"}`,
      higherIsBetter ? "Use a least value (--min-metric)." : "Use a largest value (--max-metric).",
    );
}

function unusedNotes(options: CompileOptions): readonly string[] {
  const isUnused = !hasBudget(options) && (options.samples !== undefined || options.ranges !== undefined);
  return isUnused ? ["without a limit, an objective or a precision the samples are not used"] : [];
}

function limitsOf(options: BudgetOptions): Limits {
  const { maxSize, maxMemory, maxLatency, maxEnergy, minQuality, maxSliceDrop, minMetric, maxMetric } = options;
  return {
    ...(maxSize === undefined ? {} : { size: maxSize }),
    ...(maxMemory === undefined ? {} : { memory: maxMemory }),
    ...(maxLatency === undefined ? {} : { latency: maxLatency }),
    ...(maxEnergy === undefined ? {} : { energy: maxEnergy }),
    ...(minQuality === undefined ? {} : { quality: minQuality }),
    ...(maxSliceDrop === undefined ? {} : { sliceDrop: maxSliceDrop }),
    ...(minMetric === undefined ? {} : { minMetric }),
    ...(maxMetric === undefined ? {} : { maxMetric }),
  };
}

async function samplesOf(graph: Graph, options: BudgetOptions): Promise<SampleSet | undefined> {
  const { samples, labels, groups, metric } = options;
  checkMetric(options);
  if (samples === undefined) return undefined;
  const ports = samplePorts(graph);
  if (typeof samples === "function") return samples(ports);
  return checkSamples({ samples, labels, groups }, ports, "samples", {
    labelsAre: metric ? "anything" : "classes",
  });
}

function totalBytes(files: ReadonlyMap<string, Uint8Array>): number {
  let sum = 0;
  for (const bytes of files.values()) sum += bytes.byteLength;
  return sum;
}

const baseName = (path: string): string => (path.split("/").at(-1) ?? path).replace(/\.onnx$/, "") || "model";
