/**
 * A loaded model in this thread: runs, has its known answers checked, falls back to another engine, reports.
 * The worker's host owns one; with `worker: false` it is the session itself. Throws LeafcutterError.
 */
import type { Engine, RunResult, StepTime } from "../engine/engine.ts";
import type { TensorInput } from "../engine/input.ts";
import { runSelfTest, statesOf } from "../engine/self-test.ts";
import type { Backend, EngineKind } from "../engine/variants.ts";
import { WasmEngine } from "../engine/wasm.ts";
import { LeafcutterError } from "../format/diagnostic.ts";
import {
  moduleVariant,
  type PortDescription,
  type StateDescription,
  type VariantName,
  type WasmVariantName,
} from "../format/manifest.ts";
import { type Program, pageBytes } from "../format/program.ts";
import type { Tensor } from "../format/tensor.ts";
import type { PackageReader } from "../load/package.ts";
import type { LocalSession, RunOptions, Stats, StatsOptions, SyncRunOptions } from "./contract.ts";
import type { EngineMaker } from "./engine-maker.ts";
import { RunQueue, sessionDisposed } from "./run-queue.ts";

/** A variant that is not used, and why. */
export interface Rejection {
  readonly variant: VariantName;
  readonly why: string;
}

/** Which engines a load may use. */
export interface Choice {
  /** Usable engines in order of preference, at least one. */
  readonly kinds: readonly [EngineKind, ...EngineKind[]];
  readonly rejected: readonly Rejection[];
}

/** What a WebAssembly engine of the same model, elsewhere, is made of. */
export interface ModelParts {
  readonly variant: WasmVariantName;
  readonly program: Program;
  readonly module: WebAssembly.Module;
  /** A copy of the weight region. */
  readonly weights: Uint8Array<ArrayBuffer>;
}

const idleMilliseconds = 50;
/** A model that is loaded and not run keeps the files for the next load after so long. */
const unusedMilliseconds = 1000;

function copyInputs(inputs: Readonly<Record<string, TensorInput>>): Readonly<Record<string, TensorInput>> {
  const copies = Object.entries(inputs).map(([name, input]) =>
    ArrayBuffer.isView(input?.data) ? [name, { ...input, data: input.data.slice() }] : [name, input],
  );
  return Object.fromEntries(copies) as Readonly<Record<string, TensorInput>>;
}

export class Model implements LocalSession {
  readonly inputs: readonly PortDescription[];
  readonly outputs: readonly PortDescription[];
  readonly states: readonly StateDescription[];
  readonly #reader: PackageReader;
  readonly #maker: EngineMaker;
  readonly #queue = new RunQueue();
  readonly #rejected: Rejection[];
  readonly #notes: string[] = [];
  /** undefined once disposed, so that the memory can go. */
  #engine: Engine | undefined;
  #kinds: readonly EngineKind[];
  #reason: string;
  #selfTest: string;
  #idle: ReturnType<typeof setTimeout> | undefined;
  /** When the timer fires, and when the session will have been idle for long enough (performance.now()). */
  #wakes = 0;
  #idleSince = 0;
  #isSettled = false;
  #testing: AbortController | undefined;
  #profile = false;
  #runs = 0;
  #lastRun: number | undefined;
  #steps: readonly StepTime[] | undefined;

  constructor(reader: PackageReader, maker: EngineMaker, engine: Engine, choice: Choice, backend: Backend) {
    this.#reader = reader;
    this.#maker = maker;
    this.#engine = engine;
    this.#kinds = choice.kinds;
    this.#rejected = [...choice.rejected];
    const asked = backend === engine.variant ? "asked for" : `fallback from ${backend}`;
    this.#reason = backend === "auto" || backend === "wasm" ? "the fastest that this host runs" : asked;
    this.#selfTest = reader.manifest.selfTest === undefined ? "absent" : "pending";
    const plain = ({ name, dtype, shape, value }: PortDescription): PortDescription =>
      value === undefined ? { name, dtype, shape } : { name, dtype, shape, value };
    this.inputs = reader.manifest.inputs.map(plain);
    this.outputs = reader.manifest.outputs.map(plain);
    this.states = (reader.manifest.states ?? []).map(({ name, output, dtype, shape }) => ({
      name,
      output,
      dtype,
      shape,
    }));
    this.#whenIdle(unusedMilliseconds);
  }

  get #running(): Engine {
    if (this.#engine === undefined) throw new LeafcutterError(sessionDisposed);
    return this.#engine;
  }

