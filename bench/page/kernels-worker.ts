/** The dedicated Worker of `bench kernels`. */
import { expose } from "comlink";
import { type KernelTimes, measureKernels } from "../measure/kernel-bench.ts";

export interface KernelsWorker {
  measureKernels(families: readonly string[]): Promise<KernelTimes>;
}

const worker: KernelsWorker = { measureKernels: async (families) => measureKernels(families) };
expose(worker);
