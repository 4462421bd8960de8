/** What the budget stage is asked for, and the tools that it works with. */
import type { Graph } from "../graph/graph.ts";
import type { CalibrateSettings } from "../quantize/calibrate.ts";
import type { NormStatistics } from "../quantize/norm-statistics.ts";
import type { Scheme } from "../quantize/scheme.ts";
import type { EnergyCoefficients } from "./energy.ts";
import type { Limits, Objective } from "./quantities.ts";
import type { BudgetTools, Sample } from "./tools.ts";
import type { VerifierTruth } from "./verifier.ts";

export interface Budget extends BudgetTools {
  readonly limits: Limits;
  readonly objective: Objective;
  /** One scheme for every layer that can have it, instead of a choice. */
  readonly precision: Scheme | undefined;
  /** Inputs to measure on; synthetic ones when there are none. */
  readonly samples: readonly Sample[] | undefined;
  /** Statistics of the imported model's batch norms, for calibration without samples. */
  readonly norms?: NormStatistics;
  readonly truth: VerifierTruth;
  readonly device: { readonly name: string; readonly energy: EnergyCoefficients };
  /** Integer kernels for what stands between QuantizeLinear and DequantizeLinear. */
  toIntegers(graph: Graph): Graph;
  /** How activations are observed, beside `open`. */
  readonly observing?: Pick<CalibrateSettings, "method" | "openObserver" | "cache" | "signal">;
  /** Whether a limit on energy may rest on a published table of another device. */
  readonly acceptPrior: boolean;
  onProgress?(stage: string, done: number, total: number): void;
}
