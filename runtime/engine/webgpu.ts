/**
 * The WebGPU engine: one storage buffer is the image of the planned linear memory, and the table of step records is
 * the one that WebAssembly walks. Consecutive steps with a shader are one submission; the others run on the host's
 * copy of the memory. That copy holds the weights, so that an engine that replaces this one can take it over.
 * Throws LeafcutterError: those of webgpu-device.ts; package-invalid for shaders that do not fit the program.
 */
import { LeafcutterError } from "../format/diagnostic.ts";
import { byteSize } from "../format/dtype.ts";
import { evaluateExtent } from "../format/extent.ts";
import { isPlaced, placeOf } from "../format/placement.ts";
import { type KernelProbe, type Program, type ProgramStep, pageBytes, type Region } from "../format/program.ts";
import { fillRandom } from "../format/random.ts";
import { elementCount, type Tensor, viewOf } from "../format/tensor.ts";
import { validateShaders } from "../format/validate-shaders.ts";
import { type Block, ControlFlow, isControl } from "./control-flow.ts";
import type { Engine, KernelFailure, RunControl, RunResult, StepTime } from "./engine.ts";
import type { Extensions } from "./extensions.ts";
import { bindInputs, type TensorInput } from "./input.ts";
import { matchesProbe, numberOf, type ProbeMismatch } from "./kernel-probe.ts";
import { Records } from "./records.ts";
import { States } from "./states.ts";
import { createWasmEngine } from "./wasm.ts";
import { createMemory } from "./wasm-module.ts";
import { type Dispatch, WebGpuDevice } from "./webgpu-device.ts";
import { type Bindings, type DeviceStep, type HostedStep, type PlacedStep, placeSteps } from "./webgpu-steps.ts";

export interface WebGpuEngineOptions {
  readonly program: Program;
  /** Parsed JSON of the package's shader set, not validated. */
  readonly shaders: unknown;
  readonly extensions: Extensions;
  /** The package's `wasm-simd` module: asked for only when a step has no shader. */
  readonly module: () => Promise<WebAssembly.Module>;
  /** A memory of the same program that already holds the weights; default a new one. */
  readonly memory: WebAssembly.Memory | undefined;
}

type Pipelines = readonly (GPUComputePipeline | undefined)[];

/** Device steps without another step between them, then perhaps a hosted one. */
interface Stretch {
  readonly device: readonly DeviceStep[];
  readonly hosted: HostedStep | undefined;
}

const aborted = (): LeafcutterError => new LeafcutterError({ code: "aborted", message: "the run was aborted" });

/** The promise, or a rejection as soon as the signal fires: what is under way on the device then ends unseen. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(aborted());
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

/** Opens the device. Shaders compile while the caller fills the weights; the first use waits for them. */
export async function createWebGpuEngine(options: WebGpuEngineOptions): Promise<WebGpuEngine> {
  const { program, extensions } = options;
  const set = validateShaders(options.shaders, program.kernels.length);
  const memory = options.memory ?? createMemory(program.memory.pages);
  const needsWasm = program.steps.some((step) => isPlaced(step) && placeOf(step, set.shaders) === "wasm");
  const wasm = needsWasm
    ? createWasmEngine({ program, extensions, memory, module: await options.module() })
    : undefined;
  const steps = placeSteps(program, set, { memory, extensions, wasm });
  const kernelSteps = program.steps.filter(({ kind }) => kind === "kernel").length;
  const device = await WebGpuDevice.open(program.memory.pages * pageBytes, kernelSteps, set.workgroupSize);
  const pipelines = program.kernels.map(({ name }, index) => {
    const code = set.shaders[index];
    return typeof code === "string" ? device.pipeline(code, name) : undefined;
  });
  const flow = new ControlFlow(program.steps, memory, (step) => placeOf(step, set.shaders) === "webgpu");
  return new WebGpuEngine(program, memory, device, Promise.all(pipelines), steps, flow);
}

/** One for each block of control flow. */
function stretchesOf(
  blocks: readonly Block<ProgramStep>[],
  steps: readonly (PlacedStep | undefined)[],
): readonly Stretch[] {
  return blocks.map(({ first, end }): Stretch => {
    const last = steps[end];
    return {
      device: steps.slice(first, end).filter((step) => step?.where === "webgpu"),
      hosted: last?.where === "webgpu" ? undefined : last,
    };
  });
}

export class WebGpuEngine implements Engine {
  readonly variant = "webgpu";
  readonly program: Program;
  readonly memory: WebAssembly.Memory;
  readonly #device: WebGpuDevice;
  readonly #pipelines: Promise<Pipelines>;
  readonly #steps: readonly (PlacedStep | undefined)[];
  readonly #flow: ControlFlow;
  /** By block of the control flow. */
  readonly #stretches: readonly Stretch[];
  readonly #records: Records;
  readonly #states: States;
  #bindings: Bindings | undefined;
  #hasWeights = false;
  #disposed = false;

