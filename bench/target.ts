/**
 * What the command line calls a target, made ready to measure: an .onnx file or a folder with model.onnx (compiled
 * here), or the folder of a compiled package. Inputs are those of the data set beside it, else seeded.
 */
import { existsSync } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { type CompileOptions, compile } from "../compiler/compile.ts";
import { diskFolder, fileSource } from "../compiler/file-source.ts";
import { type DataSet, readDataSets } from "../compiler/import/data-set.ts";
import { matchPorts } from "../compiler/import/match-ports.ts";
import { importOnnx, portNames } from "../compiler/import/onnx/import.ts";
import { LeafcutterError } from "../runtime/format/diagnostic.ts";
import { evaluateExtent } from "../runtime/format/extent.ts";
import type { Manifest } from "../runtime/format/manifest.ts";
import { fillRandom } from "../runtime/format/random.ts";
import { zeros } from "../runtime/format/tensor.ts";
import { type OutputSteps, outputSteps } from "./quantisation-steps.ts";
import type { Tensors } from "./tensor-bundle.ts";

export interface Target {
  readonly name: string;
  /** The compiled package; the reason when it could not be compiled. */
  readonly package: ReadonlyMap<string, Uint8Array> | LeafcutterError;
  /** The original model, for the peers; absent for a package alone. */
  readonly model?: string;
  readonly inputs: Tensors;
  /** Outputs that the data set expects. */
  readonly expected?: Tensors;
  /** How the weights are stored: "int8", or every form that holds a considerable part: "int4/32+int8". */
  readonly precision: string;
  /** Weights were rounded by intent: outputs differ from the model's. */
  readonly rounded?: boolean;
  /** How the outputs of a quantised model are graded. */
  readonly steps?: OutputSteps;
  /** Milliseconds of a run on one thread by the device profile of the compile. */
  readonly predictedMs?: number;
}

export type TargetOptions = Pick<CompileOptions, "dims" | "states" | "maxSize" | "samples" | "device" | "precision">;

const seed = 1;

function unusable(path: string, received: string): LeafcutterError {
  return new LeafcutterError({
    code: "file-missing",
    where: path,
    message: "this is nothing that can be measured",
    expected: "an .onnx file, a folder with model.onnx, or the folder of a compiled package",
    received,
    advice: "Check the path.",
  });
}

/** Throws LeafcutterError for a path that is no target, and for a model without inputs to run on. */
export async function openTarget(path: string, options: TargetOptions = {}): Promise<Target> {
  const status = await stat(path).catch(() => undefined);
  if (status === undefined) throw unusable(path, "nothing there");
  if (status.isFile()) return openModel(path, basename(path).replace(/\.onnx$/, ""), options);
  if (existsSync(join(path, "manifest.json"))) return openPackage(path);
  const model = join(path, "model.onnx");
  if (existsSync(model)) return openModel(model, basename(resolve(path)), options);
  throw unusable(path, "a folder without model.onnx or manifest.json");
}

async function firstDataSet(folder: string): Promise<DataSet | undefined> {
  return (await readDataSets(diskFolder(folder)))[0];
}

async function openModel(model: string, name: string, options: TargetOptions): Promise<Target> {
  const set = await firstDataSet(dirname(model));
  const sampled: CompileOptions = set === undefined ? {} : { sampleShapes: set.inputs, batchFromSample: true };
  try {
    const { files, manifest, report } = await compile(fileSource(model), { ...sampled, ...options, name });
    const steps = outputSteps(
      await importOnnx(fileSource(model), { ...sampled, ...(options.dims ? { dims: options.dims } : {}) }),
    );
    return {
      name,
      package: files,
      model,
      ...tensorsOf(manifest, set, manifest.states ? await portNames(fileSource(model)) : manifest),
      precision: precisionOf(manifest),
      rounded: report.storage.some(({ storage }) => storage !== "float32"),
      ...(options.device ? { predictedMs: report.predicted.milliseconds } : {}),
      ...(steps ? { steps } : {}),
    };
  } catch (error) {
    if (!(error instanceof LeafcutterError) || set === undefined) throw error;
    return {
      name,
      package: error,
      model,
      inputs: unnamed(set.inputs),
      expected: unnamed(set.outputs),
      precision: "float32",
    };
  }
}

async function openPackage(folder: string): Promise<Target> {
  const names = (await readdir(folder, { withFileTypes: true })).filter((entry) => entry.isFile());
  const files = new Map<string, Uint8Array>();
  for (const { name } of names) files.set(name, await readFile(join(folder, name)));
  const manifest = JSON.parse(new TextDecoder().decode(files.get("manifest.json"))) as Manifest;
  const model = join(folder, "model.onnx");
  return {
    name: manifest.name,
    package: files,
    ...(existsSync(model) ? { model } : {}),
    ...tensorsOf(manifest, await firstDataSet(folder), {
      inputs: [...manifest.inputs, ...(manifest.states ?? [])],
      outputs: [...manifest.outputs, ...(manifest.states ?? []).map(({ output }) => ({ name: output }))],
    }),
    precision: precisionOf(manifest),
    rounded: Object.keys(manifest.provenance.options).some((option) => roundingOptions.test(option)),
  };
}

/** Options by which a compile may round weights. */
const roundingOptions = /^(max|min)[A-Z]|^(precision|objective)$/;

/** A form that holds less is not worth a name: biases of integer layers, scales, small tables. */
const leastShare = 0.05;

/** Forms of the weights that hold a considerable part of their bytes, the largest first. */
function precisionOf({ weights = [] }: Manifest): string {
  const total = weights.reduce((sum, { bytes }) => sum + bytes, 0);
  const named = weights.filter(({ bytes }, index) => index === 0 || bytes >= leastShare * total);
  return named.length === 0 ? "none" : named.map(({ form }) => form).join("+");
}

const unnamed = (tensors: DataSet["inputs"]): Tensors =>
  Object.fromEntries(
    tensors.map(({ name, dtype, shape, data }, index) => [name === "" ? `${index}` : name, { dtype, shape, data }]),
  );

interface Named {
  readonly name: string;
}

function byPort(ports: readonly Named[], tensors: DataSet["inputs"]): Tensors {
  const matched = matchPorts(
    ports.map(({ name }) => name),
    tensors,
  );
  return Object.fromEntries(
    ports.flatMap(({ name }) => {
      const tensor = matched.get(name);
      return tensor === undefined ? [] : [[name, { dtype: tensor.dtype, shape: tensor.shape, data: tensor.data }]];
    }),
  );
}

/** Inputs and outputs of the model, states among them, in the order of its data sets. */
interface Ports {
  readonly inputs: readonly Named[];
  readonly outputs: readonly Named[];
}

function tensorsOf(manifest: Manifest, set: DataSet | undefined, ports: Ports): Pick<Target, "inputs" | "expected"> {
  if (set !== undefined) {
    const expected = byPort(ports.outputs, set.outputs);
    return { inputs: byPort(ports.inputs, set.inputs), ...(Object.keys(expected).length === 0 ? {} : { expected }) };
  }
  const lower = new Map(manifest.symbols.map((symbol) => [symbol.name, symbol.lower]));
  const seeded = [...manifest.inputs, ...(manifest.states ?? [])].map(({ name, dtype, shape }, index) => {
    const tensor = zeros(
      dtype,
      shape.map((extent) => evaluateExtent(extent, lower)),
    );
    fillRandom(dtype, tensor.data, seed + index);
    return [name, tensor] as const;
  });
  return { inputs: Object.fromEntries(seeded) };
}
