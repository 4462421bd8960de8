/**
 * Every family and variant on the synthetic problems, as generated WebAssembly, one kernel at a time in a module of its
 * own. Runs in a Worker and in Node alike. Weights and inputs are seeded; what a kernel computes is the tests' business.
 */

import { type WasmTarget, wasmRelaxed, wasmSimd } from "../../compiler/assemble/target.ts";
import { generateModule } from "../../compiler/codegen/wasm/module.ts";
import type { Dim } from "../../compiler/graph/dimension.ts";
import type { BoundStep, Buffer, Family, Variant, View } from "../../compiler/kernels/contract.ts";
import type { ElementwiseCosts } from "../../compiler/kernels/cost-table.ts";
import { familyOf } from "../../compiler/kernels/families.ts";
import type { Problem } from "../../compiler/kernels/problem.ts";
import { storageOf } from "../../compiler/plan/select.ts";
import { broadcastView, denseBytes, denseView, haloBytes, haloView } from "../../compiler/plan/view.ts";
import { roundToFloat16, roundToInt8 } from "../../compiler/quantize/round.ts";
import { type RoundedWeights, roundWeights } from "../../compiler/quantize/round-weights.ts";
import { byteSize, type DType } from "../../runtime/format/dtype.ts";
import { evaluateExtent } from "../../runtime/format/extent.ts";
import { pageBytes, recordHeaderWords } from "../../runtime/format/program.ts";
import { fillRandom } from "../../runtime/format/random.ts";
import { type Tensor, zeros } from "../../runtime/format/tensor.ts";
import { load } from "../../runtime/index.ts";
import type { EnergyWorkload } from "../energy-profile.ts";
import { multiplyAddModule, readStream } from "../roof.ts";
import { measureElementwise } from "./elementwise-costs.ts";
import { type KernelCase, kernelCases } from "./kernel-cases.ts";
import { profileCases } from "./profile-cases.ts";

export interface KernelTime {
  readonly family: Problem["family"];
  readonly variant: string;
  readonly target: WasmTarget["name"];
  readonly label: string;
  /** How weights are stored, where the problem leaves it open. */
  readonly storage: string | undefined;
  readonly nanoseconds: number;
  /** Of the direct form. */
  readonly flops: number;
  readonly bytes: number;
  /** As the family counts it for the cost table. */
  readonly work: number;
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
  /** Nanoseconds of a run of a model that does nothing. */
  readonly runOverhead: number;
  /** Bytes per nanosecond of reading `footprint` bytes again and again. */
  readonly bandwidth: readonly { readonly footprint: number; readonly rate: number }[];
}

const alignment = 64;
const recordsAt = 64;
/** Time for one kernel: enough calls for its optimised code and a steady best. */
const warmUpMs = 30;
const measureMs = 60;
const leastSamples = 9;
const overheadSteps = 2000;

/** No problem here has symbols. */
const extent = (dim: Dim): number => evaluateExtent(dim, new Map());

function seeded<T extends DType>(dtype: T, shape: readonly number[], seed: number): Tensor<T> {
  const tensor = zeros(dtype, shape);
  fillRandom(dtype, tensor.data, seed);
  return tensor;
}

const bytesOf = ({ data }: Tensor): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

function rounded(tensor: Tensor<"float32">, { problem, scaleAxis }: KernelCase): RoundedWeights | undefined {
  const storage = "storage" in problem ? problem.storage : "float32";
  switch (storage) {
    case "float32":
      return undefined;
    case "float16":
      return roundToFloat16(tensor);
    case "int8":
      return roundToInt8(tensor, scaleAxis);
    case "int4":
    case "nf4": {
      const { size = 32, zeros = false } = ("blocks" in problem && problem.blocks) || {};
      // Only matrices and convolutions have blocks: their terms are the other one of the first two axes.
      const layout = { channelAxis: scaleAxis, contractionAxis: 1 - scaleAxis };
      return roundWeights(tensor, { kind: storage, blockSize: size, zeros }, layout);
    }
  }
}

interface Bound {
  readonly step: BoundStep;
  readonly contents: ReadonlyMap<Buffer, Uint8Array>;
}

/** Element type of an operand; integer products alone have others than float32. */
function operandType(problem: Problem, index: number): DType {
  if (problem.family === "pool") return problem.dtype;
  if (!("inputType" in problem)) return "float32";
  if (index === 0) return problem.inputType;
  return index === 1 ? "int8" : index === 2 ? "int32" : (problem.operandTypes[index - 3] ?? "float32");
}

/** Types and shapes of the outputs. */
function outputsOf({ problem, output }: KernelCase): readonly Pick<Tensor, "dtype" | "shape">[] {
  if (problem.family === "dynamic-quantize")
    return [
      { dtype: "uint8", shape: output },
      { dtype: "float32", shape: [] },
      { dtype: "uint8", shape: [] },
    ];
  if (problem.family === "pool") return [{ dtype: problem.dtype, shape: output }];
  return [{ dtype: "outputType" in problem ? problem.outputType : "float32", shape: output }];
}

