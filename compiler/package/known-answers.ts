/**
 * Known answers that travel with a package: a few units of every kernel on generated values, and sampled outputs
 * of the whole model. Computed by executing `wasm-simd` while compiling.
 */
import { byteSize, isFloat } from "../../runtime/format/dtype.ts";
import { evaluateExtent } from "../../runtime/format/extent.ts";
import type { SelfTest } from "../../runtime/format/manifest.ts";
import { acceptableInput } from "../../runtime/format/port-value.ts";
import type { KernelProbe, KernelStep, Program } from "../../runtime/format/program.ts";
import { fillRandom } from "../../runtime/format/random.ts";
import { type Tensor, viewOf } from "../../runtime/format/tensor.ts";
import type { Plan } from "../plan/plan.ts";
import type { KernelRunner } from "./kernel-runner.ts";
import type { RoundingNoise } from "./rounding-noise.ts";

const samplesOfKernel = 6;
const fillLimit = 16 * 1024;
const probeTolerance = 2e-3;
/** Floating-point operations and bytes that one probe may cost. */
const probeWork = 200_000;
const modelSamples = 256;
const seed = 20_240;

/** The program with a probe for every kernel whose effect on generated values can be seen. */
export function withKernelProbes(program: Program, plan: Plan, runner: KernelRunner): Program {
  const upper = new Map(program.symbols.map((symbol) => [symbol.name, symbol.upper]));
  const kernels = program.kernels.map((kernel, index) => {
    const step = cheapestStep(program, index, upper);
    const probe = step === undefined ? undefined : probeOf(program, plan, runner, step, upper);
    return probe ? { ...kernel, probe } : kernel;
  });
  return { ...program, kernels };
}

type Bindings = ReadonlyMap<string, number>;

const costOf = (step: KernelStep, bindings: Bindings): number =>
  evaluateExtent(step.flops, bindings) + evaluateExtent(step.bytes, bindings);

function cheapestStep(program: Program, kernel: number, bindings: Bindings): number | undefined {
  let best: { readonly index: number; readonly cost: number } | undefined;
  for (const [index, step] of program.steps.entries()) {
    if (step.kind !== "kernel" || step.kernel !== kernel) continue;
    const cost = costOf(step, bindings);
    if (!best || cost < best.cost) best = { index, cost };
  }
  return best?.index;
}

function probeOf(
  program: Program,
  plan: Plan,
  runner: KernelRunner,
  index: number,
  bindings: Bindings,
): KernelProbe | undefined {
  const step = program.steps[index];
  const planned = plan.steps[index];
  if (step?.kind !== "kernel" || planned?.kind !== "kernel") return undefined;
  const range = evaluateExtent(step.range, bindings);
  if (range < 1) return undefined;
  const perUnit = Math.max(1, costOf(step, bindings) / range);
  const units = Math.max(1, Math.min(range, 64, Math.floor(probeWork / perUnit)));
  const arena = program.memory.arena;
  const regions = new Map<
    number,
    { readonly start: number; readonly bytes: number; readonly dtype: Tensor["dtype"]; readonly written: boolean }
  >();
  for (const access of step.accesses) {
    // What a thread leaves in its own scratch is nobody's answer.
    if (access.mode === "scratch") continue;
    const argument = planned.arguments[access.word];
    const start = evaluateExtent(access.start, bindings);
    if (argument?.kind !== "address" || start < arena.start) continue;
    const dtype = argument.buffer.dtype;
    const bytes = Math.min(evaluateExtent(access.bytes, bindings), fillLimit);
    const written = access.mode !== "read" || regions.get(start)?.written === true;
    regions.set(start, { start, bytes: bytes - (bytes % byteSize[dtype]), dtype, written });
  }
  const fills = [...regions.values()].map(({ start, bytes, dtype }, at) => ({ start, bytes, dtype, seed: seed + at }));
  const { buffer } = runner.memory;
  for (const { start, bytes, dtype, seed: from } of fills)
    fillRandom(dtype, viewOf(dtype, buffer, start, bytes / byteSize[dtype]), from);
  const before = fills.map(({ start, bytes }) => new Uint8Array(buffer.slice(start, start + bytes)));
  runner.runStep(index, units);
  const samples = [...regions.values()].flatMap(({ start, bytes, dtype, written }, at) =>
    written && dtype !== "float16" && dtype !== "bfloat16"
      ? changed(buffer, start, bytes, dtype, before[at] as Uint8Array)
      : [],
  );
  new Uint8Array(buffer, arena.start, arena.bytes).fill(0);
  const chosen = spread(samples, samplesOfKernel);
  return chosen.length === 0 ? undefined : { step: index, units, fills, samples: chosen, tolerance: probeTolerance };
}

