/**
 * From the address of a package to a model that is ready to run: manifest, choice of an engine, program and module,
 * weights to their place, known answers. Throws LeafcutterError.
 */
import type { Engine } from "../engine/engine.ts";
import { loadReferences } from "../engine/host-step.ts";
import { missingFeature } from "../engine/probe.ts";
import { type Backend, type EngineKind, kindsOf } from "../engine/variants.ts";
import { type DiagnosticCode, LeafcutterError } from "../format/diagnostic.ts";
import type { Manifest, WasmVariantName } from "../format/manifest.ts";
import { type Program, pageBytes } from "../format/program.ts";
import { checkAgreement } from "../format/validate-manifest.ts";
import { validateProgram } from "../format/validate-program.ts";
import { type Environment, hostEnvironment } from "../load/environment.ts";
import { openPackage, parseJson } from "../load/package.ts";
import { loadAborted, type PackageFiles } from "../load/source.ts";
import { references as knownReferences } from "../reference/table.ts";
import type { LoadOptions, Progress } from "./contract.ts";
import type { EarlyFiles } from "./early-files.ts";
import { compileModule, EngineMaker } from "./engine-maker.ts";
import { type Choice, Model, type Rejection } from "./model.ts";

export interface ModelOptions extends Omit<LoadOptions, "worker" | "workerUrl">, EarlyFiles {
  /** Sees the program before the weights are read, and throws when it will not do. */
  readonly accept?: (program: Program) => void;
}

/** The host that a model is loaded in. */
export interface ModelEnvironment extends Environment {
  /** Why this host cannot run a variant. */
  readonly missingFeature: (variant: WasmVariantName) => string | undefined;
}

export function modelEnvironment(): ModelEnvironment {
  return { ...hostEnvironment(), missingFeature };
}

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
    const choice = await choose(backend, manifest, environment);
    const [kind] = choice.kinds;
    const files = [manifest.program, ...(kind.files(manifest) ?? []), ...manifest.shards];
    meter.total = files.reduce((sum, file) => sum + file.bytes, reader.manifestBytes);
    meter.enter("engine");
    const programBytes = reader.read(manifest.program);
    const modules = new Map<WasmVariantName, Promise<WebAssembly.Module>>();
    if (kind.variant !== "webgpu") modules.set(kind.variant, compileModule(reader, kind.variant));
    const [bytes] = await Promise.all([programBytes, ...modules.values()]);
    // Behind what the engine needs, before the engine is made of it.
    reader.prefetchShards();
    const parsed = parseJson(bytes, manifest.program.path);
    const program = validateProgram(parsed, new Set(Object.keys(knownReferences)));
    checkAgreement(manifest, program);
    checkMemory(program, options.maxMemory);
    options.accept?.(program);
    const maker = new EngineMaker(reader, program, await loadReferences(program), modules);
    const [engine, usable] = await createFirst(maker, choice);
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
    throw error;
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}
