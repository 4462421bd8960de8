/**
 * What a page asks of onnxruntime-web, in Leafcutter's terms. Options that only tune onnxruntime's own machinery are
 * accepted and have no effect; options whose effect a page could miss are refused with option-invalid.
 */
import type { Backend, LoadOptions } from "./index.ts";
import { unsupported } from "./ort-tensor.ts";

type ExternalData = string | { readonly path: string; readonly data: string | Blob | Uint8Array | ArrayBufferLike };

export interface SessionOptions {
  /** In order of preference: "wasm", "cpu" and "webgpu" are known; another is passed over when one of these follows. */
  executionProviders?: readonly (string | { readonly name: string })[];
  /** Dimensions of an ONNX model by name. A package has its own. */
  freeDimensionOverrides?: Readonly<Record<string, number>>;
  /** Files of an ONNX model's external data; by default those beside the model. */
  externalData?: readonly ExternalData[];
  /** Outputs are in the page's memory: "cpu" alone. */
  preferredOutputLocation?: string | Readonly<Record<string, string>>;
  /** Refused. */
  optimizedModelFilePath?: string;
  /** `leafcutter` of it holds LeafcutterExtra. */
  extra?: Record<string, unknown>;
  /** From here on without effect. */
  intraOpNumThreads?: number;
  interOpNumThreads?: number;
  graphOptimizationLevel?: "disabled" | "basic" | "extended" | "layout" | "all";
  enableCpuMemArena?: boolean;
  enableMemPattern?: boolean;
  executionMode?: "sequential" | "parallel";
  enableProfiling?: boolean;
  profileFilePrefix?: string;
  enableGraphCapture?: boolean;
  logId?: string;
  logSeverityLevel?: 0 | 1 | 2 | 3 | 4;
  logVerbosityLevel?: number;
}

/** What only Leafcutter has, in `extra.leafcutter` of the session options. */
export interface LeafcutterExtra extends Pick<LoadOptions, "workerUrl" | "integrity" | "maxMemory" | "cache"> {
  /** Ranges of dimensions of an ONNX model, by name, "batch" or "input:axis". */
  readonly dims?: Readonly<Record<string, number | { readonly lower: number; readonly upper: number }>>;
  /** Most bytes of the compiled package. */
  readonly maxSize?: number;
  /** Where the built compiler/worker.js is served from, when a bundler did not place it. */
  readonly compilerUrl?: string | URL;
}

export interface RunOptions {
  /** Refused when true. */
  terminate?: boolean;
  /** From here on without effect. */
  logSeverityLevel?: 0 | 1 | 2 | 3 | 4;
  logVerbosityLevel?: number;
  tag?: string;
  extra?: Record<string, unknown>;
}

const backends: Readonly<Record<string, Backend>> = { wasm: "wasm", cpu: "wasm", webgpu: "webgpu" };

/** The backends to try, in order. Throws option-invalid when there is none. */
export function backendsOf({ executionProviders = ["wasm"] }: SessionOptions): readonly Backend[] {
  const names = executionProviders.map((provider) => (typeof provider === "string" ? provider : provider.name));
  const known = names.flatMap((name) => (Object.hasOwn(backends, name) ? [backends[name] as Backend] : []));
  if (known.length > 0 || names.length === 0) return known.length > 0 ? known : ["wasm"];
  throw unsupported("such execution provider", names.join(", "), "Use wasm or webgpu.");
}

/** Throws option-invalid. */
export function checkSessionOptions({ optimizedModelFilePath, preferredOutputLocation }: SessionOptions): void {
  if (optimizedModelFilePath !== undefined) {
    throw unsupported(
      "file of the optimised model",
      optimizedModelFilePath,
      "Write a package with the command line: leafcutter compile.",
    );
  }
  const locations =
    typeof preferredOutputLocation === "object" ? Object.values(preferredOutputLocation) : [preferredOutputLocation];
  const other = locations.find((location) => location !== undefined && location !== "cpu");
  if (other !== undefined) throw unsupported("outputs outside the page's memory", other, "Use the location cpu.");
}

/** Throws option-invalid. */
export function checkRunOptions({ terminate }: RunOptions): void {
  if (terminate === true) throw unsupported("run that ends others", "terminate: true", "Release the session.");
}

export const extraOf = ({ extra }: SessionOptions): LeafcutterExtra => (extra?.leafcutter ?? {}) as LeafcutterExtra;

const isShared = (bytes: ArrayBufferLike): boolean =>
  typeof SharedArrayBuffer !== "undefined" && bytes instanceof SharedArrayBuffer;

/** Bytes of a caller's as a Blob, which takes a copy. */
export function blobOf(bytes: Uint8Array | ArrayBufferLike): Blob {
  const view = bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes);
  return new Blob([isShared(view.buffer) ? view.slice() : (view as Uint8Array<ArrayBuffer>)]);
}

/** The files of external data by path. */
export async function externalFiles({ externalData = [] }: SessionOptions): Promise<ReadonlyMap<string, Blob>> {
  const entries = externalData.map(async (entry): Promise<readonly [string, Blob]> => {
    const { path, data } = typeof entry === "string" ? { path: entry.split("/").at(-1) ?? entry, data: entry } : entry;
    if (typeof data === "string") return [path, await (await fetch(data)).blob()];
    return [path, data instanceof Blob ? data : blobOf(data)];
  });
  return new Map(await Promise.all(entries));
}
