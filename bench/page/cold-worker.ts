/** What a peer's worker offers its page. */
import { transfer } from "comlink";
import type { Tensors } from "../tensor-bundle.ts";

export interface ColdWorker {
  /** Resolves when the engine could take a model. */
  ready(): Promise<void>;
  open(location: string, inputs: string): Promise<void>;
  run(inputs: Tensors): Promise<Tensors>;
}

/** Outputs travel without a copy. */
export function handOver(outputs: Tensors): Tensors {
  const buffers = new Set(Object.values(outputs).map(({ data }) => data.buffer as ArrayBuffer));
  return transfer(outputs, [...buffers]);
}
