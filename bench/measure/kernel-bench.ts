/**
 * Every family and variant on the synthetic problems, as generated WebAssembly, one kernel at a time in a module of its
 * own. Runs in a Worker and in Node alike. Weights and inputs are seeded; what a kernel computes is the tests' business.
 */

import { type WasmTarget, wasmRelaxed, wasmSimd } from "../../compiler/assemble/target.ts";
import type { Variant } from "../../compiler/kernels/contract.ts";
import type { Counts, ElementwiseCosts, EpilogueCosts, RunCosts } from "../../compiler/kernels/cost-table.ts";
import { familyOf } from "../../compiler/kernels/families.ts";
import type { Problem } from "../../compiler/kernels/problem.ts";
import { storageOf } from "../../compiler/plan/select.ts";
import { countsOf } from "../../compiler/plan/step-time.ts";
import type { EnergyWorkload } from "../energy-profile.ts";
import { multiplyAddModule, readStream } from "../roof.ts";
import { type BoundCase, bindCase, extent, instantiate, type LoadedCase, recordsAt } from "./bound-case.ts";
import { measureElementwise, measureEpilogues } from "./elementwise-costs.ts";
import { type KernelCase, kernelCases } from "./kernel-cases.ts";
import { profileCases } from "./profile-cases.ts";
import { measureRuns } from "./run-costs.ts";
import { type Effort, timeCall } from "./time-call.ts";

export interface KernelTime {
  readonly family: Problem["family"];
  readonly variant: string;
  readonly target: WasmTarget["name"];
  readonly label: string;
  /** How weights are stored, where the problem leaves it open. */
  readonly storage: string | undefined;
  /** At its best. */
  readonly nanoseconds: number;
  /** The median. */
  readonly ordinary: number;
  /** Of the direct form. */
  readonly flops: number;
  readonly bytes: number;
  /** As the family counts it for the cost table. */
  readonly counts: Counts;
  readonly problem: Problem;
  /** Elements of the result. */
  readonly outputs: number;
}

export interface KernelTimes {
  readonly kernels: readonly KernelTime[];
  /** Nanoseconds of entering one step of a program. */
  readonly stepOverhead: number;
}

/** What a device profile needs to know of one module's speed. */
export interface ProfileTimes extends KernelTimes {
  readonly target: WasmTarget["name"];
  readonly elementwise: ElementwiseCosts;
  readonly epilogue: EpilogueCosts;
  readonly run: RunCosts;
  /** Bytes per nanosecond of reading `footprint` bytes again and again. */
  readonly bandwidth: readonly { readonly footprint: number; readonly rate: number }[];
}

/** The best of a kernel, as the roof is the machine's best. */
const best: Effort = { warmUpMs: 30, measureMs: 60, leastSamples: 9 };
/** The best again, of many kernels in a minute. */
const quick: Effort = { warmUpMs: 16, measureMs: 14, leastSamples: 5 };
const overheadSteps = 2000;

function measure(item: KernelCase, variant: Variant, target: WasmTarget, effort: Effort): KernelTime | undefined {
  const family = familyOf(item.problem);
  const bound = bindCase(family, variant, item);
  const loaded = instantiate(bound, target, 1, extent(bound.step.range));
  if (loaded === undefined) return undefined;
  const { problem } = item;
  return {
    family: problem.family,
    variant: variant.name,
    target: target.name,
    label: item.label,
    storage: storageOf(problem),
    ...timeCall(() => loaded.walk(recordsAt, 0, recordsAt, -1), effort),
    flops: extent(bound.step.flops),
    bytes: extent(bound.step.bytes),
    counts: countsOf(family, variant, problem, extent),
    problem,
    outputs: item.output.reduce((product, extent) => product * extent, 1),
  };
}

/** Runs a program of `overheadSteps` steps with nothing to do. */
function emptySteps(): () => void {
  const item = kernelCases.find(({ problem }) => problem.family === "reduce");
  const variant = item === undefined ? undefined : familyOf(item.problem).variants[0];
  if (item === undefined || variant === undefined) return () => undefined;
  const loaded = instantiate(bindCase(familyOf(item.problem), variant, item), wasmSimd, overheadSteps, 0) as LoadedCase;
  const last = recordsAt + (overheadSteps - 1) * loaded.recordBytes;
  return () => loaded.walk(recordsAt, 0, last, -1);
}

const measureStepOverhead = (): number => timeCall(emptySteps(), best).nanoseconds / overheadSteps;

/** @param families names to measure; all when empty. About a tenth of a second per variant and problem. */
export function measureKernels(families: readonly string[]): KernelTimes {
  const chosen = kernelCases.filter(({ problem }) => families.length === 0 || families.includes(problem.family));
  return { kernels: measureCases(chosen, [wasmSimd, wasmRelaxed], best), stepOverhead: measureStepOverhead() };
}

