/**
 * One WebGPU device with a buffer that is the image of a program's linear memory. Everything is queued in the order
 * of the calls; reads resolve when the device has got there. Throws LeafcutterError: feature-missing, memory-exceeded,
 * device-lost (also for what is under way when the device goes).
 */
import { LeafcutterError } from "../format/diagnostic.ts";
import type { Region } from "../format/program.ts";
import type { Move } from "./states.ts";

/** Bytes of a dispatch's uniform: record address and number of invocations. */
const dispatchBytes = 16;
const uniformSlot = 256;

/** Which record to run, how often, and by which pipeline. */
export interface Dispatch {
  readonly pipeline: GPUComputePipeline;
  readonly slot: number;
  readonly invocations: number;
}

async function requestAdapter(): Promise<GPUAdapter | undefined> {
  if (typeof navigator !== "object" || !("gpu" in navigator)) return undefined;
  return (await navigator.gpu.requestAdapter({ powerPreference: "high-performance" })) ?? undefined;
}

/** Why this thread has no WebGPU; undefined when it has. */
export async function missingWebGpu(): Promise<string | undefined> {
  if (typeof navigator !== "object" || !("gpu" in navigator)) return "the browser has no WebGPU in this thread";
  return (await requestAdapter()) === undefined ? "the browser offers no WebGPU adapter" : undefined;
}

const roundUp = (bytes: number): number => (bytes + 3) & ~3;

function lost(message: string, received: string): LeafcutterError {
  return new LeafcutterError({
    code: "device-lost",
    message,
    where: "webgpu",
    received,
    advice: "Run again: a WebAssembly variant takes over where the package has one.",
  });
}

export class WebGpuDevice {
  readonly #device: GPUDevice;
  readonly #memory: GPUBuffer;
  readonly #uniforms: GPUBuffer;
  readonly #group: GPUBindGroup;
  readonly #layout: GPUPipelineLayout;
  readonly #workgroupSize: number;
  /** Rejects when the device goes; never resolves. */
  readonly #lost: Promise<never>;
  #problem: LeafcutterError | undefined;
  /** What `move` passes through: a buffer is not copied onto itself. Made for its first call; later ones are the same. */
  #moving: GPUBuffer | undefined;

