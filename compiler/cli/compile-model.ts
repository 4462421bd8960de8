/** A model file compiled with the options that `compile` and `inspect` share. */
import { stat } from "node:fs/promises";
import { basename, dirname } from "node:path";
import type { Command } from "commander";
import { Option } from "commander";
import { LeafcutterError } from "../../runtime/format/diagnostic.ts";
import type { Manifest } from "../../runtime/format/manifest.ts";
import { validateManifest } from "../../runtime/format/validate-manifest.ts";
import type { Objective } from "../budget/quantities.ts";
import { type CompileOptions, compile, type Package, parseDeviceProfile, type RangeMethod } from "../compile.ts";
import { diskFolder, fileSource } from "../file-source.ts";
import { readDataSets } from "../import/data-set.ts";
import type { InputValues } from "../import/onnx/fixed-input.ts";
import type { LabelFile } from "../import/samples/labels.ts";
import { preprocessFields, presets } from "../import/samples/preprocess.ts";
import { readSamples } from "../import/samples/read-samples.ts";
import type { SamplePort, SampleSet } from "../import/samples/sample-set.ts";
import type { StateNames } from "../plan/states.ts";
import type { Scheme } from "../quantize/scheme.ts";
import { calibrationFolder, usualCalibrationFolder } from "./calibration-folder.ts";
import { decodePicture } from "./decode-picture.ts";
import { loadMetric } from "./load-metric.ts";
import { dimOption, stateOption } from "./options.ts";
import {
  type Dims,
  parseEnergy,
  parseNumber,
  parseObjective,
  parsePoints,
  parsePrecision,
  parseQuality,
  parseRanges,
  parseSize,
  parseThreads,
  parseTime,
  parseValue,
} from "./parse.ts";
import { progressBar } from "./progress-bar.ts";
import { readBytes, readText, unreadable } from "./read-text.ts";

export interface CompileFlags {
  readonly dim?: Dims;
  readonly state?: StateNames;
  readonly value?: InputValues;
  readonly maxSize?: number;
  readonly maxMemory?: number;
  readonly maxLatency?: number;
  readonly maxEnergy?: number;
  readonly minQuality?: number;
  readonly maxSliceDrop?: number;
  readonly metric?: string;
  readonly minMetric?: number;
  readonly maxMetric?: number;
  readonly objective?: Objective;
  readonly precision?: Scheme;
  readonly device?: string;
  readonly acceptPrior?: boolean;
  readonly calibrate?: string;
  readonly labels?: string;
  readonly groups?: string;
  readonly preprocess?: string;
  readonly ranges?: RangeMethod;
  readonly workers?: number;
  /** A folder; false: none. */
  readonly calibrationCache?: string | boolean;
  readonly webgpu?: boolean;
  readonly threads?: boolean;
  readonly name?: string;
  readonly locked?: string;
}

/** Samples used at most: more make neither ranges nor quality much surer. */
const mostSamples = 500;

async function fileOf(flag: string, path: string | undefined): Promise<LabelFile | undefined> {
  if (path === undefined) return undefined;
  return { name: basename(path), bytes: await readBytes(flag, path) };
}

/** A preset's name and JSON stand for themselves; anything else is a file. */
async function preprocessingOf(text: string | undefined): Promise<string | undefined> {
  const isInline = text === undefined || text.trim().startsWith("{") || Object.hasOwn(presets, text.trim());
  if (isInline) return text;
  return readText(
    "--preprocess",
    text,
    `Give a file of JSON, JSON itself, or one of ${Object.keys(presets).join(", ")}.`,
  );
}

/** Samples of a folder, or of one file. */
async function readCalibration(path: string, ports: readonly SamplePort[], flags: CompileFlags): Promise<SampleSet> {
  const status = await stat(path).catch((cause: unknown) => {
    throw unreadable("--calibrate", path, cause);
  });
  const isFile = status.isFile();
  const folder = diskFolder(isFile ? dirname(path) : path);
  const [labels, groups, preprocess] = await Promise.all([
    fileOf("--labels", flags.labels),
    fileOf("--groups", flags.groups),
    preprocessingOf(flags.preprocess),
  ]);
  const source = { folder, name: path, ...(isFile ? { file: basename(path) } : {}) };
  const labelsAre = flags.metric === undefined ? "classes" : "anything";
  return readSamples(source, ports, {
    labels,
    labelsAre,
    groups,
    preprocess,
    most: mostSamples,
    decode: decodePicture,
  });
}