  /** The known answers that come before the first result; falls back until an engine passes. */
  async checkKnownAnswers(): Promise<void> {
    for (;;) {
      const why = await this.#failureBeforeFirstResult();
      if (why === undefined) return;
      if (!(await this.#fallBack(why))) {
        throw new LeafcutterError({
          code: "self-test-failed",
          message: "this device does not compute what the model was compiled to compute",
          where: this.#running.variant,
          received: why,
          advice: "Update the browser or the graphics driver, or use another backend.",
        });
      }
    }
  }

  async run(
    inputs: Readonly<Record<string, TensorInput>>,
    { signal, transfer = false }: RunOptions = {},
  ): Promise<Readonly<Record<string, Tensor>>> {
    const own = transfer ? inputs : copyInputs(inputs);
    return this.#next(async (stop) => {
      const start = performance.now();
      const result = await this.#runOrFallBack(own, stop);
      this.#finished(start, result.steps);
      return result.outputs;
    }, signal);
  }

  reset(values: Readonly<Record<string, TensorInput>> = {}): Promise<void> {
    const own = copyInputs(values);
    return this.#next(() => this.#running.reset(own));
  }

  rewind(rows: number): Promise<void> {
    return this.#next(async () => this.#running.rewind(rows));
  }

  state(name: string): Promise<Tensor> {
    return this.#next(() => this.#running.state(name));
  }

  runSync(
    inputs: Readonly<Record<string, TensorInput>>,
    options: SyncRunOptions = {},
  ): Readonly<Record<string, Tensor>> {
    const engine = this.#synchronous("runSync");
    const start = performance.now();
    const result = engine.runSync(inputs, { ...options, profile: this.#profile });
    this.#finished(start, result.steps);
    this.#whenIdle(idleMilliseconds);
    return result.outputs;
  }

  resetSync(values?: Readonly<Record<string, TensorInput>>): void {
    this.#synchronous("resetSync").resetSync(values);
  }

  rewindSync(rows: number): void {
    this.#synchronous("rewindSync").rewind(rows);
  }

  async stats({ profile }: StatsOptions = {}): Promise<Stats> {
    if (profile !== undefined) this.#profile = profile;
    await this.#reader.settled();
    const { program, variant, threads, memory: held } = this.#running;
    const { memory } = program;
    const alone = threads?.why === undefined ? [] : [`one thread runs: ${threads.why}`];
    return {
      variant,
      reason: this.#reason,
      rejected: [...this.#rejected],
      threads: threads?.count ?? 1,
      memoryBytes: held?.buffer.byteLength ?? memory.pages * pageBytes,
      weightBytes: memory.weights.bytes,
      arenaBytes: memory.arena.bytes,
      cache: this.#reader.cacheStatus,
      selfTest: this.#selfTest,
      notes: [...this.#reader.notes, ...this.#notes, ...alone],
      runs: this.#runs,
      ...(this.#lastRun === undefined ? {} : { lastRunMilliseconds: this.#lastRun }),
      ...(this.#steps === undefined ? {} : { steps: this.#steps }),
    };
  }

  /** What the running engine is made of, once the model's self-test has passed here. Throws self-test-failed. */
  async parts(): Promise<ModelParts> {
    clearTimeout(this.#idle);
    this.#idle = undefined;
    await this.#queue.add((stop) => this.#test(stop));
    const engine = this.#running;
    if (!(engine instanceof WasmEngine) || this.#selfTest.startsWith("failed")) {
      throw new LeafcutterError({
        code: "self-test-failed",
        message: "this device does not compute what the model was compiled to compute",
        where: engine.variant,
        received: this.#selfTest,
      });
    }
    const { program, weights } = engine;
    const variant = moduleVariant(engine.variant);
    return { variant, program, module: await this.#maker.module(variant), weights: weights.slice() };
  }

  async dispose(): Promise<void> {
    clearTimeout(this.#idle);
    await this.#queue.end(sessionDisposed);
    await this.#reader.settled();
    this.#engine?.dispose();
    this.#engine = undefined;
  }

  /** The engine, when it can be used without waiting. */
  #synchronous(call: string): WasmEngine {
    const engine = this.#running;
    if (engine instanceof WasmEngine && this.#queue.idle) return engine;
    throw new LeafcutterError({
      code: "option-invalid",
      message: `${call} needs a WebAssembly backend and no other run under way`,
      received: this.#queue.idle ? engine.variant : "a run under way",
    });
  }

  /** Queues what the application asks for, before the model's self-test. */
  async #next<T>(task: (stop: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T> {
    this.#testing?.abort();
    try {
      return await this.#queue.add(task, signal);
    } finally {
      this.#whenIdle(idleMilliseconds);
    }
  }

  #finished(start: number, steps: readonly StepTime[] | undefined): void {
    this.#lastRun = performance.now() - start;
    this.#runs += 1;
    if (steps !== undefined) this.#steps = steps;
  }

  /** A run; once more on the next engine when the device is lost under it, unless the states are lost with it. */
  async #runOrFallBack(inputs: Readonly<Record<string, TensorInput>>, signal: AbortSignal): Promise<RunResult> {
    const control = { signal, profile: this.#profile };
    try {
      return await this.#running.run(inputs, control);
    } catch (error) {
      const isLost = error instanceof LeafcutterError && error.code === "device-lost";
      if (!isLost || !(await this.#fallBack(error.message)) || this.states.length > 0) throw error;
      return this.#running.run(inputs, control);
    }
  }

  async #failureBeforeFirstResult(): Promise<string | undefined> {
    try {
      const [failure] = await this.#running.probeKernels();
      if (failure !== undefined) {
        return `the kernel ${failure.kernel} gives ${failure.received}, expected ${failure.expected}`;
      }
      const test = this.#reader.manifest.selfTest;
      if (test === undefined || this.#kinds[0]?.selfTestFirst !== true) return undefined;
      const why = await runSelfTest(test, this.#running);
      if (why === undefined) this.#selfTest = "passed";
      return why;
    } catch (error) {
      if (error instanceof LeafcutterError && error.code === "device-lost") return error.message;
      throw error;
    }
  }

  /** Replaces the engine by the next one; false when there is none. */
  async #fallBack(why: string): Promise<boolean> {
    const [current, next, ...rest] = this.#kinds;
    if (current === undefined || next === undefined) return false;
    const failed = this.#running;
    const states = await statesOf(failed).catch(() => undefined);
    const isShared = failed.memory !== undefined && !(failed.memory.buffer instanceof ArrayBuffer);
    const taken = next.takesMemory && !isShared ? failed.memory : undefined;
    const engine = await this.#maker.create(next, taken);
    await engine.reset(states);
    if (states === undefined) this.#notes.push(`the states were lost with ${current.variant}: they are zero again`);
    if (failed.memory === undefined) await this.#reader.readShards(engine.weights);
    else if (taken === undefined) engine.weights.set(failed.weights);
    this.#engine = engine;
    failed.dispose();
    this.#kinds = [next, ...rest];
    this.#rejected.push({ variant: current.variant, why });
    this.#notes.push(`fell back from ${current.variant} to ${next.variant}: ${why}`);
    this.#reason = `fallback from ${current.variant}`;
    return true;
  }

  /** Fills the cache and runs the model's self-test once nothing else has run for a while; a run that arrives goes first. */
  #whenIdle(milliseconds: number): void {
    if (this.#engine === undefined || !this.#queue.idle) return;
    if (this.#selfTest !== "pending" && this.#isSettled) return;
    const now = performance.now();
    this.#idleSince = now + milliseconds;
    // One timer for many runs: it looks again when it finds that there were some.
    if (this.#idle !== undefined && this.#wakes <= this.#idleSince) return;
    clearTimeout(this.#idle);
    this.#wakes = this.#idleSince;
    this.#idle = setTimeout(() => {
      this.#idle = undefined;
      const rest = this.#idleSince - performance.now();
      if (rest > 1) return this.#whenIdle(rest);
      if (!this.#queue.idle) return;
      this.#isSettled = true;
      void this.#reader.settled();
      if (this.#selfTest !== "pending" || this.#runs === 0) return;
      this.#testing = new AbortController();
      this.#queue.add((stop) => this.#test(stop), this.#testing.signal).catch(() => undefined);
    }, milliseconds);
    if (typeof this.#idle === "object") this.#idle.unref();
  }

  async #test(stop: AbortSignal): Promise<void> {
    const test = this.#reader.manifest.selfTest;
    if (test === undefined) return;
    let why: string | undefined;
    try {
      why = await runSelfTest(test, this.#running, stop);
    } catch (error) {
      if (stop.aborted) return;
      why = error instanceof Error ? error.message : String(error);
    }
    if (why === undefined) {
      this.#selfTest = "passed";
      return;
    }
    if (!(await this.#fallBack(`self-test: ${why}`))) {
      this.#selfTest = `failed: ${why}`;
      this.#notes.push("the model's self-test failed and there is no other variant: results may be wrong");
      return;
    }
    await this.checkKnownAnswers();
    await this.#test(stop);
  }
}
