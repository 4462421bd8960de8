/** A model file compiled with the options that `compile` and `inspect` share. */
import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { Command } from "commander";
import { Option } from "commander";
import { LeafcutterError } from "../../runtime/format/diagnostic.ts";
import { compile, type Package } from "../compile.ts";
import { diskFolder, fileSource } from "../file-source.ts";
import { type DataTensor, readDataSets } from "../import/data-set.ts";
import type { InputValues } from "../import/onnx/fixed-input.ts";
import type { CostTable } from "../kernels/cost-table.ts";
import type { StateNames } from "../plan/states.ts";
import { dimOption, stateOption } from "./options.ts";
import { type Dims, parseSize, parseValue } from "./parse.ts";
import { progressBar } from "./progress-bar.ts";

export interface CompileFlags {
  readonly dim?: Dims;
  readonly state?: StateNames;
  readonly value?: InputValues;
  readonly maxSize?: number;
  readonly samples?: string;
  readonly webgpu?: boolean;
  readonly threads?: boolean;
  readonly costs?: string;
  readonly name?: string;
}

/** The data sets of a folder, or of a folder of model folders' data. */
const dataSetsOf = (folder: string): ReturnType<typeof readDataSets> => readDataSets(diskFolder(folder));

async function samplesOf(folder: string): Promise<readonly (readonly DataTensor[])[]> {
  const sets = await dataSetsOf(folder);
  if (sets.length > 0) return sets.map(({ inputs }) => inputs);
  throw new LeafcutterError({
    code: "file-missing",
    where: folder,
    message: "there are no samples in the folder",
    expected: "test_data_set_0/input_0.pb, test_data_set_1/input_0.pb, …",
    advice: "Write each sample's inputs as TensorProto files, or leave --samples out to use seeded synthetic inputs.",
  });
}

/** Shapes come from the data set beside the model, where there is one. */
export async function compileModel(model: string, flags: CompileFlags): Promise<Package> {
  const bar = progressBar();
  try {
    const beside = await dataSetsOf(dirname(model));
    const samples = flags.samples === undefined ? undefined : await samplesOf(flags.samples);
    return await compile(fileSource(model), {
      ...(flags.name === undefined ? {} : { name: flags.name }),
      ...(flags.dim ? { dims: flags.dim } : {}),
      ...(flags.state ? { states: flags.state } : {}),
      ...(flags.value ? { values: flags.value } : {}),
      ...(beside[0] ? { sampleShapes: beside[0].inputs } : {}),
      ...(flags.maxSize === undefined ? {} : { maxSize: flags.maxSize }),
      ...(samples
        ? { samples: samples.map((tensors) => Object.fromEntries(tensors.map((tensor) => [tensor.name, tensor]))) }
        : {}),
      ...(flags.webgpu ? { webgpu: true } : {}),
      ...(flags.threads === undefined ? {} : { threads: flags.threads }),
      ...(flags.costs === undefined ? {} : { costs: JSON.parse(await readFile(flags.costs, "utf8")) as CostTable }),
      onProgress: bar.update,
    });
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
    .addOption(dimOption())
    .addOption(stateOption())
    .addOption(valueOption())
    .addOption(
      new Option(
        "--max-size <size>",
        "most bytes of all files of the package, such as 1MB (10^6 bytes); chooses float32, float16 or int8 per layer",
      ).argParser(parseSize),
    )
    .option(
      "--samples <dir>",
      "folder with test_data_set_N/input_M.pb on which the size budget measures errors (default: seeded synthetic inputs)",
    )
    .option("--webgpu", "also emit WGSL for the same plan")
    .option("--threads", "let several threads run the package (default: when they would save time)")
    .option("--no-threads", "one thread, whatever the model")
    .option("--costs <file>", "cost table to choose kernels by, made by `leafcutter bench kernels --costs FILE`");
}
