/** What a page posts to the compiler's worker (compiler/worker.ts), and what it answers. */
import type { Diagnostic } from "./diagnostic.ts";

/** Where the model's bytes come from. */
export type ModelLocation =
  | { readonly kind: "url"; readonly url: string }
  /** The model and the files of external data beside it, by path. */
  | { readonly kind: "files"; readonly files: ReadonlyMap<string, Blob>; readonly path: string };

export interface CompileOrder {
  readonly model: ModelLocation;
  /** Dimensions by name: a number or a range. */
  readonly dims: Readonly<Record<string, number | { readonly lower: number; readonly upper: number }>>;
  readonly maxSize?: number;
  readonly webgpu: boolean;
}

export type CompileAnswer =
  | { readonly kind: "package"; readonly files: Readonly<Record<string, Uint8Array>> }
  | { readonly kind: "failure"; readonly diagnostic: Diagnostic };
