/** What `compile` can be told. Everything has a default; what shapes the package stands in its manifest's provenance. */
import type { Manifest } from "../runtime/format/manifest.ts";
import type { DeviceProfile } from "./budget/device-profile.ts";
import type { Metric } from "./budget/metric.ts";
import type { Objective } from "./budget/quantities.ts";
import type { Sample } from "./budget/tools.ts";
import type { DimBinding, SampleShape } from "./import/onnx/dimensions.ts";
import type { InputValues } from "./import/onnx/fixed-input.ts";
import type { SamplePort, SampleSet } from "./import/samples/sample-set.ts";
import type { StateNames } from "./plan/states.ts";
import type { RangeMethod } from "./quantize/histogram.ts";
import type { Scheme } from "./quantize/scheme.ts";
import type { CalibrationStore } from "./quantize/work-cache.ts";

export interface CompileOptions extends BudgetOptions {
  /** Name of the package; default the file's name without its ending. */
  readonly name?: string;
  /** Dimensions by symbol name, "batch", or "input:axis": a number, or a range that one package then serves. */
  readonly dims?: Readonly<Record<string, DimBinding>>;
  /** Values of inputs that shapes depend on, by name, elements in row-major order; the package serves only these. */
  readonly values?: InputValues;
  /** A data set beside the model: shapes for dimensions that are not bound, values of inputs that shapes depend on. */
  readonly sampleShapes?: readonly SampleShape[];
  /** A leading batch that is not bound takes the sample's size instead of 1. */
  readonly batchFromSample?: boolean;
  /** Inputs that the session keeps between runs -> outputs that are their next values; "past.*": "present.*" is many. */
  readonly states?: StateNames;
  /** Also emit WGSL for the same plan. Default false. */
  readonly webgpu?: boolean;
  /** Whether several threads may run the package (0.7 kB more). Default: when they would save time worth speaking of. */
  readonly threads?: boolean;
  /** The manifest of a package that has to come out again, byte by byte; fails where anything that goes in differs. */
  readonly locked?: Manifest;
  onProgress?(stage: string, done: number, total: number): void;
  readonly signal?: AbortSignal;
}

/** Limits, and what is to be best within them. Without any the weights stay as the model has them. */
export interface BudgetOptions {
  /** Most bytes of all files of the package together. */
  readonly maxSize?: number;
  /** Most bytes of a session's linear memory. */
  readonly maxMemory?: number;
  /** Most milliseconds of a run, by the device profile on one thread. */
  readonly maxLatency?: number;
  /** Most millijoules of a run, by the device profile. */
  readonly maxEnergy?: number;
  /**
   * Least quality, 0 to 1: mean cosine of the outputs against the model as it is; with labels its accuracy as a share of the
   * model's. Default 0.99 when something else than quality is the objective.
   */
  readonly minQuality?: number;
  /** Most points (hundredths) of accuracy, or of agreement without labels, that any group may lose; of a metric, its unit. */
  readonly maxSliceDrop?: number;
  /** Least of `metric`, where higher is better; most of it, where lower is. */
  readonly minMetric?: number;
  readonly maxMetric?: number;
  /** What is to be best. Default quality. */
  readonly objective?: Objective;
  /** One scheme for all layers that can have it, instead of a choice per layer. */
  readonly precision?: Scheme;
  /** Latency and energy of what; default the built-in profile. */
  readonly device?: DeviceProfile;
  /** Whether a limit on energy may rest on published coefficients of another device (tier C). */
  readonly acceptPrior?: boolean;
  /** Inputs to calibrate and to measure quality on, or what reads them once the model's inputs are known; default synthetic. */
  readonly samples?: readonly Sample[] | ((ports: readonly SamplePort[]) => Promise<SampleSet>);
  /** How ranges of int8 activations follow from the samples: "mse" (default), "min-max", "percentile:99.99", "entropy". */
  readonly ranges?: RangeMethod;
  /** Keeps calibrations between compiles, and what was done of one that was stopped. Default none. */
  readonly calibrationStore?: CalibrationStore;
  /** Workers that calibrate; default one a processor (at most 8), or none for little work. The package is the same with any. */
  readonly workers?: number;
  /** The right class of each sample, or what `metric` reads. */
  readonly labels?: readonly unknown[];
  /** A measure of your own, on outputs, labels and samples; then it is what quality and slices are told in. */
  readonly metric?: Metric;
  /** The slice that each sample belongs to. */
  readonly groups?: readonly string[];
}
