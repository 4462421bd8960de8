/** The dedicated Worker of `leafcutter features`. */
import { expose } from "comlink";
import { type Feature, measureFeatures } from "../measure/features.ts";

export interface FeaturesWorker {
  measureFeatures(module: string | undefined): Promise<readonly Feature[]>;
}

const worker: FeaturesWorker = { measureFeatures };
expose(worker);
