/**
 * `leafcutter profile`: a device profile measured on the spot, on synthetic shapes. Rates of every kernel by the amount of
 * work, elementwise operations one by one, bandwidth by footprint; energy from counters where they can be read.
 */
import type { CostTable, Rate } from "../compiler/kernels/cost-table.ts";
import type { KernelTime, ProfileTimes } from "./measure/kernel-bench.ts";
import { geometricMean } from "./measure/statistics.ts";

/** Problems whose work is within this factor share a point. */
const samePoint = 1.5;

const rounded = (value: number): number => Number(value.toPrecision(3));

function rateOf(times: readonly KernelTime[], stepOverhead: number): Rate {
  const points: { work: number[]; rate: number[] }[] = [];
  for (const { work, nanoseconds } of times.toSorted((left, right) => left.work - right.work)) {
    const rate = work / Math.max(1, nanoseconds - stepOverhead);
    const last = points.at(-1);
    if (last && work < samePoint * (last.work[0] as number)) {
      last.work.push(work);
      last.rate.push(rate);
    } else points.push({ work: [work], rate: [rate] });
  }
  const mean = (values: readonly number[]): number => rounded(geometricMean(values) ?? 0);
  const merged = points.map(({ work, rate }) => ({ work: mean(work), rate: mean(rate) }));
  return merged.length === 1 ? (merged[0]?.rate ?? 0) : merged;
}

/** `host` says where it was measured. */
export function costTableOf(times: ProfileTimes, host: string): CostTable {
  const groups = new Map<string, KernelTime[]>();
  for (const kernel of times.kernels) {
    const { family, variant, storage } = kernel;
    const key = `${family}/${variant}${storage === undefined || storage === "float32" ? "" : ` ${storage}`}`;
    groups.set(key, [...(groups.get(key) ?? []), kernel]);
  }
  const { vector, scalar, copy, operations } = times.elementwise;
  return {
    host,
    rates: Object.fromEntries([...groups].map(([key, group]) => [key, rateOf(group, times.stepOverhead)])),
    stepOverhead: rounded(times.stepOverhead),
    bandwidth: times.bandwidth.map(({ footprint, rate }) => ({ footprint, rate: rounded(rate) })),
    elementwise: {
      vector: rounded(vector),
      scalar: rounded(scalar),
      copy: rounded(copy),
      operations: Object.fromEntries(Object.entries(operations).map(([name, cost]) => [name, rounded(cost)])),
    },
  };
}
