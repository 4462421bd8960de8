/**
 * The WebAssembly engine: one memory of exactly the planned size, one instance of the package's module, and the table
 * of step records that its `walk` runs, alone or with a team of threads. Creation is synchronous; the program must
 * have been validated.
 * Throws LeafcutterError: memory-exceeded when the memory cannot be had, package-invalid for a module that does not
 * have the format's imports and exports.
 */
import { LeafcutterError } from "../format/diagnostic.ts";
import { byteSize } from "../format/dtype.ts";
import { evaluateExtent } from "../format/extent.ts";
import type { ThreadedVariantName, WasmVariantName } from "../format/manifest.ts";
import { type KernelStep, type Port, type Program, type ProgramStep, undivided } from "../format/program.ts";
import { allocate, elementCount, type Tensor, type TensorArray, viewOf } from "../format/tensor.ts";
import { type Block, ControlFlow } from "./control-flow.ts";
import type { Engine, KernelFailure, RunControl, RunResult, StepTime, ThreadStatus } from "./engine.ts";
import { type Extensions, extension, loadExtensions } from "./extensions.ts";
import { HelperLost } from "./helper-lost.ts";
import type { BoundHostStep } from "./host-step.ts";
import { bindInputs, type TensorInput } from "./input.ts";
import { runKernelProbe } from "./kernel-probe.ts";
import { Records } from "./records.ts";
import { type Position, Slices, sliceMilliseconds } from "./slices.ts";
import type { States } from "./states.ts";
import type { ThreadTeam } from "./thread-team.ts";
import { nextTurn } from "./turn.ts";
import { unknownState } from "./unknown-state.ts";
import { compileModule, createMemory, instantiateKernels, type Walk } from "./wasm-module.ts";

export interface WasmEngineOptions {
  readonly program: Program;
  readonly module: WebAssembly.Module | Uint8Array;
  /** What the module was built for; default "wasm-simd". */
  readonly variant?: WasmVariantName | ThreadedVariantName;
  /** `loadExtensions(program)`; none when the program has neither host steps nor states. */
  readonly extensions?: Extensions;
  /** A memory of the same program that already holds the weights; default a new one. */
  readonly memory?: WebAssembly.Memory;
  /** Helpers over the same module and memory, which is then shared. The engine ends them with itself. */
  readonly team?: ThreadTeam;
}

/** Arrays that outputs are written into, by name. */
type Targets = Readonly<Record<string, TensorArray>>;

export interface SyncRunControl {
  readonly profile?: boolean;
  readonly into?: Targets;
}

/** Kernel steps [first, end) without another step between them, then perhaps a host step. */
interface Stretch {
  readonly first: number;
  readonly end: number;
  readonly host: { readonly bound: BoundHostStep; readonly index: number } | undefined;
}

export function createWasmEngine(options: WasmEngineOptions): WasmEngine {
  return new WasmEngine(options);
}

/** Imports what the program needs, then creates the engine. */
export async function openWasmEngine(options: Omit<WasmEngineOptions, "extensions">): Promise<WasmEngine> {
  return new WasmEngine({ ...options, extensions: await loadExtensions(options.program) });
}

/** One for each block of control flow. */
function stretches(
  blocks: readonly Block<ProgramStep>[],
  steps: readonly ProgramStep[],
  { bindHostStep }: Extensions,
): readonly Stretch[] {
  let kernelSteps = 0;
  const before = steps.map(({ kind }) => (kind === "kernel" ? kernelSteps++ : kernelSteps));
  return blocks.map(({ first, end, last }): Stretch => {
    const straight = { first: before[first] ?? kernelSteps, end: before[end] ?? kernelSteps };
    if (last?.kind !== "host") return { ...straight, host: undefined };
    return { ...straight, host: { bound: extension(bindHostStep, "host steps")(last), index: end } };
  });
}

const aborted = (): LeafcutterError => new LeafcutterError({ code: "aborted", message: "the run was aborted" });

export class WasmEngine implements Engine {
  readonly variant: WasmVariantName | ThreadedVariantName;
  readonly program: Program;
  readonly memory: WebAssembly.Memory;
  readonly #walk: Walk;
  readonly #kernelSteps: readonly KernelStep[];
  /** Where each kernel step stands among all steps. */
  readonly #programIndices: readonly number[];
  readonly #flow: ControlFlow;
  /** By block of the control flow. */
  readonly #stretches: readonly Stretch[];
  readonly #records: Records;
  readonly #slices: Slices;
  /** undefined when the program has none. */
  readonly #states: States | undefined;
  readonly #team: ThreadTeam | undefined;
  /** Before each kernel step, how many of them a team divides. */
  readonly #dividedBefore: Uint32Array;
  #bindings: ReadonlyMap<string, number> | undefined;
  #disposed = false;

