/**
 * How near a model that is bound by its weights (a language model's step of one token) comes to just reading them: its
 * runs and reads of as many bytes by 128-bit loads, in turns.
 */
import type { Stats } from "../../runtime/index.ts";
import { readStream } from "../roof.ts";
import { median } from "./statistics.ts";

export interface WeightStream {
  readonly bytes: number;
  /** Medians. */
  readonly runMs: number;
  readonly readMs: number;
}

/** Weights that stay in a cache say nothing about memory. */
const leastBytes = 32e6;
/** Matrix-vector products do half an operation for every byte of float32 weights. */
const mostOperationsPerByte = 1;
const rounds = 21;

/** Whether the time of `stats`' model is that of reading its weights. */
export function isBoundByWeights({ weightBytes, steps = [] }: Stats): boolean {
  const flops = steps.reduce((sum, step) => sum + step.flops, 0);
  return weightBytes >= leastBytes && flops <= mostOperationsPerByte * weightBytes;
}

export async function measureWeightStream(run: () => Promise<unknown>, bytes: number): Promise<WeightStream> {
  const read = readStream(bytes);
  const runs: number[] = [];
  const reads: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const start = performance.now();
    await run();
    const between = performance.now();
    read();
    runs.push(between - start);
    reads.push(performance.now() - between);
  }
  return { bytes, runMs: median(runs), readMs: median(reads) };
}
