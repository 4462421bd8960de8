/**
 * The compiler's one entry: a model file into a package. Platform neutral: runs in Node and in a browser's worker.
 * Reads as a table of contents: one call per arrow of the design.
 */

import type { WasmEngine } from "../runtime/engine/wasm.ts";
import { LeafcutterError } from "../runtime/format/diagnostic.ts";
import { extentBounds } from "../runtime/format/extent.ts";
import type { Manifest } from "../runtime/format/manifest.ts";
import type { Program } from "../runtime/format/program.ts";
import { Sha256 } from "../runtime/format/sha256.ts";
import { wasmRelaxed, wasmSimd } from "./assemble/target.ts";
import { type FittedGraph, fitToSize } from "./budget/fit-to-size.ts";
import type { Sample } from "./budget/tools.ts";
import { generateProgram } from "./codegen/program.ts";
import { generateModule } from "./codegen/wasm/module.ts";
import { generateThreadWalk } from "./codegen/wasm/thread-walk.ts";
import { generateShaders } from "./codegen/wgsl/module.ts";
import { openEngine, openExecution } from "./execution.ts";
import type { Graph } from "./graph/graph.ts";
import type { DimBinding, SampleShape } from "./import/onnx/dimensions.ts";
import type { InputValues } from "./import/onnx/fixed-input.ts";
import { importOnnx } from "./import/onnx/import.ts";
import type { ByteSource } from "./import/source.ts";
import type { CostTable } from "./kernels/cost-table.ts";
import { modelTest, modelTestInputs, withKernelProbes } from "./package/known-answers.ts";
import { type PackagedFiles, packageFiles, toHex } from "./package/package.ts";
import { optimise } from "./pipeline.ts";
import { defaultCosts } from "./plan/default-costs.ts";
import { makePlan } from "./plan/make-plan.ts";
import { alignUp } from "./plan/memory.ts";
import type { Plan } from "./plan/plan.ts";
import { resolveStates, type StateNames, type StatePair } from "./plan/states.ts";
import { makeReport, type Report } from "./report.ts";

export { LeafcutterError } from "../runtime/format/diagnostic.ts";
export type { Sample } from "./budget/tools.ts";
export { type ByteSource, blobSource, bytesSource, fileSetSource, urlSource } from "./import/source.ts";
export type { Report } from "./report.ts";
export { formatBytes, formatReport } from "./report.ts";

/** Version of the compiler, as package.json has it. */
export const version = "0.1.0";

export interface CompileOptions {
  /** Name of the package; default the file's name without its ending. */
  readonly name?: string;
  /** Dimensions by symbol name, "batch", or "input:axis": a number, or a range that one package then serves. */
  readonly dims?: Readonly<Record<string, DimBinding>>;
  /** Values of inputs that shapes depend on, by name, elements in row-major order; the package serves only these. */
  readonly values?: InputValues;
  /** A data set beside the model: shapes for dimensions that are not bound, values of inputs that shapes depend on. */
  readonly sampleShapes?: readonly SampleShape[];
  /** A leading batch that is not bound takes the sample's size instead of 1. */
  readonly batchFromSample?: boolean;
  /** Inputs that the session keeps between runs -> outputs that are their next values; "past.*": "present.*" is many. */
  readonly states?: StateNames;
  /** Most bytes of all files of the package together. */
  readonly maxSize?: number;
  /** Inputs on which the size budget measures output error; default seeded synthetic ones. */
  readonly samples?: readonly Sample[];
  /** Also emit WGSL for the same plan. Default false. */
  readonly webgpu?: boolean;
  /** Whether several threads may run the package (0.7 kB more). Default: when they would save time worth speaking of. */
  readonly threads?: boolean;
  readonly costs?: CostTable;
  onProgress?(stage: string, done: number, total: number): void;
  readonly signal?: AbortSignal;
}

export interface Package extends PackagedFiles {
  readonly manifest: Manifest;
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly report: Report;
}

/**
 * Compiles a model. Throws LeafcutterError: those of import, and budget-infeasible (with the smallest possible size)
 * when no package fits `maxSize`.
 */
export async function compile(source: ByteSource, options: CompileOptions = {}): Promise<Package> {
  const started = performance.now();
  const progress = (stage: string, done = 0, total = 1): void => {
    options.signal?.throwIfAborted();
    options.onProgress?.(stage, done, total);
  };
  progress("import");
  const imported = await importOnnx(source, options);
  const states = resolveStates(imported, options.states ?? {});
  const graph = optimise(imported, { onProgress: (_, done, total) => progress("optimise", done, total) });
  const costs = options.costs ?? defaultCosts;
  const provenance = await provenanceOf(source, options);
  const name = options.name ?? baseName(source.name);
  const build = (candidate: Graph, maxSize = options.maxSize): Promise<Built> =>
    buildPackage(candidate, {
      name,
      costs,
      states,
      provenance: withLimit(provenance, maxSize),
      webgpu: options.webgpu ?? false,
      threads: options.threads,
    });
  const fitted: FittedGraph =
    options.maxSize === undefined
      ? { graph, storage: [] }
      : await fitToSize(graph, {
          maxSize: options.maxSize,
          samples: options.samples,
          weigh: (candidate) => weigh(makePlan(candidate, costs)),
          sizeOf: async (candidate, maxSize) => totalBytes((await build(candidate, maxSize)).packaged.files),
          open: (candidate, variants) => openExecution(candidate, variants, costs),
          onProgress: (done, total) => progress("fit to size", done, total),
        });
  progress("generate");
  const { plan, program, packaged } = await build(fitted.graph);
  progress("done", 1, 1);
  const milliseconds = performance.now() - started;
  const { storage, outputError } = fitted;
  return { ...packaged, report: makeReport({ plan, program, ...packaged, storage, outputError, milliseconds }) };
}

