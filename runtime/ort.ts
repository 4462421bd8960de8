/**
 * The entry "leafcutter/ort": the shape of onnxruntime-web, so that a page written for it changes one import.
 * What has no effect here, and what is refused, is listed in ort-options.ts and ort-tensor.ts.
 */

import type { SessionOptions as Options, RunOptions as Run } from "./ort-options.ts";
import type {
  FetchesType as Fetches,
  TensorMetadata as Metadata,
  InferenceSession as OrtSession,
  TensorMap,
} from "./ort-session.ts";
import { InferenceSession as SessionClass } from "./ort-session.ts";
import type { DataTypeMap as Arrays, Tensor as OrtTensor, TensorType } from "./ort-tensor.ts";
import { Tensor as TensorClass } from "./ort-tensor.ts";

export type { LeafcutterExtra } from "./ort-options.ts";
export type { TensorConstructor, TypedTensor } from "./ort-tensor.ts";

export type Tensor = OrtTensor;
export const Tensor = TensorClass;
export declare namespace Tensor {
  type Type = TensorType;
  type DataTypeMap = Arrays;
  type DataType = Arrays[TensorType];
  type DataLocation = "none" | "cpu";
}

export type InferenceSession = OrtSession;
export const InferenceSession: Pick<typeof SessionClass, "create"> = SessionClass;
export declare namespace InferenceSession {
  type SessionOptions = Options;
  type RunOptions = Run;
  type FeedsType = TensorMap;
  type OnnxValueMapType = TensorMap;
  type ReturnType = TensorMap;
  type FetchesType = Fetches;
  type ValueMetadata = Metadata;
}

export interface Env {
  logLevel?: "verbose" | "info" | "warning" | "error" | "fatal";
  debug?: boolean;
  trace?: boolean;
  readonly versions: { readonly common: string; readonly web?: string };
  readonly wasm: {
    numThreads?: number;
    simd?: boolean | "fixed" | "relaxed";
    trace?: boolean;
    initTimeout?: number;
    wasmPaths?: string | { wasm?: URL | string; mjs?: URL | string };
    wasmBinary?: ArrayBufferLike | Uint8Array;
    proxy?: boolean;
  };
  readonly webgl: Record<string, unknown>;
  readonly webgpu: { profiling: { mode?: "off" | "default" }; [name: string]: unknown };
  [name: string]: unknown;
}

/** Accepted whole and without effect: Leafcutter has its own worker, its own files, and chooses by probing the host. */
export const env: Env = { versions: { common: "leafcutter" }, wasm: {}, webgl: {}, webgpu: { profiling: {} } };