  constructor({ program, module, variant = "wasm-simd", extensions = {}, memory, team }: WasmEngineOptions) {
    this.variant = variant;
    this.program = program;
    this.memory = memory ?? createMemory(program.memory.pages);
    const { walk, table } = instantiateKernels(compileModule(module), this.memory, program, variant);
    this.#walk = walk;
    this.#team = team;
    team?.link(table);
    this.#kernelSteps = program.steps.filter((step) => step.kind === "kernel");
    this.#programIndices = program.steps.flatMap((step, index) => (step.kind === "kernel" ? [index] : []));
    this.#flow = new ControlFlow(program.steps, this.memory, ({ kind }) => kind === "kernel");
    this.#stretches = stretches(this.#flow.blocks, program.steps, extensions);
    this.#records = new Records(this.memory, program.memory, this.#kernelSteps);
    this.#slices = new Slices(this.#kernelSteps);
    if (program.states !== undefined) this.#states = new (extension(extensions.states, "states"))(this.memory, program);
    this.#dividedBefore = new Uint32Array(this.#kernelSteps.length + 1);
  }

  get threads(): ThreadStatus | undefined {
    if (this.#team === undefined) return undefined;
    const { ended, isReady, threads } = this.#team;
    return { count: isReady ? threads : 1, ...(ended === undefined ? {} : { why: ended }) };
  }

  get weights(): Uint8Array {
    const { start, bytes } = this.program.memory.weights;
    return new Uint8Array(this.memory.buffer, start, bytes);
  }

  /** Copies `bytes` to `offset` of the weight region. Throws RangeError beyond its end. */
  writeWeights(offset: number, bytes: Uint8Array): void {
    this.weights.set(bytes, offset);
  }

  async run(inputs: Readonly<Record<string, TensorInput>>, control: RunControl = {}): Promise<RunResult> {
    try {
      return await this.#run(inputs, control);
    } catch (error) {
      if (!(error instanceof HelperLost)) throw error;
      return this.#run(inputs, control);
    }
  }

  async #run(inputs: Readonly<Record<string, TensorInput>>, control: RunControl): Promise<RunResult> {
    const { signal, profile = false } = control;
    if (signal?.aborted) throw aborted();
    const times = profile ? new Float64Array(this.program.steps.length) : undefined;
    this.#begin(inputs);
    let turn = performance.now();
    let entered = false;
    const yields = async (): Promise<void> => {
      if (entered) await nextTurn();
      if (signal?.aborted) throw aborted();
      entered = true;
      turn = performance.now();
    };
    let due = true;
    for (let at = 0; at < this.#stretches.length; ) {
      const stretch = this.#stretches[at] as Stretch;
      let position: Position = { step: stretch.first, iteration: 0 };
      while (position.step < stretch.end) {
        if (due) await yields();
        position = this.#slice(position, stretch, times);
        due = true;
      }
      if (stretch.host !== undefined) {
        await yields();
        this.#host(stretch.host, times);
        due = true;
      }
      at = this.#flow.next(at, this.#bindings ?? new Map());
      if (stretch.host !== undefined || at === this.#stretches.length) continue;
      // What a jump leads to goes on in the same slice.
      due = false;
      if (performance.now() - turn > sliceMilliseconds) await yields();
    }
    return this.#end(times);
  }

  /** The whole run without a yield; for callers that own their thread. */
  runSync(inputs: Readonly<Record<string, TensorInput>>, control: SyncRunControl = {}): RunResult {
    try {
      return this.#runSync(inputs, control);
    } catch (error) {
      if (!(error instanceof HelperLost)) throw error;
      return this.#runSync(inputs, control);
    }
  }

  #runSync(inputs: Readonly<Record<string, TensorInput>>, control: SyncRunControl): RunResult {
    const times = control.profile === true ? new Float64Array(this.program.steps.length) : undefined;
    this.#begin(inputs);
    if (control.into !== undefined) this.#checkTargets(control.into);
    for (let at = 0; at < this.#stretches.length; at = this.#flow.next(at, this.#bindings ?? new Map())) {
      const stretch = this.#stretches[at] as Stretch;
      let position: Position = { step: stretch.first, iteration: 0 };
      while (position.step < stretch.end) {
        if (times === undefined) position = this.#enter(position, { step: stretch.end, iteration: 0 });
        else position = this.#slice(position, stretch, times);
      }
      if (stretch.host !== undefined) this.#host(stretch.host, times);
    }
    return this.#end(times, control.into);
  }

