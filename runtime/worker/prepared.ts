/**
 * A model in a form that can be posted to a place that cannot load one (an AudioWorklet has no fetch, no asynchronous
 * compiling and no imports on demand): everything fetched, verified, compiled and tested where that is possible.
 */
import { LeafcutterError } from "../format/diagnostic.ts";
import type { PortDescription, StateDescription, WasmVariantName } from "../format/manifest.ts";
import type { Program } from "../format/program.ts";
import type { PackageFiles } from "../load/source.ts";
import type { LoadOptions, Stats } from "./contract.ts";
import type { Model } from "./model.ts";
import { modelEnvironment, openModel } from "./open-model.ts";

/** Can be cloned and posted within the page's agent cluster, not stored. `instantiate` of leafcutter/worklet takes it. */
export interface PreparedModel {
  readonly variant: WasmVariantName;
  /** Validated. */
  readonly program: Program;
  readonly module: WebAssembly.Module;
  /** The program's weight region; its buffer holds nothing else and can be transferred. */
  readonly weights: Uint8Array<ArrayBuffer>;
  readonly inputs: readonly PortDescription[];
  readonly outputs: readonly PortDescription[];
  readonly states: readonly StateDescription[];
  /** As the model was when it was prepared. */
  readonly stats: Stats;
}

export interface PrepareOptions extends Omit<LoadOptions, "backend" | "worker" | "workerUrl"> {
  /** Default "wasm": the fastest that this host runs. */
  readonly backend?: "wasm" | WasmVariantName;
}

function checkSteps({ steps }: Program): void {
  const names = new Set(steps.flatMap((step) => (step.kind === "host" ? [`${step.op} (${step.name})`] : [])));
  if (names.size === 0) return;
  throw new LeafcutterError({
    code: "model-unsupported",
    message: "a model with host steps cannot be prepared: their functions are imported on demand",
    expected: "steps with generated kernels alone",
    received: [...names].join(", "),
    advice: "Load the model in a worker with load().",
  });
}

async function take(model: Model): Promise<PreparedModel> {
  const { variant, program, module, weights } = await model.parts();
  const { inputs, outputs, states } = model;
  return { variant, program, module, weights, inputs, outputs, states, stats: await model.stats() };
}

/** Opens a model here, tests it, and takes it apart. `location` must be absolute. Throws LeafcutterError. */
export async function prepareModel(location: string | PackageFiles, options: PrepareOptions): Promise<PreparedModel> {
  const { backend = "wasm" } = options;
  const model = await openModel(location, { ...options, backend, accept: checkSteps }, modelEnvironment());
  try {
    return await take(model);
  } finally {
    await model.dispose();
  }
}
