/** What the bench measures: one engine with one model and one set of inputs ready, called in the thread that made it. */
import type { Tensors } from "../tensor-bundle.ts";

export type EngineName = "leafcutter" | "onnxruntime-web" | "tfjs";

export interface OpenEngine {
  readonly engine: EngineName;
  /** Which of its own variants runs, as the engine calls it. */
  readonly variant: string;
  /** How many threads it was asked to run on. */
  readonly threads: number;
  /** One inference with the inputs given at opening, outputs readable when it resolves. */
  run(): Promise<unknown>;
  /** The outputs of one more inference. */
  outputs(): Promise<Tensors>;
  dispose(): Promise<void>;
}
