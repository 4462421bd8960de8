/**
 * What crosses between a session and its worker. Errors travel as diagnostics, because an error object loses what it
 * carries on the way.
 */
import type { TensorInput } from "../engine/input.ts";
import { type Diagnostic, LeafcutterError } from "../format/diagnostic.ts";
import type { PortDescription, StateDescription } from "../format/manifest.ts";
import type { Tensor } from "../format/tensor.ts";
import type { PackageFiles } from "../load/source.ts";
import type { LoadOptions, Progress, Stats, StatsOptions } from "./contract.ts";
import type { EarlyFiles } from "./early-files.ts";

export type Outcome<T> =
  | { readonly kind: "value"; readonly value: T }
  | { readonly kind: "failure"; readonly diagnostic: Diagnostic };

/** The options of a load that can be cloned. */
export interface HostOptions
  extends Pick<LoadOptions, "backend" | "integrity" | "maxMemory" | "cache" | "threads">,
    EarlyFiles {}

export interface LoadedPorts {
  readonly inputs: readonly PortDescription[];
  readonly outputs: readonly PortDescription[];
  readonly states: readonly StateDescription[];
}

/** The worker's side. A host loads one model in its life. */
export interface HostApi {
  /** Holds the lifeline of this name as long as the worker lives; resolves when it does. */
  hold(name: string): Promise<Outcome<boolean>>;
  load(
    location: string | PackageFiles,
    options: HostOptions,
    onProgress: (progress: Progress) => void,
  ): Promise<Outcome<LoadedPorts>>;
  abortLoad(): void;
  /** `inputs` belong to the host; `id` is the caller's, for `abort`. */
  run(id: number, inputs: Readonly<Record<string, TensorInput>>): Promise<Outcome<Readonly<Record<string, Tensor>>>>;
  abort(id: number): void;
  /** `values` belong to the host. */
  reset(values: Readonly<Record<string, TensorInput>>): Promise<Outcome<undefined>>;
  rewind(rows: number): Promise<Outcome<void>>;
  state(name: string): Promise<Outcome<Tensor>>;
  stats(options: StatsOptions): Promise<Outcome<Stats>>;
  dispose(): Promise<Outcome<undefined>>;
}

/** What went wrong, as data. */
export function diagnosticOf(error: unknown): Diagnostic {
  if (error instanceof LeafcutterError) return error.diagnostic;
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return { code: "internal", message: "an error that Leafcutter did not expect", received: message };
}
