/** A package as one object that can be posted to where a model cannot be loaded, such as an AudioWorklet. */
import { absoluteSource, type PackageFiles } from "./load/source.ts";
import type { PreparedModel, PrepareOptions } from "./worker/prepared.ts";

/**
 * Fetches, verifies and compiles a package and runs its known answers in this thread. The result is cloned to an
 * AudioWorkletProcessor as (part of) its `processorOptions`, where `instantiate` of leafcutter/worklet makes a session of it
 * at once. Takes the sources of `load`. Rejects with a LeafcutterError: those of `load`, and model-unsupported for a
 * package with host steps.
 */
export async function prepare(
  source: string | URL | PackageFiles,
  options: PrepareOptions = {},
): Promise<PreparedModel> {
  const location = absoluteSource(source);
  const { prepareModel } = await import("./worker/prepared.ts");
  return prepareModel(location, options);
}