/** Finite elements of a region that are no longer what they were. */
function changed(
  buffer: ArrayBuffer,
  start: number,
  bytes: number,
  dtype: Tensor["dtype"],
  before: Uint8Array,
): KernelProbe["samples"] {
  const size = byteSize[dtype];
  const now = viewOf(dtype, buffer, start, bytes / size);
  const then = viewOf(dtype, before.buffer, 0, bytes / size);
  const samples: KernelProbe["samples"][number][] = [];
  for (let i = 0; i < now.length; i++) {
    const value = Number(now[i]);
    if (now[i] !== then[i] && Number.isFinite(value) && Math.abs(value) < 1e30)
      samples.push({ address: start + i * size, dtype, value: rounded(value) });
  }
  return samples;
}

const rounded = (value: number): number => Number(value.toPrecision(7));

/** `count` items evenly from all of a list. */
function spread<T>(items: readonly T[], count: number): readonly T[] {
  if (items.length <= count) return items;
  return Array.from({ length: count }, (_, i) => items[Math.floor(((i + 0.5) * items.length) / count)] as T);
}

/** The seed and inputs of the whole-model test, which starts from states of zeros. */
export function modelTestInputs(program: Program): {
  readonly seed: number;
  readonly bindings: Record<string, number>;
  readonly inputs: Record<string, Tensor>;
} {
  const lengths = new Set(program.states?.map((state) => (state.kind === "growing" ? state.shape[state.axis] : "")));
  const bindings = Object.fromEntries(
    program.symbols.map(({ name, lower, upper }) => [
      name,
      lengths.has(name) ? lower : Math.min(upper, Math.max(lower, 1)),
    ]),
  );
  const values = new Map(Object.entries(bindings));
  const inputs = Object.fromEntries(
    program.inputs.map((port, index) => {
      const extents = port.shape.map((extent) => evaluateExtent(extent, values));
      return [port.name, acceptableInput(port, extents, seed + index)];
    }),
  );
  return { seed, bindings, inputs };
}

/** Of the largest value: what floats of different engines differ by. */
const floatNoise = 2e-3;
/** Roundings of another engine may move an output further than those tried here. */
const noiseMargin = 2;
/** Of a quantised model that could not be tried. */
const unknownNoise: RoundingNoise = { largest: 0.1, rootMeanSquare: 0.1 };
/** More would find no fault. */
const mostNoise = { largest: 0.5, rootMeanSquare: 0.3 } as const;

/**
 * Sampled outputs of a run on `modelTestInputs`. undefined when no output has a finite value to compare. `noise`: how far roundings move the outputs
 * (roundingNoise).
 */
export function modelTest(
  outputs: Readonly<Record<string, Tensor>>,
  bindings: Readonly<Record<string, number>>,
  noise: RoundingNoise = unknownNoise,
): SelfTest | undefined {
  const all = Object.entries(outputs).filter(([, { dtype }]) => dtype !== "float16" && dtype !== "bfloat16");
  const floats = all.filter(([, { dtype }]) => isFloat(dtype));
  const chosen = floats.length > 0 ? floats : all;
  const share = Math.max(1, Math.floor(modelSamples / Math.max(1, chosen.length)));
  const sampled = chosen.slice(0, modelSamples).flatMap(([name, { data }]) => {
    const finite = Array.from({ length: data.length }, (_, i) => i).filter((i) => Number.isFinite(Number(data[i])));
    const indices = spread(finite, share);
    return indices.length === 0
      ? []
      : [{ name, indices, values: indices.map((i) => Number(Number(data[i]).toPrecision(6))) }];
  });
  if (sampled.length === 0) return undefined;
  const within = (name: keyof RoundingNoise): number =>
    Number(Math.max(floatNoise, Math.min(mostNoise[name], noiseMargin * noise[name])).toPrecision(3));
  return {
    seed,
    bindings,
    outputs: sampled,
    absolute: within("largest"),
    relative: 1e-2,
    ...(noise.largest === 0 ? {} : { rootMeanSquare: within("rootMeanSquare") }),
  };
}