async function readManifest(path: string): Promise<Manifest> {
  const text = await readText("--locked", path);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    json = undefined;
  }
  return validateManifest(json);
}

/** The options that the flags say. */
export async function compileOptions(model: string, flags: CompileFlags): Promise<CompileOptions> {
  const beside = await readDataSets(diskFolder(dirname(model)));
  const { name, dim, state, value, device, calibrate, ranges, workers, calibrationCache: kept } = flags;
  const { maxSize, maxMemory, maxLatency, maxEnergy, minQuality, maxSliceDrop, objective, precision, threads } = flags;
  const { metric, minMetric, maxMetric } = flags;
  for (const [flag, needed] of [
    ["labels", "calibrate"],
    ["groups", "calibrate"],
    ["preprocess", "calibrate"],
  ] as const)
    if (flags[flag] !== undefined && flags[needed] === undefined)
      throw new LeafcutterError({
        code: "option-invalid",
        where: `--${flag}`,
        message: "it says something of samples, and there are none",
        advice: `Give them with --${needed}.`,
      });
  return {
    ...(name === undefined ? {} : { name }),
    ...(dim ? { dims: dim } : {}),
    ...(state ? { states: state } : {}),
    ...(value ? { values: value } : {}),
    ...(beside[0] ? { sampleShapes: beside[0].inputs } : {}),
    ...(maxSize === undefined ? {} : { maxSize }),
    ...(maxMemory === undefined ? {} : { maxMemory }),
    ...(maxLatency === undefined ? {} : { maxLatency }),
    ...(maxEnergy === undefined ? {} : { maxEnergy }),
    ...(minQuality === undefined ? {} : { minQuality }),
    ...(maxSliceDrop === undefined ? {} : { maxSliceDrop }),
    ...(metric === undefined ? {} : { metric: await loadMetric(metric) }),
    ...(minMetric === undefined ? {} : { minMetric }),
    ...(maxMetric === undefined ? {} : { maxMetric }),
    ...(objective ? { objective } : {}),
    ...(precision ? { precision } : {}),
    ...(device === undefined ? {} : { device: parseDeviceProfile(await readText("--device", device), device) }),
    ...(flags.acceptPrior ? { acceptPrior: true } : {}),
    ...(calibrate === undefined
      ? {}
      : { samples: (ports: readonly SamplePort[]) => readCalibration(calibrate, ports, flags) }),
    ...(ranges ? { ranges } : {}),
    ...(workers === undefined ? {} : { workers }),
    ...(kept === false
      ? {}
      : { calibrationStore: calibrationFolder(typeof kept === "string" ? kept : usualCalibrationFolder()) }),
    ...(flags.webgpu ? { webgpu: true } : {}),
    ...(threads === undefined ? {} : { threads }),
    ...(flags.locked === undefined ? {} : { locked: await readManifest(flags.locked) }),
  };
}

/** Shapes come from the data set beside the model, where there is one. */
export async function compileModel(model: string, options: CompileOptions): Promise<Package> {
  const bar = progressBar();
  try {
    return await compile(fileSource(model), { ...options, onProgress: bar.update });
  } finally {
    bar.stop();
  }
}

const valueOption = (): Option =>
  new Option(
    "--value <input=N,N>",
    "compile for one value of an input that shapes depend on, such as axes; default: its value in the data set beside the model (repeatable)",
  ).argParser(parseValue);

