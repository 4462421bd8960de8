/**
 * `leafcutter bench quality cifar agreement`: what quantisation does to networks that see pictures. Measures: `cifar` (accuracy of the CIFAR-10
 * network), `agreement` (int8 against float on resized images).
 */
import { writeFile } from "node:fs/promises";
import { measureAgreement } from "./quality/agreement.ts";
import { measureCifar } from "./quality/cifar.ts";

export const imageMeasures = ["cifar", "agreement"] as const;

export interface ImageQualityOptions {
  readonly measures: readonly string[];
  /** The folder with data, models and demo-models. */
  readonly data: string;
  /** Score every n-th image only. */
  readonly each?: number;
  /** Images of `agreement`. */
  readonly images?: number;
  /** Models of `agreement`; all by default. */
  readonly models?: readonly string[];
  readonly json?: string;
  readonly print: (line: string) => void;
}

export async function runImageQuality(options: ImageQualityOptions): Promise<void> {
  const { measures, data, print } = options;
  const results: Record<string, unknown> = {};
  if (measures.includes("cifar")) results.cifar = await measureCifar(data, options.each ?? 1, print);
  if (measures.includes("agreement"))
    results.agreement = await measureAgreement(data, { models: options.models, images: options.images ?? 200 }, print);
  if (options.json !== undefined) await writeFile(options.json, JSON.stringify(results, undefined, 2));
}