  private constructor(device: GPUDevice, bytes: number, slots: number, workgroupSize: number) {
    this.#device = device;
    this.#workgroupSize = workgroupSize;
    this.#memory = device.createBuffer({
      size: bytes,
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
    });
    this.#uniforms = device.createBuffer({
      size: Math.max(1, slots) * uniformSlot,
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    });
    const bindings = device.createBindGroupLayout({
      entries: [
        { binding: 0, visibility: GPUShaderStage.COMPUTE, buffer: { type: "storage" } },
        {
          binding: 1,
          visibility: GPUShaderStage.COMPUTE,
          buffer: { type: "uniform", hasDynamicOffset: true, minBindingSize: dispatchBytes },
        },
      ],
    });
    this.#layout = device.createPipelineLayout({ bindGroupLayouts: [bindings] });
    this.#group = device.createBindGroup({
      layout: bindings,
      entries: [
        { binding: 0, resource: { buffer: this.#memory } },
        { binding: 1, resource: { buffer: this.#uniforms, size: dispatchBytes } },
      ],
    });
    this.#lost = device.lost.then(({ message, reason }) => {
      this.#problem = lost("the graphics device is gone", message || reason);
      throw this.#problem;
    });
    this.#lost.catch(() => undefined);
    device.addEventListener("uncapturederror", ({ error }) => {
      this.#problem ??= lost("the graphics device does not do what it was told", error.message);
    });
  }

  /** A device with `bytes` of memory and `slots` dispatches. */
  static async open(bytes: number, slots: number, workgroupSize: number): Promise<WebGpuDevice> {
    const adapter = await requestAdapter();
    if (adapter === undefined) {
      throw new LeafcutterError({ code: "feature-missing", message: "there is no WebGPU adapter", where: "webgpu" });
    }
    const available = Math.min(adapter.limits.maxStorageBufferBindingSize, adapter.limits.maxBufferSize);
    if (bytes > available) {
      throw new LeafcutterError({
        code: "memory-exceeded",
        message: "the graphics device does not bind a buffer as large as the model's memory",
        where: "webgpu",
        expected: `${bytes} bytes`,
        received: `at most ${available} bytes`,
        advice: "Use a WebAssembly backend, or compile the model for smaller dimensions.",
      });
    }
    const requiredLimits = { maxStorageBufferBindingSize: bytes, maxBufferSize: bytes };
    const device = await adapter.requestDevice({ requiredLimits }).catch((error: unknown) => {
      throw lost("the adapter gives no device", error instanceof Error ? error.message : String(error));
    });
    device.pushErrorScope("out-of-memory");
    const opened = new WebGpuDevice(device, bytes, slots, workgroupSize);
    const failure = await device.popErrorScope();
    if (failure === null) return opened;
    device.destroy();
    throw new LeafcutterError({
      code: "memory-exceeded",
      message: "the graphics device does not give the memory that the model needs",
      where: "webgpu",
      expected: `${bytes} bytes`,
      received: failure.message,
    });
  }

  /** Compiles a shader. Throws LeafcutterError package-invalid for WGSL that does not compile. */
  async pipeline(code: string, name: string): Promise<GPUComputePipeline> {
    this.#device.pushErrorScope("validation");
    const module = this.#device.createShaderModule({ code, label: name });
    const invalid = this.#device.popErrorScope().catch(() => null);
    try {
      return await this.#device.createComputePipelineAsync({
        layout: this.#layout,
        compute: { module, entryPoint: "main" },
        label: name,
      });
    } catch (cause) {
      if (this.#problem !== undefined) throw this.#problem;
      throw new LeafcutterError(
        {
          code: "package-invalid",
          message: "a shader does not compile here",
          where: name,
          received: (await invalid)?.message ?? (cause instanceof Error ? cause.message : String(cause)),
        },
        { cause },
      );
    }
  }

  /** Copies bytes of the host's image to the device; whole words are copied. */
  upload(image: ArrayBuffer, { start, bytes }: Region): void {
    if (bytes === 0) return;
    const first = start & ~3;
    this.#device.queue.writeBuffer(this.#memory, first, image, first, roundUp(start + bytes) - first);
  }

  clear({ start, bytes }: Region): void {
    const encoder = this.#device.createCommandEncoder();
    encoder.clearBuffer(this.#memory, start & ~3, roundUp(start + bytes) - (start & ~3));
    this.#device.queue.submit([encoder.finish()]);
  }

  /** Copies bytes within the memory, all of them read before any is written; whole words are copied. */
  move(moves: readonly Move[]): void {
    const size = moves.reduce((sum, { bytes }) => sum + roundUp(bytes), 0);
    if (size === 0) return;
    this.#moving ??= this.#device.createBuffer({ size, usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC });
    const encoder = this.#device.createCommandEncoder();
    let at = 0;
    for (const { from, bytes } of moves) {
      encoder.copyBufferToBuffer(this.#memory, from, this.#moving, at, roundUp(bytes));
      at += roundUp(bytes);
    }
    at = 0;
    for (const { to, bytes } of moves) {
      encoder.copyBufferToBuffer(this.#moving, at, this.#memory, to, roundUp(bytes));
      at += roundUp(bytes);
    }
    this.#device.queue.submit([encoder.finish()]);
  }

  /** What the dispatch of a slot reads: for the submissions that follow. */
  writeSlot(slot: number, record: number, invocations: number): void {
    this.#device.queue.writeBuffer(this.#uniforms, slot * uniformSlot, new Uint32Array([record, invocations, 0, 0]));
  }

  /** Queues dispatches, each of which sees what those before it wrote. */
  submit(dispatches: readonly Dispatch[]): void {
    const encoder = this.#device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    const widest = this.#device.limits.maxComputeWorkgroupsPerDimension;
    for (const { pipeline, slot, invocations } of dispatches) {
      const groups = Math.ceil(invocations / this.#workgroupSize);
      if (groups === 0) continue;
      const rows = Math.ceil(groups / widest);
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, this.#group, [slot * uniformSlot]);
      pass.dispatchWorkgroups(Math.ceil(groups / rows), rows);
    }
    pass.end();
    this.#device.queue.submit([encoder.finish()]);
  }

  /** Resolves when everything queued so far is done. */
  async done(): Promise<void> {
    await Promise.race([this.#device.queue.onSubmittedWorkDone(), this.#lost]);
    this.check();
  }

  /** The regions as they are once everything queued so far is done, one after another. */
  async download(regions: readonly Region[]): Promise<readonly Uint8Array<ArrayBuffer>[]> {
    let size = 0;
    const places = regions.map(({ start, bytes }) => {
      const first = start & ~3;
      const place = { first, at: size, bytes: roundUp(start + bytes) - first };
      size += place.bytes;
      return place;
    });
    if (size === 0) return regions.map(() => new Uint8Array());
    const staging = this.#device.createBuffer({ size, usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ });
    try {
      const encoder = this.#device.createCommandEncoder();
      for (const { first, at, bytes } of places) {
        if (bytes > 0) encoder.copyBufferToBuffer(this.#memory, first, staging, at, bytes);
      }
      this.#device.queue.submit([encoder.finish()]);
      try {
        await Promise.race([staging.mapAsync(GPUMapMode.READ), this.#lost]);
      } catch (error) {
        // A device that goes may refuse its buffers before it says that it is gone.
        const message = error instanceof Error ? error.message : String(error);
        throw this.#problem ?? lost("the graphics device does not give its results", message);
      }
      this.check();
      const mapped = staging.getMappedRange();
      return regions.map(({ start, bytes }, index) => {
        const from = (places[index]?.at ?? 0) + (start & 3);
        return new Uint8Array(mapped.slice(from, from + bytes));
      });
    } finally {
      staging.destroy();
    }
  }

  /** Throws what has gone wrong on the device since it was opened. */
  check(): void {
    if (this.#problem !== undefined) throw this.#problem;
  }

  dispose(): void {
    this.#device.destroy();
  }
}