function viewOf(family: Family<Problem>, item: KernelCase, index: number): View {
  const { problem } = item;
  const shape = item.operands[index] ?? [];
  const dtype = operandType(problem, index);
  const halo = family.halo?.(problem, index);
  const isBordered = halo !== undefined && halo.top + halo.left + halo.bottom + halo.right > 0;
  const bytes = isBordered ? haloBytes(dtype, shape, halo) : denseBytes(dtype, shape);
  const buffer: Buffer = { kind: "input", name: `operand ${index}`, dtype, bytes };
  const view = isBordered ? haloView(buffer, dtype, shape, halo) : denseView(buffer, dtype, shape);
  const isEpilogue = index >= 3 && "outputType" in problem;
  return isEpilogue ? broadcastView(view, item.output) : view;
}

function bind(family: Family<Problem>, variant: Variant, item: KernelCase): Bound {
  const { problem } = item;
  const contents = new Map<Buffer, Uint8Array>();
  const packedOperands = family.packedOperands(problem);
  const operands = item.operands.map((_, index) => {
    if (packedOperands.includes(index)) return undefined;
    const view = viewOf(family, item, index);
    const { dtype } = view;
    contents.set(view.buffer, bytesOf(seeded(dtype, [extent(view.buffer.bytes) / byteSize[dtype]], index + 1)));
    return view;
  });
  let packed: Buffer | undefined;
  if (family.pack !== undefined && packedOperands.length > 0) {
    const constants = packedOperands.map((index) => {
      const shape = item.operands[index] ?? [];
      const dtype = operandType(problem, index);
      if (dtype !== "float32") return { tensor: seeded(dtype, shape, index + 1), storage: undefined };
      const tensor = seeded(dtype, shape, index + 1);
      return (index === 1 ? rounded(tensor, item) : undefined) ?? { tensor, storage: undefined };
    });
    const { bytes } = family.pack(
      variant,
      problem,
      constants.map(({ tensor }) => tensor),
      constants.map(({ storage }) => storage),
    );
    packed = { kind: "weight", name: "packed", dtype: "uint8", bytes: bytes.length };
    contents.set(packed, bytes);
  }
  const scratchBytes = family.scratchBytes?.(variant, problem) ?? 0;
  const scratch: Buffer | undefined =
    scratchBytes === 0 ? undefined : { kind: "scratch", name: "scratch", dtype: "uint8", bytes: scratchBytes };
  const outputs = outputsOf(item).map(({ dtype, shape }, index) => {
    const buffer: Buffer = { kind: "output", name: `output ${index}`, dtype, bytes: denseBytes(dtype, shape) };
    return denseView(buffer, dtype, shape);
  });
  return { step: family.bind(variant, problem, operands, outputs, packed, scratch), contents };
}

type Walk = (first: number, begin: number, last: number, end: number) => void;

interface Loaded {
  readonly walk: Walk;
  readonly recordBytes: number;
}

/** Buffers one after another behind `records` copies of the step's record. Undefined where the target cannot run. */
function instantiate(
  { step, contents }: Bound,
  target: WasmTarget,
  records: number,
  range: number,
): Loaded | undefined {
  const recordBytes = 4 * (recordHeaderWords + step.arguments.length);
  const places = new Map<Buffer, number>();
  let end = recordsAt + records * recordBytes;
  for (const argument of step.arguments) {
    if (argument.kind !== "address" || places.has(argument.buffer)) continue;
    const start = Math.ceil(end / alignment) * alignment;
    places.set(argument.buffer, start);
    end = start + extent(argument.buffer.bytes);
  }
  const pages = Math.ceil((end + alignment) / pageBytes);
  const code = generateModule([step.kernel], target, pages) as Uint8Array<ArrayBuffer>;
  if (!WebAssembly.validate(code)) return undefined;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  const bytes = new Uint8Array(memory.buffer);
  for (const [buffer, content] of contents) bytes.set(content, places.get(buffer) ?? 0);
  const words = new DataView(memory.buffer);
  for (let record = 0; record < records; record++) {
    const start = recordsAt + record * recordBytes;
    words.setInt32(start + 4, range, true);
    words.setInt32(start + 8, recordBytes, true);
    step.arguments.forEach((argument, index) => {
      const at = start + 4 * (recordHeaderWords + index);
      if (argument.kind === "float") words.setFloat32(at, argument.value, true);
      else if (argument.kind === "integer") words.setInt32(at, extent(argument.value), true);
      else words.setInt32(at, (places.get(argument.buffer) ?? 0) + extent(argument.offset), true);
    });
  }
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(code), { env: { memory } });
  return { walk: exports.walk as Walk, recordBytes };
}

