/** The dedicated Worker of `bench kernels` and `profile`. */
import { expose } from "comlink";
import { type KernelTimes, measureKernels, measureProfile, type ProfileTimes } from "../measure/kernel-bench.ts";
import { type MatvecTime, measureMatvec } from "../measure/matvec.ts";

export interface KernelsWorker {
  measureKernels(families: readonly string[]): Promise<KernelTimes>;
  measureMatvec(): Promise<readonly MatvecTime[]>;
  measureProfile(models: string): Promise<ProfileTimes>;
}

const worker: KernelsWorker = {
  measureKernels: async (families) => measureKernels(families),
  measureMatvec: async () => measureMatvec(),
  measureProfile,
};
expose(worker);
