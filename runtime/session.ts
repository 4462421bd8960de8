/** Opens a package as a session, in a worker or in this thread. */
import { absoluteSource, type PackageFiles } from "./load/source.ts";
import { openWorkerSession } from "./worker/client.ts";
import type { LoadOptions, LocalSession, Session } from "./worker/contract.ts";

/**
 * Loads a package made by the compiler.
 *
 * `source` is the address of its folder or of its manifest (in Node also a path), or its files by name. Resolves when
 * the weights are in place and the kernels' known answers have come out right. Rejects with a LeafcutterError that says
 * what failed, where, and what to do.
 */
export async function load(
  source: string | URL | PackageFiles,
  options: LoadOptions & { readonly worker: false },
): Promise<LocalSession>;
export async function load(source: string | URL | PackageFiles, options?: LoadOptions): Promise<Session>;
export async function load(source: string | URL | PackageFiles, options: LoadOptions = {}): Promise<Session> {
  const location = absoluteSource(source);
  if (options.worker !== false) return openWorkerSession(location, options);
  const { modelEnvironment, openModel } = await import("./worker/open-model.ts");
  return openModel(location, options, modelEnvironment());
}
