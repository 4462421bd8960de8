/**
 * The manifest, a package's root of trust: hashes of every other file, what goes in and out, who made it.
 * Stored as `manifest.json`; `integrity` ("sha256-" + base64 of its SHA-256) pins it.
 */
import type { DType } from "./dtype.ts";
import type { Extent, SymbolBound } from "./extent.ts";

export const manifestFormat = "leafcutter/1";

export interface FileReference {
  /** Path below the manifest's folder: letters, digits, "-", "_", "." only; no separators. */
  readonly path: string;
  readonly bytes: number;
  /** Lower-case hexadecimal SHA-256 of the file. */
  readonly sha256: string;
  /** When the file is a raw DEFLATE stream (RFC 1951): the bytes of its content. Never of a shard. */
  readonly contentBytes?: number;
}

export type WasmVariantName = "wasm-simd" | "wasm-relaxed";
/** A module of the package run by several threads over one shared memory. */
export type ThreadedVariantName = `${WasmVariantName}-threads`;
/** The variant whose module a threaded one runs. */
export const moduleVariant = (variant: WasmVariantName | ThreadedVariantName): WasmVariantName =>
  variant.startsWith("wasm-relaxed") ? "wasm-relaxed" : "wasm-simd";
export type VariantName = WasmVariantName | ThreadedVariantName | "webgpu";

export interface PortDescription {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly Extent[];
  /**
   * Inputs only: the one value that the package was compiled for (shapes depend on it); the caller passes exactly this.
   * Elements in row-major order as plain numbers; float16 and bfloat16 as bit patterns, bool as 0 or 1.
   */
  readonly value?: readonly number[];
}

/** A tensor that the session keeps between runs: an input of the model whose next value is one of its outputs. */
export interface StateDescription {
  readonly name: string;
  readonly output: string;
  readonly dtype: DType;
  /** As a run finds it; a symbol is the length of a state that grows, 0 (or its lower bound) after a reset. */
  readonly shape: readonly Extent[];
}

/** Most elements of an input whose value is fixed. */
export const mostFixedElements = 64;

/** Sampled outputs for inputs filled by the generator of random.ts (seed + input index), symbols bound to `bindings`. */
export interface SelfTest {
  readonly seed: number;
  readonly bindings: Readonly<Record<string, number>>;
  readonly outputs: readonly {
    readonly name: string;
    /** Flat indices and the values there; |a - b| <= absolute * max|b| + relative * |b|. */
    readonly indices: readonly number[];
    readonly values: readonly number[];
  }[];
  readonly absolute: number;
  readonly relative: number;
  /** When there: besides, for each output, root(mean (a - b)^2) <= rootMeanSquare * root(mean b^2) over its samples. */
  readonly rootMeanSquare?: number;
}

/** Bytes of the weights that are stored in one form: "float32", "float16", "int8", "int4/32" (blocks of 32), … */
export interface WeightForm {
  readonly form: string;
  readonly bytes: number;
}

export interface Provenance {
  readonly compiler: string;
  readonly source: { readonly name: string; readonly bytes: number; readonly sha256: string };
  /** The options of the compile that shaped the package, as given. */
  readonly options: Readonly<Record<string, string | number | boolean>>;
  /** Hash of the samples that budget or calibration used. */
  readonly samples?: string;
  /** The device profile that latency and energy were weighed by, when one was given. */
  readonly device?: { readonly name: string; readonly sha256: string };
}

export interface Manifest {
  readonly format: typeof manifestFormat;
  readonly name: string;
  readonly symbols: readonly SymbolBound[];
  readonly inputs: readonly PortDescription[];
  readonly outputs: readonly PortDescription[];
  readonly states?: readonly StateDescription[];
  readonly program: FileReference;
  readonly modules: readonly (FileReference & { readonly variant: WasmVariantName })[];
  /** The module that walks the records with several threads, for every entry of `modules`. */
  readonly threads?: FileReference;
  /** WGSL of the same plan: JSON of runtime/format/shader.ts. */
  readonly shaders?: FileReference;
  /** In order they fill the program's weight region; each at most 4 MiB. */
  readonly shards: readonly FileReference[];
  /** What the shards hold, by falling bytes; for people. */
  readonly weights?: readonly WeightForm[];
  readonly selfTest?: SelfTest;
  readonly provenance: Provenance;
}
