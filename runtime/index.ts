/** Leafcutter's runtime: runs the packages that the compiler makes, in a browser and in Node. */

export type { StepTime } from "./engine/engine.ts";
export type { TensorInput } from "./engine/input.ts";
export type { Backend } from "./engine/variants.ts";
export { type Diagnostic, type DiagnosticCode, LeafcutterError } from "./format/diagnostic.ts";
export type { DType } from "./format/dtype.ts";
export type { Extent, SymbolBound } from "./format/extent.ts";
export type { PortDescription, StateDescription, VariantName } from "./format/manifest.ts";
export type { Tensor, TensorArray } from "./format/tensor.ts";
export type { PackageFiles } from "./load/source.ts";
export { prepare } from "./prepare.ts";
export { load } from "./session.ts";
export type {
  LoadOptions,
  LocalSession,
  Progress,
  RunOptions,
  Session,
  Stats,
  StatsOptions,
  SyncRunOptions,
} from "./worker/contract.ts";
export type { PreparedModel, PrepareOptions } from "./worker/prepared.ts";