  constructor(
    program: Program,
    memory: WebAssembly.Memory,
    device: WebGpuDevice,
    pipelines: Promise<Pipelines>,
    steps: readonly (PlacedStep | undefined)[],
    flow: ControlFlow,
  ) {
    this.program = program;
    this.memory = memory;
    this.#device = device;
    this.#pipelines = pipelines;
    // Whoever runs first gets the error.
    pipelines.catch(() => undefined);
    this.#steps = steps;
    this.#flow = flow;
    this.#stretches = stretchesOf(flow.blocks, steps);
    this.#states = new States(memory, program);
    this.#records = new Records(
      memory,
      program.memory,
      program.steps.filter((step) => step.kind === "kernel"),
    );
  }

  get weights(): Uint8Array {
    const { start, bytes } = this.program.memory.weights;
    return new Uint8Array(this.memory.buffer, start, bytes);
  }

  async run(inputs: Readonly<Record<string, TensorInput>>, control: RunControl = {}): Promise<RunResult> {
    const { signal, profile = false } = control;
    if (signal?.aborted) throw aborted();
    if (this.#disposed) throw new LeafcutterError({ code: "disposed", message: "the engine is disposed" });
    this.#device.check();
    this.#states.check();
    const { inputs: ports, symbols } = this.program;
    const { tensors, bindings } = bindInputs(ports, symbols, inputs, this.#states.lengths, this.#states.list);
    for (const [index, { address }] of this.program.inputs.entries()) {
      const data = tensors[index]?.data;
      if (data === undefined) continue;
      const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      new Uint8Array(this.memory.buffer, address, data.byteLength).set(bytes);
      this.#device.upload(this.memory.buffer, { start: address, bytes: data.byteLength });
    }
    const pipelines = await unlessAborted(this.#pipelines, signal);
    this.#bind(bindings);
    const times = profile ? new Float64Array(this.program.steps.length) : undefined;
    this.#flow.begin();
    for (let at = 0; at < this.#stretches.length; at = await this.#next(at, bindings, signal)) {
      const { device, hosted } = this.#stretches[at] as Stretch;
      if (signal?.aborted) throw aborted();
      if (times === undefined) this.#submit(device, pipelines, bindings);
      else {
        for (const step of device) {
          const work = async (): Promise<void> => {
            this.#submit([step], pipelines, bindings);
            await this.#device.done();
          };
          await this.#timed(times, step.index, unlessAborted(work(), signal));
        }
      }
      if (hosted === undefined) continue;
      await unlessAborted(this.#fetch(hosted.reads(bindings)), signal);
      const start = performance.now();
      hosted.run(bindings);
      if (times !== undefined) times[hosted.index] = (times[hosted.index] ?? 0) + performance.now() - start;
      for (const region of hosted.writes(bindings)) this.#device.upload(this.memory.buffer, region);
    }
    return this.#end(bindings, times, signal);
  }

  async probeKernels(): Promise<readonly KernelFailure[]> {
    let pipelines: Pipelines;
    try {
      pipelines = await this.#pipelines;
    } catch (error) {
      if (!(error instanceof LeafcutterError) || error.code !== "package-invalid") throw error;
      const { where = "", received = "" } = error.diagnostic;
      return [{ kernel: where, expected: "a shader that this device compiles", received }];
    }
    const upper = new Map(this.program.symbols.map((symbol) => [symbol.name, symbol.upper]));
    this.#bind(upper);
    const failures: KernelFailure[] = [];
    for (const { name, probe } of this.program.kernels) {
      const step = probe && this.#steps[probe.step];
      if (probe === undefined || step?.where !== "webgpu") continue;
      const failure = await this.#probe(probe, step, pipelines, upper);
      if (failure !== undefined) failures.push({ kernel: name, ...failure });
    }
    return failures;
  }

  async reset(values?: Readonly<Record<string, TensorInput>>): Promise<void> {
    this.#device.check();
    for (const region of this.#states.reset(values)) this.#device.upload(this.memory.buffer, region);
  }

  rewind(rows: number): void {
    this.#states.rewind(rows);
  }

  async state(name: string): Promise<Tensor> {
    await this.#fetch([this.#states.region(this.#states.find(name))]);
    return this.#states.read(name);
  }

  dispose(): void {
    this.#disposed = true;
    this.#device.dispose();
  }

  /** Records, dispatches and, the first time, the weights: what the device has to know before a step runs. */
  #bind(bindings: Bindings): void {
    const { weights, table } = this.program.memory;
    if (!this.#hasWeights) this.#device.upload(this.memory.buffer, weights);
    this.#hasWeights = true;
    const known = this.#bindings;
    this.#bindings = bindings;
    if (known !== undefined && [...bindings].every(([name, value]) => known.get(name) === value)) return;
    this.#records.bind(bindings);
    this.#device.upload(this.memory.buffer, table);
    for (const placed of this.#steps) {
      if (placed?.where !== "webgpu") continue;
      const { slot, step } = placed;
      this.#device.writeSlot(slot, this.#records.addresses[slot] ?? 0, evaluateExtent(step.invocations, bindings));
    }
  }

  #submit(steps: readonly DeviceStep[], pipelines: Pipelines, bindings: Bindings): void {
    const dispatches = steps.flatMap(({ step, slot }): readonly Dispatch[] => {
      const pipeline = pipelines[step.kernel];
      return pipeline === undefined
        ? []
        : [{ pipeline, slot, invocations: evaluateExtent(step.invocations, bindings) }];
    });
    if (dispatches.length > 0) this.#device.submit(dispatches);
  }

  /** The block that follows block `at`: the device tells what a condition came to, and is told the iteration. */
  async #next(at: number, bindings: Bindings, signal: AbortSignal | undefined): Promise<number> {
    const step = this.#flow.blocks[at]?.last;
    const control = step && isControl(step) ? step : undefined;
    if (control?.condition !== undefined)
      await unlessAborted(this.#fetch([{ start: control.condition, bytes: 1 }]), signal);
    const next = this.#flow.next(at, bindings);
    if (control?.kind === "repeat" && control.iteration !== undefined)
      this.#device.upload(this.memory.buffer, { start: control.iteration, bytes: byteSize.int64 });
    return next;
  }

  /** Brings regions of the host's copy up to date. */
  async #fetch(regions: readonly Region[]): Promise<void> {
    const contents = await this.#device.download(regions);
    for (const [index, { start }] of regions.entries()) {
      new Uint8Array(this.memory.buffer).set(contents[index] ?? [], start);
    }
  }

  async #timed(times: Float64Array, index: number, work: Promise<void>): Promise<void> {
    const start = performance.now();
    await work;
    times[index] = (times[index] ?? 0) + performance.now() - start;
  }

  async #end(bindings: Bindings, times: Float64Array | undefined, signal: AbortSignal | undefined): Promise<RunResult> {
    const ports = this.program.outputs.map(({ name, dtype, shape, address }) => {
      const extents = shape.map((extent) => evaluateExtent(extent, bindings));
      const count = elementCount(extents);
      return { name, dtype, shape: extents, count, region: { start: address, bytes: count * byteSize[dtype] } };
    });
    const contents = await unlessAborted(this.#device.download(ports.map(({ region }) => region)), signal);
    this.#device.move(this.#states.moves);
    this.#states.advance(bindings);
    const outputs = Object.fromEntries(
      ports.map(({ name, dtype, shape, count }, index) => {
        const { buffer } = contents[index] ?? new Uint8Array();
        return [name, { dtype, shape, data: viewOf(dtype, buffer, 0, count) }];
      }),
    );
    return times === undefined ? { outputs } : { outputs, steps: this.#stepTimes(times, bindings) };
  }

  #stepTimes(times: Float64Array, bindings: Bindings): readonly StepTime[] {
    return this.program.steps.map((step, index) => {
      const milliseconds = times[index] ?? 0;
      const where = this.#steps[index]?.where ?? "host";
      if (step.kind !== "kernel") {
        const kernel = step.kind === "host" ? step.reference : step.kind;
        return { name: step.name, op: step.op, kernel, milliseconds, flops: 0, bytes: 0, where };
      }
      return {
        name: step.name,
        op: step.op,
        kernel: this.program.kernels[step.kernel]?.name ?? String(step.kernel),
        milliseconds,
        flops: evaluateExtent(step.flops, bindings),
        bytes: evaluateExtent(step.bytes, bindings),
        where,
      };
    });
  }

  /** The whole step runs, not only the probe's first units: it writes nothing but what is zeroed afterwards. */
  async #probe(
    probe: KernelProbe,
    placed: DeviceStep,
    pipelines: Pipelines,
    bindings: Bindings,
  ): Promise<ProbeMismatch | undefined> {
    const { buffer } = this.memory;
    for (const { start, bytes, dtype, seed } of probe.fills) {
      fillRandom(dtype, viewOf(dtype, buffer, start, bytes / byteSize[dtype]), seed);
      this.#device.upload(buffer, { start, bytes });
      new Uint8Array(buffer, start, bytes).fill(0);
    }
    this.#submit([placed], pipelines, bindings);
    const places = probe.samples.map(({ address, dtype }) => ({ start: address, bytes: byteSize[dtype] }));
    const received = await this.#device.download(places);
    for (const { start, bytes, mode } of placed.step.accesses) {
      if (mode === "read") continue;
      this.#device.clear({ start: evaluateExtent(start, bindings), bytes: evaluateExtent(bytes, bindings) });
    }
    for (const { start, bytes } of probe.fills) this.#device.clear({ start, bytes });
    for (const [index, { address, dtype, value }] of probe.samples.entries()) {
      const bytes = received[index] ?? new Uint8Array(byteSize[dtype]);
      const number = numberOf(dtype, viewOf(dtype, bytes.buffer, 0, 1)[0] ?? 0);
      if (matchesProbe(value, number, probe.tolerance)) continue;
      return { expected: `${value} at ${address}`, received: String(number) };
    }
    return undefined;
  }
}
