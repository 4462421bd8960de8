/** The chosen model as packages: without a budget, which budgets are shares of, and within the budget asked for. */
import type { Package } from "../compiler/compile.ts";
import type { ChosenModel } from "./chosen-model.ts";
import { compileInWorker } from "./compile-client.ts";
import type { CompileRequest, StageProgress } from "./compile-worker.ts";
import type { Settings } from "./setup.ts";

type Limits = Pick<CompileRequest, "maxSize" | "maxLatency">;

export interface CompileModelOptions {
  readonly settings: Settings;
  /** An earlier package of the same model without a budget. */
  readonly float: Package | undefined;
  readonly onStage: StageProgress;
  /** Called before the budget is tried, which may fail. */
  onFloat(float: Package): void;
  readonly signal: AbortSignal;
}

/** Resolves with the package within the budget. Rejects with a LeafcutterError. */
export async function compileModel(chosen: ChosenModel, options: CompileModelOptions): Promise<Package> {
  const { settings, onStage, onFloat, signal } = options;
  const webgpu = settings.backend === "webgpu";
  const samples = chosen.kind === "embedded" ? chosen.samples : [];
  const compileTo = (limits: Limits | undefined, onProgress: StageProgress): Promise<Package> =>
    compileInWorker(
      {
        modelFiles: chosen.files,
        modelPath: chosen.path,
        name: chosen.name,
        webgpu,
        dims: chosen.kind === "own" ? settings.dims : {},
        ...(limits === undefined ? {} : { ...limits, ...(samples.length > 0 ? { samples } : {}) }),
      },
      onProgress,
      signal,
    );
  // The dimensions of a reader's model may have changed since.
  const isKept = chosen.kind === "embedded" && (!webgpu || options.float?.manifest.shaders !== undefined);
  const float = (isKept ? options.float : undefined) ?? (await compileTo(undefined, onStage));
  if (!signal.aborted) onFloat(float);
  const { budget, latencyBudget } = settings;
  if (budget === 1 && latencyBudget === 1) return float;
  const { totalBytes, predicted } = float.report;
  const limits = {
    ...(budget === 1 ? {} : { maxSize: Math.floor(budget * totalBytes) }),
    ...(latencyBudget === 1 ? {} : { maxLatency: latencyBudget * predicted.milliseconds }),
  };
  return compileTo(limits, (stage, done, total) => onStage(stage === "done" ? stage : `budget: ${stage}`, done, total));
}
