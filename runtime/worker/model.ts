/**
 * A loaded model in this thread: opens a package, chooses an engine, streams the weights to their place, has every
 * known answer checked, and runs. The worker's host owns one; with `worker: false` it is the session itself.
 * Throws LeafcutterError.
 */
import type { Engine, StepTime } from "../engine/engine.ts";
import { type LoadedReferences, loadReferences } from "../engine/host-step.ts";
import type { TensorInput } from "../engine/input.ts";
import { missingFeature } from "../engine/probe.ts";
import { runSelfTest } from "../engine/self-test.ts";
import { type Backend, type EngineKind, kindsOf } from "../engine/variants.ts";
import { checkModule, WasmEngine } from "../engine/wasm.ts";
import { LeafcutterError } from "../format/diagnostic.ts";
import type { Manifest, PortDescription, VariantName, WasmVariantName } from "../format/manifest.ts";
import type { Program } from "../format/program.ts";
import type { Tensor } from "../format/tensor.ts";
import { checkAgreement } from "../format/validate-manifest.ts";
import { validateProgram } from "../format/validate-program.ts";
import { type Environment, hostEnvironment } from "../load/environment.ts";
import { openPackage, type PackageReader, parseJson } from "../load/package.ts";
import { loadAborted, type PackageFiles } from "../load/source.ts";
import { references as knownReferences } from "../reference/table.ts";
import type { LoadOptions, LocalSession, Progress, RunOptions, Stats, StatsOptions } from "./contract.ts";
import { RunQueue, sessionDisposed } from "./run-queue.ts";

export interface ModelOptions extends Omit<LoadOptions, "worker" | "workerUrl"> {
  /** The manifest's bytes, when the page has fetched them already. */
  readonly manifest?: Uint8Array;
}

/** The host that a model is loaded in. */
export interface ModelEnvironment extends Environment {
  /** Why this host cannot run a variant. */
  readonly missingFeature: (variant: WasmVariantName) => string | undefined;
}

export function modelEnvironment(): ModelEnvironment {
  return { ...hostEnvironment(), missingFeature };
}

interface Rejection {
  readonly variant: VariantName;
  readonly why: string;
}

interface Choice {
  /** Usable engines in order of preference, at least one. */
  readonly kinds: readonly [EngineKind, ...EngineKind[]];
  readonly rejected: readonly Rejection[];
}

const idleMilliseconds = 50;
const pageBytes = 65536;

async function choose(backend: Backend, manifest: Manifest, environment: ModelEnvironment): Promise<Choice> {
  const kinds: EngineKind[] = [];
  const rejected: Rejection[] = [];
  for (const kind of kindsOf(backend)) {
    const why =
      kind.files(manifest) === undefined
        ? "the package does not contain it"
        : await kind.missing(environment.missingFeature);
    if (why === undefined) kinds.push(kind);
    else rejected.push({ variant: kind.variant, why });
  }
  const [first, ...rest] = kinds;
  const wanted = backend === "auto" || backend === "wasm" ? first?.variant : backend;
  if (first !== undefined && first.variant === wanted) return { kinds: [first, ...rest], rejected };
  throw new LeafcutterError({
    code: "feature-missing",
    message: "no variant of the package runs here",
    where: manifest.name,
    expected: backend === "auto" || backend === "wasm" ? "WebAssembly with SIMD" : backend,
    received: rejected.map(({ variant, why }) => `${variant}: ${why}`).join("; "),
    advice: "Use a browser of 2023 or later, or another backend.",
  });
}

/** Counts what arrives and tells the caller. */
class ProgressMeter {
  readonly #report: ((progress: Progress) => void) | undefined;
  #phase: Progress["phase"] = "manifest";
  #loaded = 0;
  total = 0;

  constructor(report: ((progress: Progress) => void) | undefined) {
    this.#report = report;
  }

  readonly add = (bytes: number): void => {
    this.#loaded += bytes;
    this.#report?.({ phase: this.#phase, loadedBytes: this.#loaded, totalBytes: this.total });
  };

  enter(phase: Progress["phase"]): void {
    this.#phase = phase;
    this.add(0);
  }
}

function checkMemory(program: Program, maxMemory: number | undefined): void {
  const bytes = program.memory.pages * pageBytes;
  if (maxMemory === undefined || bytes <= maxMemory) return;
  throw new LeafcutterError({
    code: "memory-exceeded",
    message: "the model needs more memory than maxMemory allows",
    expected: `at most ${maxMemory} bytes`,
    received: `${bytes} bytes`,
    advice: "Raise maxMemory, or compile the model for smaller dimensions or with fewer bytes of weights.",
  });
}