/** Nanoseconds of one call at its best, as the roof is the machine's best; short ones are timed many at a time. */
function time(call: () => void): number {
  const start = performance.now();
  let calls = 0;
  for (let elapsed = 0; elapsed < warmUpMs; elapsed = performance.now() - start) {
    call();
    calls++;
  }
  const estimate = (performance.now() - start) / calls;
  const inner = Math.max(1, Math.ceil(0.5 / estimate));
  const samples: number[] = [];
  const end = performance.now() + measureMs;
  while (samples.length < leastSamples || performance.now() < end) {
    const before = performance.now();
    for (let repeat = 0; repeat < inner; repeat++) call();
    samples.push((performance.now() - before) / inner);
  }
  return Math.min(...samples) * 1e6;
}

function measure(item: KernelCase, variant: Variant, target: WasmTarget): KernelTime | undefined {
  const family = familyOf(item.problem);
  const bound = bind(family, variant, item);
  const loaded = instantiate(bound, target, 1, extent(bound.step.range));
  if (loaded === undefined) return undefined;
  const { problem } = item;
  return {
    family: problem.family,
    variant: variant.name,
    target: target.name,
    label: item.label,
    storage: storageOf(problem),
    nanoseconds: time(() => loaded.walk(recordsAt, 0, recordsAt, -1)),
    flops: extent(bound.step.flops),
    bytes: extent(bound.step.bytes),
    work: family.work(variant, problem, extent),
  };
}

/** Runs a program of `overheadSteps` steps with nothing to do. */
function emptySteps(): () => void {
  const item = kernelCases.find(({ problem }) => problem.family === "reduce");
  const variant = item === undefined ? undefined : familyOf(item.problem).variants[0];
  if (item === undefined || variant === undefined) return () => undefined;
  const loaded = instantiate(bind(familyOf(item.problem), variant, item), wasmSimd, overheadSteps, 0) as Loaded;
  const last = recordsAt + (overheadSteps - 1) * loaded.recordBytes;
  return () => loaded.walk(recordsAt, 0, last, -1);
}

const measureStepOverhead = (): number => time(emptySteps()) / overheadSteps;

/** @param families names to measure; all when empty. About a tenth of a second per variant and problem. */
export function measureKernels(families: readonly string[]): KernelTimes {
  const chosen = kernelCases.filter(({ problem }) => families.length === 0 || families.includes(problem.family));
  return { kernels: measureCases(chosen, [wasmSimd, wasmRelaxed]), stepOverhead: measureStepOverhead() };
}

function measureCases(cases: readonly KernelCase[], targets: readonly WasmTarget[]): readonly KernelTime[] {
  return cases.flatMap((item) => {
    const family = familyOf(item.problem);
    const variants = family.variants.filter((variant) => family.accepts(variant, item.problem));
    return variants.flatMap((variant) =>
      targets.flatMap((target) => {
        const result = measure(item, variant, target);
        return result === undefined ? [] : [result];
      }),
    );
  });
}

const overheadRuns = 400;

async function measureRunOverhead(location: string): Promise<number> {
  const session = await load(location, { worker: false, cache: false });
  const inputs = { x: { data: Float32Array.of(1) } };
  const samples: number[] = [];
  for (let round = 0; round < leastSamples; round++) {
    const start = performance.now();
    for (let run = 0; run < overheadRuns; run++) await session.run(inputs);
    samples.push((performance.now() - start) / overheadRuns);
  }
  await session.dispose();
  return Math.min(...samples) * 1e6;
}

/** Bytes that are read in turn: from the second cache, the last one, and memory. */
const footprints = [96e3, 512e3, 2e6, 8e6, 32e6, 200e6] as const;

/**
 * The best module that this thread runs, on every case of `leafcutter profile`. Half a minute.
 * @param identity Address of the package of a model that does nothing to one float.
 */
export async function measureProfile(identity: string): Promise<ProfileTimes> {
  const isRelaxed = WebAssembly.validate(multiplyAddModule(wasmRelaxed));
  const target = isRelaxed ? wasmRelaxed : wasmSimd;
  const nest = (bound: Bound): number | undefined => {
    const loaded = instantiate(bound, target, 1, extent(bound.step.range));
    return loaded && time(() => loaded.walk(recordsAt, 0, recordsAt, -1));
  };
  return {
    target: target.name,
    kernels: measureCases(profileCases, [target]),
    stepOverhead: measureStepOverhead(),
    elementwise: measureElementwise(target, nest),
    runOverhead: await measureRunOverhead(identity),
    bandwidth: footprints.map((footprint) => ({ footprint, rate: footprint / time(readStream(footprint)) })),
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
    const bound = bind(family, variant, item);
    const loaded = instantiate(bound, wasmSimd, 1, extent(bound.step.range)) as Loaded;
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