function measureCases(
  cases: readonly KernelCase[],
  targets: readonly WasmTarget[],
  effort: Effort,
): readonly KernelTime[] {
  return cases.flatMap((item) => {
    const family = familyOf(item.problem);
    const variants = family.variants.filter((variant) => family.accepts(variant, item.problem));
    return variants.flatMap((variant) =>
      targets.flatMap((target) => {
        const result = measure(item, variant, target, effort);
        return result === undefined ? [] : [result];
      }),
    );
  });
}

/** Bytes that are read in turn: from the first cache, the second, the last one, and memory. */
const footprints = [16e3, 96e3, 256e3, 512e3, 1e6, 2e6, 4e6, 8e6, 16e6, 32e6, 200e6] as const;

/**
 * The best module that this thread runs, on every case of `leafcutter profile`. Half a minute.
 * @param models Address of the folder of the synthetic models' packages.
 */
export async function measureProfile(models: string): Promise<ProfileTimes> {
  const isRelaxed = WebAssembly.validate(multiplyAddModule(wasmRelaxed));
  const target = isRelaxed ? wasmRelaxed : wasmSimd;
  const nest = (bound: BoundCase): number | undefined => {
    const loaded = instantiate(bound, target, 1, extent(bound.step.range));
    return loaded && timeCall(() => loaded.walk(recordsAt, 0, recordsAt, -1), quick).nanoseconds;
  };
  const product = (item: KernelCase): number => {
    const family = familyOf(item.problem);
    return nest(bindCase(family, family.variants[0] as Variant, item)) ?? 0;
  };
  return {
    target: target.name,
    kernels: measureCases(profileCases, [target], quick),
    stepOverhead: measureStepOverhead(),
    elementwise: measureElementwise(target, nest),
    epilogue: measureEpilogues(product),
    run: await measureRuns((name) => `${models}${name}/`),
    bandwidth: footprints.map((footprint) => ({
      footprint,
      rate: footprint / timeCall(readStream(footprint), best).nanoseconds,
    })),
  };
}

const idle = new Int32Array(new SharedArrayBuffer(4));
const idleMs = 50;
/** Bytes that are read again and again from each level of energy-profile.ts. */
const energyFootprints = [256e3, 4e6, 64e6] as const;

/** Workloads that differ in what costs energy: nothing, products of floats and of bytes, elementwise work, reads, steps. */
export function energyWorkloads(): readonly EnergyWorkload[] {
  const nothing = { float32: 0, int8: 0, other: 0, bytes: energyFootprints.map(() => 0), launches: 0 } as const;
  const walkOf = (item: KernelCase): { call(): void; bytes: number; operations: number } => {
    const family = familyOf(item.problem);
    const variant = family.variants.find((candidate) => family.accepts(candidate, item.problem)) as Variant;
    const bound = bindCase(family, variant, item);
    const loaded = instantiate(bound, wasmSimd, 1, extent(bound.step.range)) as LoadedCase;
    return {
      call: () => loaded.walk(recordsAt, 0, recordsAt, -1),
      bytes: extent(bound.step.bytes),
      operations: extent(bound.step.flops) / 2,
    };
  };
  const products = (["conv", "conv-i8"] as const).flatMap((name) =>
    kernelCases
      .filter(({ problem }) => problem.family === name)
      .map((item): EnergyWorkload => {
        const { call, bytes, operations } = walkOf(item);
        const counts = name === "conv" ? { float32: operations } : { int8: operations };
        const level = energyFootprints.findIndex((footprint) => bytes <= 2 * footprint);
        return {
          ...nothing,
          ...counts,
          bytes: energyFootprints.map((_, i) => (i === level ? bytes : 0)),
          launches: 1,
          call,
        };
      }),
  );
  const reads = energyFootprints.map((footprint, level): EnergyWorkload => {
    const call = readStream(footprint);
    return { ...nothing, bytes: energyFootprints.map((_, i) => (i === level ? footprint : 0)), call };
  });
  const norm = kernelCases.filter(({ problem }) => problem.family === "norm").map(walkOf);
  return [
    { ...nothing, call: () => void Atomics.wait(idle, 0, 0, idleMs) },
    ...products,
    ...reads,
    ...norm.map(({ call, bytes, operations }) => ({
      ...nothing,
      other: 2 * operations,
      bytes: [bytes, 0, 0],
      launches: 1,
      call,
    })),
    { ...nothing, launches: overheadSteps, call: emptySteps() },
  ];
}