interface Built {
  readonly plan: Plan;
  readonly program: Program;
  readonly packaged: PackagedFiles;
}

interface BuildSettings {
  readonly name: string;
  readonly costs: CostTable;
  readonly states: readonly StatePair[];
  readonly provenance: Manifest["provenance"];
  readonly webgpu: boolean;
  readonly threads: boolean | undefined;
}

/** Least time of the steps that threads can divide, in nanoseconds, for which a package has threads by default. */
const leastDivisible = 500_000;

function isWorthThreads({ steps }: Plan): boolean {
  let divisible = 0;
  for (const step of steps) if (step.kind === "kernel" && step.grain !== undefined) divisible += step.nanoseconds;
  return divisible >= leastDivisible;
}

async function buildPackage(graph: Graph, settings: BuildSettings): Promise<Built> {
  const { name, costs, states, provenance, webgpu } = settings;
  const plan = makePlan(graph, costs, states);
  const generated = generateProgram(plan);
  const simd = generateModule(generated.kernels, wasmSimd, plan.memory.pages);
  const relaxed = generateModule(generated.kernels, wasmRelaxed, plan.memory.pages);
  const engine = await openEngine(plan, generated.program, simd);
  const program = withKernelProbes(generated.program, plan, engine);
  const { inputs, bindings } = modelTestInputs(program);
  const outputs = await outputsOf(engine, inputs);
  const selfTest = outputs && modelTest(outputs, bindings);
  engine.dispose();
  const packaged = await packageFiles({
    name,
    program,
    modules: [
      { variant: "wasm-simd", bytes: simd },
      { variant: "wasm-relaxed", bytes: relaxed },
    ],
    threads: (settings.threads ?? isWorthThreads(plan)) ? generateThreadWalk() : undefined,
    shaders: webgpu ? generateShaders(generated.kernels) : undefined,
    weights: plan.weights,
    selfTest,
    provenance,
  });
  return { plan, program, packaged };
}

/** Iterations of a loop that decides itself when to stop: on generated inputs it may never do. */
const mostTestIterations = 10_000;

/** undefined when these inputs take a branch that could not be compiled, or may keep a loop going for long. */
async function outputsOf(engine: WasmEngine, inputs: Sample): Promise<Sample | undefined> {
  const { steps, symbols } = engine.program;
  const bounds = new Map(symbols.map((symbol) => [symbol.name, symbol]));
  const mayGoOn = steps.some(
    (step) =>
      step.kind === "repeat" &&
      step.condition !== undefined &&
      extentBounds(step.count, bounds)[1] > mostTestIterations,
  );
  if (mayGoOn) return undefined;
  try {
    return (await engine.run(inputs)).outputs;
  } catch (error) {
    if (error instanceof LeafcutterError && error.code === "model-unsupported") return undefined;
    throw error;
  }
}

/** Bytes of the weights by the name of the first constant in each. */
function weigh(plan: Plan): ReadonlyMap<string, number> {
  const bytes = new Map<string, number>();
  for (const weight of plan.weights) {
    const [name = ""] = weight.constants;
    bytes.set(name, (bytes.get(name) ?? 0) + alignUp(weight.bytes.byteLength));
  }
  return bytes;
}

function totalBytes(files: ReadonlyMap<string, Uint8Array>): number {
  let sum = 0;
  for (const bytes of files.values()) sum += bytes.byteLength;
  return sum;
}

/** The provenance of a package that states `maxSize` as the limit it was made for. */
function withLimit(provenance: Manifest["provenance"], maxSize: number | undefined): Manifest["provenance"] {
  return maxSize === undefined ? provenance : { ...provenance, options: { maxSize, ...provenance.options } };
}

/** Bytes of the model hashed at a time. */
const hashChunk = 4 * 1024 * 1024;

const baseName = (path: string): string => (path.split("/").at(-1) ?? path).replace(/\.onnx$/, "") || "model";

async function provenanceOf(source: ByteSource, options: CompileOptions): Promise<Manifest["provenance"]> {
  const bytes = await source.size();
  const hash = new Sha256();
  for (let offset = 0; offset < bytes; offset += hashChunk) {
    hash.update(await source.read(offset, Math.min(hashChunk, bytes - offset)));
  }
  const given: Record<string, string | number | boolean> = {};
  if (options.webgpu) given.webgpu = true;
  if (options.threads !== undefined) given.threads = options.threads;
  for (const [dim, binding] of Object.entries(options.dims ?? {})) {
    given[`dim ${dim}`] = typeof binding === "object" ? `${binding.lower}..${binding.upper}` : binding;
  }
  for (const [input, output] of Object.entries(options.states ?? {})) given[`state ${input}`] = output;
  for (const [input, value] of Object.entries(options.values ?? {})) given[`value ${input}`] = value.join(",");
  return {
    compiler: `leafcutter ${version}`,
    source: { name: source.name.split("/").at(-1) ?? source.name, bytes, sha256: toHex(hash.digest()) },
    options: given,
  };
}
