/**
 * What a first load needs before any weights, fetched by the page while its worker starts: the manifest, the program
 * and the module that this host will run. Nothing of it is verified here: the worker does that. Whatever fails is left
 * out, and the worker asks again and says what is wrong.
 */
import { missingFeature } from "../engine/probe.ts";
import type { FileReference, Manifest } from "../format/manifest.ts";
import { cacheIsEmpty } from "../load/cache.ts";
import { hostEnvironment } from "../load/environment.ts";
import { fetchFile, type PackageFiles } from "../load/source.ts";
import type { LoadOptions } from "./contract.ts";

export interface EarlyFiles {
  readonly manifest?: Uint8Array;
  /** Path -> content. */
  readonly files?: Readonly<Record<string, Uint8Array>>;
}

type Options = Pick<LoadOptions, "backend" | "cache" | "signal" | "threads">;

const safePath = /^[\w.-]+$/;

export async function fetchEarlyFiles(location: string | PackageFiles, options: Options): Promise<EarlyFiles> {
  const { backend = "auto", cache, signal, threads = 1 } = options;
  const nothingCached = cache === false || cacheIsEmpty(hostEnvironment());
  const manifest = await fetchFile(location, signal);
  if (manifest === undefined) return {};
  if (backend === "webgpu" || !(await nothingCached)) return { manifest };
  const files: Record<string, Uint8Array> = {};
  const read = async ({ path }: FileReference): Promise<void> => {
    const bytes = safePath.test(path) ? await fetchFile(location, signal, path) : undefined;
    if (bytes !== undefined) files[path] = bytes;
  };
  try {
    const { program, modules, threads: walk } = JSON.parse(new TextDecoder().decode(manifest)) as Manifest;
    const isSimd = backend.startsWith("wasm-simd") || missingFeature("wasm-relaxed") !== undefined;
    const variant = isSimd ? "wasm-simd" : "wasm-relaxed";
    const wanted = [program, ...modules.filter((module) => module.variant === variant)];
    const hasThreads = backend.endsWith("-threads") || (threads > 1 && (backend === "auto" || backend === "wasm"));
    if (walk !== undefined && hasThreads && globalThis.crossOriginIsolated) wanted.push(walk);
    await Promise.all(wanted.map(read));
  } catch {
    // Not a manifest: the worker says so.
  }
  return { manifest, files };
}
