/** The dedicated Worker of `bench kernels` and `profile`. */
import { expose } from "comlink";
import { type KernelTimes, measureKernels, measureProfile, type ProfileTimes } from "../measure/kernel-bench.ts";

export interface KernelsWorker {
  measureKernels(families: readonly string[]): Promise<KernelTimes>;
  measureProfile(identity: string): Promise<ProfileTimes>;
}

const worker: KernelsWorker = { measureKernels: async (families) => measureKernels(families), measureProfile };
expose(worker);