/** Adds the options of CompileFlags. */
export function withCompileOptions(command: Command): Command {
  return command
    .optionsGroup("Inputs:")
    .addOption(dimOption())
    .addOption(stateOption())
    .addOption(valueOption())
    .optionsGroup("Limits, and what is best within them:")
    .addOption(
      new Option("--max-size <size>", "most bytes of all files of the package, such as 1MB (10^6 bytes)").argParser(
        parseSize,
      ),
    )
    .addOption(
      new Option("--max-memory <size>", "most bytes of memory of a session, such as 32MB").argParser(parseSize),
    )
    .addOption(
      new Option(
        "--max-latency <time>",
        "most time of a run on one thread of the device, such as 20ms, by its profile",
      ).argParser(parseTime),
    )
    .addOption(
      new Option("--max-energy <energy>", "most energy of a run, such as 5mJ, by the device's profile").argParser(
        parseEnergy,
      ),
    )
    .addOption(
      new Option(
        "--min-quality <share>",
        "least quality: mean cosine of the outputs against the model as it is, or its accuracy as a share of the model's when there are labels (default: 0.99 with another objective than quality)",
      ).argParser(parseQuality),
    )
    .addOption(
      new Option(
        "--max-slice-drop <points>",
        "most points that any group of samples may lose: of accuracy with labels, of agreement without; of a metric, in its unit",
      ).argParser(parsePoints),
    )
    .addOption(
      new Option(
        "--objective <what>",
        "what is to be best within the limits: quality, latency, energy or size (default: quality)",
      ).argParser(parseObjective),
    )
    .addOption(
      new Option(
        "--precision <scheme>",
        "one scheme for all layers instead of a choice for each: float16, int8-weights, int8 (the few noisiest layers stay in float), int8-dynamic, int4/32, nf4/64",
      ).argParser(parsePrecision),
    )
    .optionsGroup("Samples:")
    .option(
      "--calibrate <path>",
      "samples on which layers are weighed and quality is measured: a folder of test_data_set_N, .npy files, pictures (a folder for each group) or JSON lines; CIFAR-10 and IDX files (default: seeded synthetic inputs)",
    )
    .option(
      "--labels <file>",
      "the right class of each sample: a line each, .json (a list, or an object by file name), .npy or .csv",
    )
    .option("--groups <file>", "the group of each sample, in a file like that of labels (default: folders of pictures)")
    .option(
      "--preprocess <how>",
      `how pictures become inputs: imagenet (middle of the picture, mean and deviation of ImageNet), tensorflow (-1 to 1), unit (0 to 1), bytes (0 to 255), JSON such as '{"preset":"imagenet","size":[224,224],"channels":"BGR"}', or a file of it; fields: ${preprocessFields} (default: what the model's input says)`,
    )
    .option(
      "--metric <module>",
      "a measure of your own: a JavaScript module whose default export is { name, unit, higherIsBetter, perSample, score(outputs, labels, samples) } or such a function; see the compiler's README",
    )
    .addOption(new Option("--min-metric <value>", "least of the metric").argParser(parseNumber))
    .addOption(new Option("--max-metric <value>", "most of a metric that is better when lower").argParser(parseNumber))
    .addOption(
      new Option(
        "--ranges <method>",
        "how ranges of int8 activations follow from the samples: mse (least squared error), minmax, percentile or percentile:99.9 (of the values within each end), entropy (default: mse)",
      ).argParser(parseRanges),
    )
    .addOption(
      new Option(
        "--workers <n>",
        "workers that calibrate; the package is the same with any number (default: one a processor, none for little work)",
      ).argParser(parseThreads),
    )
    .option(
      "--calibration-cache <dir>",
      "where calibrations are kept, so that the next compile (or one after an abort) goes on from there (default: leafcutter in the user's cache folder)",
    )
    .option("--no-calibration-cache", "keep no calibrations, and take none")
    .optionsGroup("Device, and what the code is for:")
    .option(
      "--device <file>",
      "device profile for latency and energy, made by `leafcutter profile` (default: built in)",
    )
    .option("--accept-prior", "let a limit on energy rest on published coefficients of another device (tier C)")
    .option("--webgpu", "also emit WGSL for the same plan")
    .option("--threads", "let several threads run the package (default: when they would save time)")
    .option("--no-threads", "one thread, whatever the model");
}