function copyInputs(inputs: Readonly<Record<string, TensorInput>>): Readonly<Record<string, TensorInput>> {
  const copies = Object.entries(inputs).map(([name, input]) =>
    ArrayBuffer.isView(input?.data) ? [name, { ...input, data: input.data.slice() }] : [name, input],
  );
  return Object.fromEntries(copies) as Readonly<Record<string, TensorInput>>;
}

/** Makes engines of one package. */
class EngineMaker {
  readonly #reader: PackageReader;
  readonly #program: Program;
  readonly #references: LoadedReferences;
  readonly #modules = new Map<WasmVariantName, Promise<WebAssembly.Module>>();

  constructor(
    reader: PackageReader,
    program: Program,
    references: LoadedReferences,
    modules: ReadonlyMap<WasmVariantName, Promise<WebAssembly.Module>>,
  ) {
    this.#reader = reader;
    this.#program = program;
    this.#references = references;
    this.#modules = new Map(modules);
  }

  create(kind: EngineKind, memory: WebAssembly.Memory | undefined): Promise<Engine> {
    return kind.create({
      program: this.#program,
      references: this.#references,
      memory,
      module: (variant) => {
        const module = this.#modules.get(variant) ?? compileModule(this.#reader, variant);
        this.#modules.set(variant, module);
        return module;
      },
      shaders: async () => {
        const { shaders } = this.#reader.manifest;
        return shaders === undefined ? undefined : parseJson(await this.#reader.read(shaders), shaders.path);
      },
    });
  }
}

async function compileModule(reader: PackageReader, variant: WasmVariantName): Promise<WebAssembly.Module> {
  const file = reader.manifest.modules.find((candidate) => candidate.variant === variant);
  if (file === undefined) throw new LeafcutterError({ code: "internal", message: `the package has no ${variant}` });
  const bytes = (await reader.read(file)) as Uint8Array<ArrayBuffer>;
  let module: WebAssembly.Module;
  try {
    module = await WebAssembly.compile(bytes);
  } catch (cause) {
    const received = cause instanceof Error ? cause.message : String(cause);
    throw new LeafcutterError(
      { code: "package-invalid", message: "the module does not compile", where: file.path, received },
      { cause },
    );
  }
  checkModule(module, file.path);
  return module;
}

/** Opens, verifies and readies a package. `location` must be absolute. */
export async function openModel(
  location: string | PackageFiles,
  options: ModelOptions,
  environment: ModelEnvironment,
): Promise<Model> {
  const { backend = "auto", signal } = options;
  const meter = new ProgressMeter(options.onProgress);
  /** Ends the downloads of a load that has failed; fires with the caller's signal too. */
  const stop = new AbortController();
  const abort = (): void => stop.abort();
  signal?.addEventListener("abort", abort);
  if (signal?.aborted) abort();
  const checkAborted = (): void => {
    if (stop.signal.aborted) throw loadAborted();
  };
  try {
    const { integrity, cache, manifest: fetched } = options;
    const reader = await openPackage(location, environment, {
      integrity,
      cache,
      manifest: fetched,
      signal: stop.signal,
      onBytes: meter.add,
    });
    const { manifest } = reader;
    const choice = await choose(backend, manifest, environment);
    const [kind] = choice.kinds;
    const files = [manifest.program, ...(kind.files(manifest) ?? []), ...manifest.shards];
    meter.total = files.reduce((sum, file) => sum + file.bytes, reader.manifestBytes);
    meter.enter("engine");
    const programBytes = reader.read(manifest.program);
    const modules = new Map<WasmVariantName, Promise<WebAssembly.Module>>();
    if (kind.variant !== "webgpu") modules.set(kind.variant, compileModule(reader, kind.variant));
    reader.prefetchShards();
    const parsed = parseJson((await Promise.all([programBytes, ...modules.values()]))[0], manifest.program.path);
    const program = validateProgram(parsed, new Set(Object.keys(knownReferences)));
    checkAgreement(manifest, program);
    checkMemory(program, options.maxMemory);
    const maker = new EngineMaker(reader, program, await loadReferences(program), modules);
    const engine = await maker.create(kind, undefined);
    checkAborted();
    meter.enter("ready");
    meter.enter("weights");
    await reader.readShards(engine.weights);
    checkAborted();
    const model = new Model(reader, maker, engine, choice, backend);
    await model.checkKnownAnswers();
    checkAborted();
    meter.enter("done");
    return model;
  } catch (error) {
    abort();
    throw error;
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

export class Model implements LocalSession {
  readonly inputs: readonly PortDescription[];
  readonly outputs: readonly PortDescription[];
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
    this.#reason = backend === "auto" || backend === "wasm" ? "the fastest that this host runs" : "asked for";
    this.#selfTest = reader.manifest.selfTest === undefined ? "absent" : "pending";
    const plain = ({ name, dtype, shape }: PortDescription): PortDescription => ({ name, dtype, shape });
    this.inputs = reader.manifest.inputs.map(plain);
    this.outputs = reader.manifest.outputs.map(plain);
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
    clearTimeout(this.#idle);
    this.#testing?.abort();
    try {
      return await this.#queue.add(async (stop) => {
        const start = performance.now();
        const result = await this.#running.run(own, { signal: stop, profile: this.#profile });
        this.#finished(start, result.steps);
        return result.outputs;
      }, signal);
    } finally {
      this.#testWhenIdle();
    }
  }

  runSync(inputs: Readonly<Record<string, TensorInput>>): Readonly<Record<string, Tensor>> {
    const engine = this.#running;
    if (!(engine instanceof WasmEngine) || !this.#queue.idle) {
      throw new LeafcutterError({
        code: "option-invalid",
        message: "runSync needs a WebAssembly backend and no other run under way",
        received: this.#queue.idle ? engine.variant : "a run under way",
      });
    }
    const start = performance.now();
    const result = engine.runSync(inputs, { profile: this.#profile });
    this.#finished(start, result.steps);
    this.#testWhenIdle();
    return result.outputs;
  }

  async stats({ profile }: StatsOptions = {}): Promise<Stats> {
    if (profile !== undefined) this.#profile = profile;
    await this.#reader.settled();
    const { program, variant } = this.#running;
    const { memory } = program;
    return {
      variant,
      reason: this.#reason,
      rejected: [...this.#rejected],
      memoryBytes: memory.pages * pageBytes,
      weightBytes: memory.weights.bytes,
      arenaBytes: memory.arena.bytes,
      cache: this.#reader.cacheStatus,
      selfTest: this.#selfTest,
      notes: [...this.#reader.notes, ...this.#notes],
      runs: this.#runs,
      ...(this.#lastRun === undefined ? {} : { lastRunMilliseconds: this.#lastRun }),
      ...(this.#steps === undefined ? {} : { steps: this.#steps }),
    };
  }

  async dispose(): Promise<void> {
    clearTimeout(this.#idle);
    await this.#queue.end(sessionDisposed);
    this.#engine?.dispose();
    this.#engine = undefined;
    await this.#reader.settled();
  }

  #finished(start: number, steps: readonly StepTime[] | undefined): void {
    this.#lastRun = performance.now() - start;
    this.#runs += 1;
    if (steps !== undefined) this.#steps = steps;
  }

  async #failureBeforeFirstResult(): Promise<string | undefined> {
    const [failure] = await this.#running.probeKernels();
    if (failure !== undefined) {
      return `the kernel ${failure.kernel} gives ${failure.received}, expected ${failure.expected}`;
    }
    const test = this.#reader.manifest.selfTest;
    if (test === undefined || this.#kinds[0]?.selfTestFirst !== true) return undefined;
    const why = await runSelfTest(test, this.#running);
    if (why === undefined) this.#selfTest = "passed";
    return why;
  }

  /** Replaces the engine by the next one; false when there is none. */
  async #fallBack(why: string): Promise<boolean> {
    const [current, next, ...rest] = this.#kinds;
    if (current === undefined || next === undefined) return false;
    const failed = this.#running;
    const engine = await this.#maker.create(next, failed.memory);
    if (failed.memory === undefined) await this.#reader.readShards(engine.weights);
    this.#engine = engine;
    failed.dispose();
    this.#kinds = [next, ...rest];
    this.#rejected.push({ variant: current.variant, why });
    this.#notes.push(`fell back from ${current.variant} to ${next.variant}: ${why}`);
    this.#reason = `fallback from ${current.variant}`;
    return true;
  }

  /** Runs the model's self-test once nothing else has run for a while; a run that arrives goes first. */
  #testWhenIdle(): void {
    if (this.#selfTest !== "pending" || this.#engine === undefined || !this.#queue.idle) return;
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => {
      this.#testing = new AbortController();
      this.#queue.add((stop) => this.#test(stop), this.#testing.signal).catch(() => undefined);
    }, idleMilliseconds);
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