  async probeKernels(): Promise<readonly KernelFailure[]> {
    await this.#team?.settled;
    const upper = this.#upperBounds();
    const failures: KernelFailure[] = [];
    for (const { name, probe } of this.program.kernels) {
      if (probe === undefined) continue;
      const failure = runKernelProbe(this.memory, this.program, probe, upper, () => {
        this.runStep(probe.step, probe.units);
      });
      if (failure !== undefined) failures.push({ kernel: name, ...failure });
    }
    return failures;
  }

  /** Runs iterations 0..units of one kernel step (an index into program.steps); default every symbol at its upper bound, as in known answers. */
  runStep(step: number, units: number, bindings: ReadonlyMap<string, number> = this.#upperBounds()): void {
    const index = this.#programIndices.indexOf(step);
    if (index < 0) return;
    this.#bind(bindings);
    const enter = (): void => this.#walkRecords(index, 0, index, units);
    try {
      enter();
    } catch (error) {
      if (!(error instanceof HelperLost)) throw error;
      enter();
    }
  }

  async reset(values?: Readonly<Record<string, TensorInput>>): Promise<void> {
    this.resetSync(values);
  }

  resetSync(values: Readonly<Record<string, TensorInput>> = {}): void {
    const [name] = Object.keys(values);
    if (this.#states !== undefined) this.#states.reset(values);
    else if (name !== undefined) throw unknownState(name);
  }

  rewind(rows: number): void {
    if (this.#states === undefined) throw unknownState("rewind");
    this.#states.rewind(rows);
  }

  async state(name: string): Promise<Tensor> {
    if (this.#states === undefined) throw unknownState(name);
    return this.#states.read(name);
  }

  #upperBounds(): ReadonlyMap<string, number> {
    return new Map(this.program.symbols.map((symbol) => [symbol.name, symbol.upper]));
  }

  dispose(): void {
    this.#disposed = true;
    this.#team?.end("the engine is disposed");
  }

  #begin(inputs: Readonly<Record<string, TensorInput>>): void {
    if (this.#disposed) throw new LeafcutterError({ code: "disposed", message: "the engine is disposed" });
    this.#states?.check();
    const { inputs: ports, symbols } = this.program;
    const { tensors, bindings } = bindInputs(ports, symbols, inputs, this.#states?.lengths, this.#states?.list);
    this.#bind(bindings);
    this.#flow.begin();
    for (const [index, port] of this.program.inputs.entries()) {
      const data = tensors[index]?.data;
      if (data === undefined) continue;
      const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      new Uint8Array(this.memory.buffer, port.address, data.byteLength).set(bytes);
    }
  }

  #bind(bindings: ReadonlyMap<string, number>): void {
    const known = this.#bindings;
    this.#bindings = bindings;
    if (known !== undefined && [...bindings].every(([name, value]) => known.get(name) === value)) return;
    this.#records.bind(bindings);
    this.#slices.bind(bindings);
    if (this.#team === undefined) return;
    this.#team.bind(bindings);
    for (const [index, { range, grain = undivided }] of this.#kernelSteps.entries()) {
      const isDivided = evaluateExtent(range, bindings) > grain;
      this.#dividedBefore[index + 1] = (this.#dividedBefore[index] ?? 0) + (isDivided ? 1 : 0);
    }
  }

  /** One slice of a run; one step at most when times are taken. */
  #slice(from: Position, stretch: Stretch, times: Float64Array | undefined): Position {
    const to = this.#slices.next(from, times === undefined ? stretch.end : from.step + 1);
    const start = performance.now();
    this.#enter(from, to);
    const milliseconds = performance.now() - start;
    this.#slices.measured(from, to, milliseconds);
    if (times !== undefined) this.#addTime(times, this.#programIndices[from.step] ?? 0, milliseconds);
    return to;
  }

  /** Runs [from, to) in one entry of WebAssembly. */
  #enter(from: Position, to: Position): Position {
    const inside = to.iteration > 0;
    this.#walkRecords(from.step, from.iteration, inside ? to.step : to.step - 1, inside ? to.iteration : -1);
    return to;
  }

  /** The records of kernel steps first..last, by the team where one of them is divided. Throws HelperLost. */
  #walkRecords(first: number, begin: number, last: number, end: number): void {
    const { addresses } = this.#records;
    const [from, to] = [addresses[first] ?? 0, addresses[last] ?? 0];
    const isDivided = (this.#dividedBefore[last + 1] ?? 0) > (this.#dividedBefore[first] ?? 0);
    try {
      if (isDivided && this.#team?.isReady) this.#team.run(from, begin, to, end);
      else this.#walk(from, begin, to, end);
    } catch (cause) {
      if (cause instanceof HelperLost) throw cause;
      throw new LeafcutterError(
        {
          code: "program-invalid",
          message: "the module trapped",
          where: this.variant,
          received: cause instanceof Error ? cause.message : String(cause),
          advice: "The package is damaged or was made by a faulty compiler: compile the model again.",
        },
        { cause },
      );
    }
  }

  #host({ bound, index }: NonNullable<Stretch["host"]>, times: Float64Array | undefined): void {
    const start = performance.now();
    bound.run(this.memory, this.#bindings ?? new Map());
    if (times !== undefined) this.#addTime(times, index, performance.now() - start);
  }

  #addTime(times: Float64Array, index: number, milliseconds: number): void {
    times[index] = (times[index] ?? 0) + milliseconds;
  }

  #end(times: Float64Array | undefined, into: Targets = {}): RunResult {
    const bindings = this.#bindings ?? new Map<string, number>();
    const outputs = Object.fromEntries(
      this.program.outputs.map((port) => [
        port.name,
        this.#read(port, bindings, Object.hasOwn(into, port.name) ? into[port.name] : undefined),
      ]),
    );
    this.#states?.commit(bindings);
    if (times === undefined) return { outputs };
    return { outputs, steps: this.program.steps.map((step, index) => this.#stepTime(step, times[index] ?? 0)) };
  }

  /** Throws option-invalid for an array that is not what an output needs. */
  #checkTargets(into: Targets): void {
    const bindings = this.#bindings ?? new Map<string, number>();
    for (const [name, target] of Object.entries(into)) {
      const port = this.program.outputs.find((output) => output.name === name);
      const count = elementCount((port?.shape ?? []).map((extent) => evaluateExtent(extent, bindings)));
      const kind = port && allocate(port.dtype, 0)[Symbol.toStringTag];
      if (target[Symbol.toStringTag] === kind && target.length === count) continue;
      throw new LeafcutterError({
        code: "option-invalid",
        message: "the array does not take this output",
        where: `into ${name}`,
        expected: kind === undefined ? this.program.outputs.map((o) => o.name).join(", ") : `a ${kind} of ${count}`,
        received: `a ${target[Symbol.toStringTag]} of ${target.length}`,
      });
    }
  }

  #read(
    { dtype, shape, address }: Port,
    bindings: ReadonlyMap<string, number>,
    target: TensorArray | undefined,
  ): Tensor {
    const extents = shape.map((extent) => evaluateExtent(extent, bindings));
    const count = elementCount(extents);
    if (target !== undefined) {
      const bytes = new Uint8Array(target.buffer, target.byteOffset, target.byteLength);
      bytes.set(new Uint8Array(this.memory.buffer, address, target.byteLength));
      return { dtype, shape: extents, data: target };
    }
    // The copy of a view is never shared, as the copy of a shared buffer would be.
    const copy = new Uint8Array(this.memory.buffer, address, count * byteSize[dtype]).slice();
    return { dtype, shape: extents, data: viewOf(dtype, copy.buffer, 0, count) };
  }

  #stepTime(step: ProgramStep, milliseconds: number): StepTime {
    const { name, op } = step;
    if (step.kind !== "kernel") {
      const kernel = step.kind === "host" ? step.reference : step.kind;
      return { name, op, kernel, milliseconds, flops: 0, bytes: 0, where: "host" };
    }
    const bindings = this.#bindings ?? new Map<string, number>();
    return {
      name,
      op,
      kernel: this.program.kernels[step.kernel]?.name ?? String(step.kernel),
      milliseconds,
      flops: evaluateExtent(step.flops, bindings),
      bytes: evaluateExtent(step.bytes, bindings),
      where: "wasm",
    };
  }
}
