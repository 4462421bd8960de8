/**
 * From the address of a package to a model that is ready to run: manifest, choice of an engine, program and module,
 * weights to their place, known answers. Throws LeafcutterError.
 */
import type { Engine } from "../engine/engine.ts";
import { loadExtensions } from "../engine/extensions.ts";
import { missingFeature, missingThreads } from "../engine/probe.ts";
import { type Backend, type EngineKind, kindsOf, type Missing } from "../engine/variants.ts";
import { type DiagnosticCode, LeafcutterError } from "../format/diagnostic.ts";
import type { Manifest } from "../format/manifest.ts";
import type { Program } from "../format/program.ts";
import { checkAgreement } from "../format/validate-manifest.ts";
import { validateProgram } from "../format/validate-program.ts";
import { type Environment, hostEnvironment } from "../load/environment.ts";
import { openPackage, parseJson } from "../load/package.ts";
import { loadAborted, type PackageFiles } from "../load/source.ts";
import type { LoadOptions, Progress } from "./contract.ts";
import { defaultThreads } from "./default-threads.ts";
import type { EarlyFiles } from "./early-files.ts";
import { EngineMaker } from "./engine-maker.ts";
import { type Choice, Model, type Rejection } from "./model.ts";
import { ModuleCompiler } from "./module-compiler.ts";

export interface ModelOptions extends Omit<LoadOptions, "worker" | "workerUrl">, EarlyFiles {
  /** Sees the program before the weights are read, and throws when it will not do. */
  readonly accept?: (program: Program) => void;
}

/** The host that a model is loaded in. */
export interface ModelEnvironment extends Environment, Missing {}

export function modelEnvironment(): ModelEnvironment {
  return { ...hostEnvironment(), missingFeature, missingThreads };
}

async function choose(
  backend: Backend,
  threads: number,
  manifest: Manifest,
  environment: ModelEnvironment,
): Promise<Choice> {
  const kinds: EngineKind[] = [];
  const rejected: Rejection[] = [];
  for (const kind of kindsOf(backend, threads > 1 && manifest.threads !== undefined)) {
    const why =
      kind.files(manifest) === undefined ? "the package does not contain it" : await kind.missing(environment);
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

/** The engines whose memory is small enough. Throws memory-exceeded when none is. */
async function withinMemory(choice: Choice, program: Program, { maxMemory, threads }: MemoryOptions): Promise<Choice> {
  if (maxMemory === undefined) return choice;
  const kinds: EngineKind[] = [];
  const rejected = [...choice.rejected];
  let bytes = Number.POSITIVE_INFINITY;
  for (const kind of choice.kinds) {
    const needed = await kind.memoryBytes(program, threads);
    bytes = Math.min(bytes, needed);
    if (needed <= maxMemory) kinds.push(kind);
    else rejected.push({ variant: kind.variant, why: `it needs ${needed} bytes, more than maxMemory allows` });
  }
  const [first, ...rest] = kinds;
  if (first !== undefined) return { kinds: [first, ...rest], rejected };
  throw new LeafcutterError({
    code: "memory-exceeded",
    message: "the model needs more memory than maxMemory allows",
    expected: `at most ${maxMemory} bytes`,
    received: `${bytes} bytes`,
    advice: "Raise maxMemory, or compile the model for smaller dimensions or with fewer bytes of weights.",
  });
}

/** What is no fault of the package: the device is not there, or not large enough. */
const deviceFailures: ReadonlySet<DiagnosticCode> = new Set(["device-lost", "memory-exceeded", "feature-missing"]);

/** The engine of the first kind; of the next one when a graphics device cannot hold the model. */
async function createFirst(maker: EngineMaker, choice: Choice): Promise<readonly [Engine, Choice]> {
  const [kind, next, ...rest] = choice.kinds;
  try {
    return [await maker.create(kind, undefined), choice];
  } catch (error) {
    const isDevice = kind.variant === "webgpu" && error instanceof LeafcutterError && deviceFailures.has(error.code);
    if (!isDevice || next === undefined) throw error;
    const rejected = [...choice.rejected, { variant: kind.variant, why: error.message }];
    return createFirst(maker, { kinds: [next, ...rest], rejected });
  }
}

interface MemoryOptions {
  readonly maxMemory: number | undefined;
  readonly threads: number;
}

function threadsOf({
  backend = "auto",
  threads = backend.endsWith("-threads") ? defaultThreads() : 1,
}: ModelOptions): number {
  if (Number.isInteger(threads) && threads >= 1 && threads <= mostThreads) return threads;
  throw new LeafcutterError({
    code: "option-invalid",
    message: "the option threads is not a number of threads",
    expected: `1..${mostThreads}`,
    received: String(threads),
  });
}

const mostThreads = 64;

/** Opens, verifies and readies a package. `location` must be absolute. */
export async function openModel(
  location: string | PackageFiles,
  options: ModelOptions,
  environment: ModelEnvironment,
): Promise<Model> {
  const { backend = "auto", signal, files: early } = options;
  const meter = new ProgressMeter(options.onProgress);
  /** Ends the downloads of a load that has failed; fires with the caller's signal too. */
  const stop = new AbortController();
  const abort = (): void => stop.abort();
  signal?.addEventListener("abort", abort);
  if (signal?.aborted) abort();
  const checkAborted = (): void => {
    if (stop.signal.aborted) throw loadAborted();
  };
  let opened: Engine | undefined;
  try {
    const { integrity, cache, manifest: fetched } = options;
    const reader = await openPackage(location, environment, {
      integrity,
      cache,
      manifest: fetched,
      files: early,
      signal: stop.signal,
      onBytes: meter.add,
    });
    const { manifest } = reader;
    const threads = threadsOf(options);
    const available = await choose(backend, threads, manifest, environment);
    const [preferred] = available.kinds;
    const files = [manifest.program, ...(preferred.files(manifest) ?? []), ...manifest.shards];
    meter.total = files.reduce((sum, file) => sum + file.bytes, reader.manifestBytes);
    meter.enter("engine");
    const programBytes = reader.read(manifest.program);
    const modules = new ModuleCompiler(reader);
    const [bytes] = await Promise.all([
      programBytes,
      preferred.variant === "webgpu" ? undefined : modules.kernels(preferred.variant),
      preferred.variant.endsWith("-threads") ? modules.threads() : undefined,
    ]);
    // Behind what the engine needs, before the engine is made of it.
    reader.prefetchShards();
    const program = validateProgram(parseJson(bytes, manifest.program.path));
    checkAgreement(manifest, program);
    options.accept?.(program);
    const choice = await withinMemory(available, program, { maxMemory: options.maxMemory, threads });
    const extensions = await loadExtensions(program);
    const maker = new EngineMaker({ reader, modules, program, extensions, threads });
    const [engine, usable] = await createFirst(maker, choice);
    opened = engine;
    checkAborted();
    meter.enter("ready");
    meter.enter("weights");
    await reader.readShards(engine.weights);
    checkAborted();
    const model = new Model(reader, maker, engine, usable, backend);
    await model.checkKnownAnswers();
    checkAborted();
    meter.enter("done");
    return model;
  } catch (error) {
    abort();
    opened?.dispose();
    throw error;
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}
