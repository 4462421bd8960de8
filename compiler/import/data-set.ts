/**
 * The data sets that lie beside a model as ONNX's own tests lay them out: folders test_data_set_0, test_data_set_1…
 * with input_0.pb, output_0.pb… (serialised TensorProto). Which tensor is which port: match-ports.ts.
 */
import { LeafcutterError } from "../../runtime/format/diagnostic.ts";
import type { Tensor } from "../../runtime/format/tensor.ts";
import type { NamedTensor } from "./match-ports.ts";
import { readTensorProto } from "./onnx/tensor.ts";

/** A folder to read from; `path` is relative to it, with "/" between parts. */
export interface Folder {
  /** Names of the files and folders in `path` ("" for the folder itself); empty when it does not exist. */
  list(path: string): Promise<readonly string[]>;
  read(path: string): Promise<Uint8Array>;
}

export type DataTensor = Tensor & NamedTensor;

export interface DataSet {
  /** Name of its folder. */
  readonly name: string;
  /** In order of position. */
  readonly inputs: readonly DataTensor[];
  readonly outputs: readonly DataTensor[];
}

/** All data sets of a model's folder, in order of their numbers. Throws model-invalid or model-unsupported naming the file. */
export async function readDataSets(folder: Folder): Promise<readonly DataSet[]> {
  const sets: DataSet[] = [];
  for (const { name } of numbered(await folder.list(""), /^test_data_set_(\d+)$/)) {
    const files = await folder.list(name);
    const read = async (pattern: RegExp): Promise<readonly DataTensor[]> => {
      const tensors: DataTensor[] = [];
      for (const file of numbered(files, pattern)) {
        const path = `${name}/${file.name}`;
        tensors.push({ ...readNamed(await folder.read(path), path), index: file.number });
      }
      return tensors;
    };
    sets.push({ name, inputs: await read(/^input_(\d+)\.pb$/), outputs: await read(/^output_(\d+)\.pb$/) });
  }
  return sets;
}

/** Errors name the file, whatever part of it is wrong. */
function readNamed(bytes: Uint8Array, path: string): ReturnType<typeof readTensorProto> {
  try {
    return readTensorProto(bytes, path);
  } catch (error) {
    if (!(error instanceof LeafcutterError) || error.diagnostic.where?.includes(path)) throw error;
    const where = [path, error.diagnostic.where].filter(Boolean).join(", ");
    throw new LeafcutterError({ ...error.diagnostic, where }, { cause: error });
  }
}

function numbered(
  names: readonly string[],
  pattern: RegExp,
): readonly { readonly name: string; readonly number: number }[] {
  return names
    .flatMap((name) => {
      const digits = pattern.exec(name)?.[1];
      return digits === undefined ? [] : [{ name, number: Number(digits) }];
    })
    .sort((left, right) => left.number - right.number);
}
